"""The system calls that a sandbox does without, as a filter program for the kernel.

The namespaces hide what is there; this closes what they do not cover: sockets of families that no network namespace
holds back (AF_VSOCK reaches the hypervisor), key rings (they belong to the host's user), new user namespaces (they open
the mounting code of the kernel to anybody), typing into the terminal, and calls with a long record of faults.

The layout is classic BPF over `struct seccomp_data` (seccomp(2)); numbers are those of the kernel's unistd headers.
"""

from __future__ import annotations

import errno
import socket
import struct
from dataclasses import dataclass

_LOAD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_IF_AT_LEAST = 0x35  # BPF_JMP | BPF_JGE | BPF_K
_IF_ANY_BIT = 0x45  # BPF_JMP | BPF_JSET | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16

_ALLOW = 0x7FFF0000
_ANSWER_ERRNO = 0x00050000

_X32_BIT = 0x40000000  # the second calling convention of x86_64, with numbers of its own
_CLONE_NEWUSER = 0x10000000
_TYPE_INTO_TERMINAL = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_SOCKET_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)


@dataclass(frozen=True, slots=True)
class _Architecture:
    audit: int
    refused: tuple[int, ...]
    clone: int
    unshare: int
    socket: int
    ioctl: int


_IO_URING = (425, 426, 427)
_CLONE3 = 435
# open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, quotactl_fd, open_tree_attr
_REFUSED_EVERYWHERE = (428, 429, 430, 431, 432, 433, 442, 443, 467)

# Each row: mount, umount2, pivot_root, add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, kexec_load,
# kexec_file_load, init_module, finit_module, delete_module, reboot, swapon, swapoff, acct, quotactl,
# open_by_handle_at, setns, syslog.
_ARCHITECTURES = {
    "x86_64": _Architecture(
        audit=0xC000003E,
        # The last two: iopl, ioperm.
        refused=(
            *(165, 166, 155, 248, 249, 250, 321, 298, 323, 246, 320, 175, 313, 176, 169, 167, 168, 163, 179),
            *(304, 308, 103, 172, 173),
        ),
        clone=56,
        unshare=272,
        socket=41,
        ioctl=16,
    ),
    "aarch64": _Architecture(
        audit=0xC00000B7,
        refused=(
            *(40, 39, 41, 217, 218, 219, 280, 241, 282, 104, 294, 105, 273, 106, 142, 224, 225, 89, 60),
            *(265, 268, 116),
        ),
        clone=220,
        unshare=97,
        socket=198,
        ioctl=29,
    ),
}

MACHINES = tuple(_ARCHITECTURES)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _answer(number: int) -> bytes:
    return _instruction(_RETURN, _ANSWER_ERRNO | number)


def _refuse(call: int, number: int = errno.EPERM) -> bytes:
    return _instruction(_IF_EQUAL, call, 0, 1) + _answer(number)


def _when(call: int, check: bytes) -> bytes:
    """Run a check, which ends in an answer, for this call only."""
    return _instruction(_IF_EQUAL, call, 0, len(check) // 8) + check


def _argument(index: int) -> bytes:
    # The low half: both machines are little-endian, and every argument looked at here is a 32-bit one.
    return _instruction(_LOAD, _ARGUMENTS_AT + 8 * index)


def _refuse_new_user_namespace(call: int) -> bytes:
    flagged = _instruction(_IF_ANY_BIT, _CLONE_NEWUSER, 0, 1) + _answer(errno.EPERM)
    return _when(call, _argument(0) + flagged + _instruction(_RETURN, _ALLOW))


def _allow_only_families(call: int) -> bytes:
    allowed = b"".join(
        _instruction(_IF_EQUAL, family, 0, 1) + _instruction(_RETURN, _ALLOW) for family in _SOCKET_FAMILIES
    )
    return _when(call, _argument(0) + allowed + _answer(errno.EAFNOSUPPORT))


def _refuse_terminal_input(call: int) -> bytes:
    refused = b"".join(_refuse(request) for request in _TYPE_INTO_TERMINAL)
    return _when(call, _argument(1) + refused + _instruction(_RETURN, _ALLOW))


def system_call_filter(machine: str) -> bytes:
    """The filter for a machine of `MACHINES`, as an array of `struct sock_filter`.

    A refused call answers EPERM, one that programs know how to do without ENOSYS. Calls in the convention of another
    architecture (32-bit programs) answer EPERM, all of them.
    """
    architecture = _ARCHITECTURES[machine]
    return b"".join(
        [
            _instruction(_LOAD, _ARCHITECTURE_AT),
            _instruction(_IF_EQUAL, architecture.audit, 1, 0),
            _answer(errno.EPERM),
            _instruction(_LOAD, _NUMBER_AT),
            _instruction(_IF_AT_LEAST, _X32_BIT, 0, 1),
            _answer(errno.EPERM),
            *(_refuse(call) for call in architecture.refused + _REFUSED_EVERYWHERE),
            *(_refuse(call, errno.ENOSYS) for call in (*_IO_URING, _CLONE3)),
            _refuse_new_user_namespace(architecture.clone),
            _refuse_new_user_namespace(architecture.unshare),
            _allow_only_families(architecture.socket),
            _refuse_terminal_input(architecture.ioctl),
            _instruction(_RETURN, _ALLOW),
        ]
    )
