"""Processes found by a mark in their environment, and ended without ever hitting another.

A process id can be given to a new process between looking and killing. So each is first held by a pidfd, then looked at
again, and signalled through that pidfd only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for all time: its id alone comes round again, its start (in clock ticks since boot) does not."""

    pid: int
    parent: int
    started_at: int


def identify(pid: int) -> ProcessIdentity | None:
    """Who has this id now; None when nobody has, or only a zombie."""
    try:
        line = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The second field is the program's name in brackets. The program chooses it: it may hold spaces, brackets, and
    # bytes that are no text (proc(5)).
    fields = line[line.rindex(b")") + 2 :].split()
    if fields[0] in {b"Z", b"X"}:
        return None
    return ProcessIdentity(pid, int(fields[1]), int(fields[19]))


def everyone() -> Iterator[ProcessIdentity]:
    """Every living process that can be seen."""
    for entry in os.scandir(_PROC):
        if entry.name.isdigit() and (identity := identify(int(entry.name))) is not None:
            yield identity


def children_of(pid: int) -> list[int]:
    """The ids of its living children."""
    return [identity.pid for identity in everyone() if identity.parent == pid]


def carries(pid: int, name: str, value: str) -> bool:
    """True if the process was started with exactly this variable in its environment."""
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{name}={value}".encode() in environment.split(b"\0")


def _ancestors() -> set[int]:
    """This process and all that it runs under: never leftovers, whatever their environment says."""
    found = set()
    pid = os.getpid()
    while pid > 0 and (identity := identify(pid)) is not None:
        found.add(pid)
        pid = identity.parent
    return found


def marked(name: str, value: str) -> list[ProcessIdentity]:
    """All processes started with this variable, but for ourselves and our ancestors."""
    ours = _ancestors()
    return [identity for identity in everyone() if identity.pid not in ours and carries(identity.pid, name, value)]


def _hold(identity: ProcessIdentity, still_meant: Callable[[int], bool]) -> int | None:
    """A pidfd of exactly this process; None when it is gone or is another by now."""
    try:
        descriptor = os.pidfd_open(identity.pid)
    except OSError:
        return None
    if identify(identity.pid) == identity and still_meant(identity.pid):
        return descriptor
    os.close(descriptor)
    return None


def send(identity: ProcessIdentity, number: signal.Signals) -> None:
    """Signal exactly this process; nothing happens when it is gone."""
    descriptor = _hold(identity, lambda _: True)
    if descriptor is None:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _kill_marked(name: str, value: str) -> list[int]:
    """Kill every process started with this variable, and what such a process starts meanwhile; a pidfd for each."""
    killed: dict[ProcessIdentity, int] = {}
    while found := [identity for identity in marked(name, value) if identity not in killed]:
        # All are held before any is killed: the end of one may be that of another, which could not be told any more.
        held = {identity: _hold(identity, lambda pid: carries(pid, name, value)) for identity in found}
        for identity, descriptor in held.items():
            if descriptor is not None:
                killed[identity] = descriptor
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    return list(killed.values())


def kill_marked(name: str, value: str) -> None:
    """Kill every process started with this variable, without waiting until they are gone."""
    for descriptor in _kill_marked(name, value):
        os.close(descriptor)


async def end_marked(name: str, value: str, *, deadline_s: float = 5.0) -> int:
    """Kill every process started with this variable, and return how many there were, once they are gone.

    Gives up waiting at the deadline: a process in an uninterruptible call ends when that call does.
    """
    descriptors = _kill_marked(name, value)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                for descriptor in descriptors:
                    await _has_ended(descriptor)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return len(descriptors)


async def _has_ended(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)  # a pidfd is readable once its process has ended
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
