"""What every program in a sandbox is given, whatever the kind: its environment and its limits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from airside.ids import SessionId
from airside.sandboxes.contract import SESSION_VARIABLE

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

# A tree that nobody trusts can hold settings for git that run programs. Those of the tree itself cannot be turned off
# by environment, those of the machine and of HOME can.
PLAIN_GIT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}


def find_program(name: str) -> str | None:
    """Where a program of this machine is, on the fixed search path; the worker's own may lead elsewhere."""
    return shutil.which(name, path=SEARCH_PATH)


def place_of(name: str) -> str:
    """The same as a word of a command: the bare name of one that is nowhere, so that starting it says so."""
    return find_program(name) or name


def environment_of(session_id: SessionId, home: Path, given: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a program: ours where nothing else is given, and the session's mark always."""
    return {
        "PATH": SEARCH_PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        **given,
        SESSION_VARIABLE: session_id,
    }


def limited(command: Sequence[str], *, memory_bytes: int | None, processes: int | None) -> list[str]:
    """The command under the limits that are given (see `SandboxSpec`).

    Memory is bounded as writable private memory (RLIMIT_DATA), not as address space: the engines that harnesses are
    built on reserve many gigabytes of addresses that they never touch.
    """
    limits = []
    if memory_bytes is not None:
        limits.append(f"--data={memory_bytes}:{memory_bytes}")
    if processes is not None:
        limits.append(f"--nproc={processes}:{processes}")
    return ["prlimit", *limits, "--", *command] if limits else list(command)
