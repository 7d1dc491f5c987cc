"""What is visible inside: the machine's programs, a little of `/etc`, and the session's own folders. Nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airside.sandboxes.contract import SandboxPaths, SandboxUnavailable

HOME = Path("/home/agent")
WORKSPACE = Path("/workspace")
GATEWAY_FOLDER = Path("/run/airside")
USER_ID = 1000

_TEMPORARY_BYTES = 4 << 30

# Merged into /usr by most distributions, folders of their own on others.
_TOP_LEVEL = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

# What programs need to load, to know the time and to trust certificates. No credentials live in any of these; of
# /etc/ssl only the public halves are shown. No resolv.conf: there is nobody to ask.
_FROM_ETC = (
    "alternatives",
    "ca-certificates",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "os-release",
    "pki/tls/certs",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "timezone",
)
# Settings that interpreters of the distribution keep outside /usr and do not start without.
_FROM_ETC_BY_PATTERN = ("java-*-openjdk", "python3*")


def etc_files() -> dict[str, str]:
    """The files of `/etc` that are ours: one user, one group, no names but our own. Same for every session."""
    shell = "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"
    nobody = 65534
    return {
        "/etc/passwd": f"root:x:0:0:root:/:/bin/false\nagent:x:{USER_ID}:{USER_ID}:agent:{HOME}:{shell}\n"
        f"nobody:x:{nobody}:{nobody}:nobody:/:/bin/false\n",
        "/etc/group": f"root:x:0:\nagent:x:{USER_ID}:\nnogroup:x:{nobody}:\n",
        "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "/etc/machine-id": "0" * 32 + "\n",
    }


def system_arguments() -> list[str]:
    """Arguments of bubblewrap for the machine's programs, read-only, and empty folders where a system has some."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in _TOP_LEVEL:
        place = Path("/") / name
        if place.is_symlink():
            arguments += ["--symlink", str(place.readlink()), str(place)]
        elif place.is_dir():
            arguments += ["--ro-bind", str(place), str(place)]
    shown = [Path("/etc") / name for name in _FROM_ETC]
    shown += [match for pattern in _FROM_ETC_BY_PATTERN for match in sorted(Path("/etc").glob(pattern))]
    for place in shown:
        arguments += ["--ro-bind-try", str(place), str(place)]
    return [*arguments, "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--dir", "/var/tmp"]  # noqa: S108


def session_arguments(paths: SandboxPaths, programs: Sequence[Path], memory_bytes: int | None) -> list[str]:
    """Arguments of bubblewrap for what belongs to the session, and for the programs it is shown."""
    temporary_bytes = _TEMPORARY_BYTES if memory_bytes is None else min(memory_bytes, _TEMPORARY_BYTES)
    arguments = ["--perms", "1777", "--size", str(temporary_bytes), "--tmpfs", "/tmp"]  # noqa: S108
    arguments += ["--bind", str(paths.home), str(HOME), "--bind", str(paths.workspace), str(WORKSPACE)]
    for place in programs:
        arguments += ["--ro-bind", str(place), str(place)]
    return arguments


def concealed(workspace: Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of these are there: folders, and files, as they are called inside.

    Raises `SandboxUnavailable` for a link: what is laid over one ends up where it points.
    """
    folders, files = [], []
    for name in names:
        place = workspace / name
        if place.is_symlink():
            raise SandboxUnavailable(
                f"{name} is a link in the workspace, and cannot be kept from the harness",
                hint=f"replace the link by what it points to, or remove {name} from the repository",
            )
        if place.is_dir():
            folders.append(str(WORKSPACE / name))
        elif place.exists():
            files.append(str(WORKSPACE / name))
    return folders, files
