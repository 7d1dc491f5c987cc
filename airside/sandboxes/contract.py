"""The contract every sandbox kind keeps.

Everything inside a sandbox is hostile: the repository, the model's commands and the harness itself. A sandbox gives it
the session's own files, the harness program read-only, and one way out: the gateway.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from airside.errors import Unavailable
from airside.ids import SessionId

SESSION_VARIABLE = "AIRSIDE_SESSION"  # in the environment of every program started for a session


class SandboxUnavailable(Unavailable):
    """This kind of sandbox does not work here, or not with what it was given."""

    code = "sandbox_unavailable"


class SandboxTimeout(Unavailable):
    """A program that had to run to its end did not within its time; it was ended."""

    code = "sandbox_timeout"


@dataclass(frozen=True, slots=True)
class SandboxPaths:
    """The session's places on this machine; all exist before a sandbox is built.

    `workspace` is the clone the agent works in, `home` the harness's HOME, `run` holds sockets. All three belong to
    one session and nothing else does.
    """

    workspace: Path
    home: Path
    run: Path


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where the gateway listens on this machine: over TCP, and on a unix socket for sandboxes without a network.

    `socket` lies in a folder that holds nothing else: that folder, not the socket, is shown inside, because a restarted
    gateway makes its socket anew and a sandbox that held on to the old one would never reach it again.
    """

    url: str
    socket: Path | None = None


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What one sandbox is made of.

    `memory_bytes` bounds the writable memory of each process; harnesses built on JavaScriptCore (Claude Code, OpenCode)
    reserve 4 GiB of it before they use any. `processes` bounds their number: that of the sandbox
    under bubblewrap, that of the whole user without isolation; Linux does not hold the superuser to it.
    """

    session_id: SessionId
    paths: SandboxPaths
    gateway: GatewayAddress
    programs: Sequence[Path] = field(default_factory=tuple)  # folders shown read-only inside, at the same path
    memory_bytes: int | None = None
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How a program outside reaches a port that was opened inside."""

    base_url: str
    socket: Path | None = None  # connect here instead of to the URL's host


@dataclass(frozen=True, slots=True)
class Completed:
    """A program that ran to its end inside a sandbox."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class SandboxProcess(Protocol):
    """A program running inside a sandbox, with pipes on its standard input and output."""

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """What it reads; closing it is its end of input."""
        ...

    @property
    def stdout(self) -> asyncio.StreamReader:
        """What it writes. It waits for whoever reads here, so somebody must."""
        ...

    @property
    def process_group(self) -> int:
        """The group on this machine that holds the program: what to signal when nothing gentler is left."""
        ...

    def stderr_tail(self) -> str:
        """The end of what it wrote to stderr. That stream is always read, so it never holds the program up."""
        ...

    async def wait(self) -> int:
        """The exit code; negative for a signal."""
        ...

    async def stop(self, grace_s: float = 5.0) -> None:
        """End the program and everything it started: SIGTERM, then SIGKILL after the grace. Safe to call twice."""
        ...


class Sandbox(Protocol):
    """One session's fence. Holds no process of its own between calls."""

    @property
    def workspace(self) -> Path:
        """The workspace as programs inside see it."""
        ...

    @property
    def home(self) -> Path:
        """HOME as programs inside see it."""
        ...

    @property
    def gateway_url(self) -> str:
        """The gateway's base URL as programs inside see it, without a trailing slash or `/v1`."""
        ...

    async def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        listens_on: int | None = None,
        conceals: Sequence[str] = (),
    ) -> SandboxProcess:
        """Start a program in the workspace, in its own process group, with exactly this environment.

        PATH, HOME, LANG and TERM are set unless given. It dies with the calling process. With `listens_on`, the port
        that the program will open on its own loopback can be reached through `endpoint`. What `conceals` names in
        the workspace cannot be read, by the program or by what it starts. Raises `SandboxUnavailable`, also for what
        is there and cannot be concealed: a kind that isolates nothing can conceal nothing.
        """
        ...

    def endpoint(self, port: int) -> Endpoint:
        """How to reach `port` inside, once a program started with `listens_on=port` has opened it."""
        ...

    def free_port(self) -> int:
        """A port that a program inside may listen on."""
        ...

    async def run(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b"", limit_bytes: int = 256 << 20
    ) -> Completed:
        """Run a program to its end, without the gateway or any secret: for git and tar on a tree nobody trusts.

        Raises `SandboxTimeout` after `timeout_s`, `TooLarge` when its output passes `limit_bytes`.
        """
        ...

    async def stop_leftovers(self) -> int:
        """End whatever a dead worker's programs of this session left behind on this machine; returns how many."""
        ...


class SandboxDriver(Protocol):
    """Builds sandboxes of one kind."""

    kind: str

    def unavailable_because(self) -> str | None:
        """Why this kind cannot work on this machine, as a sentence with the next step; None when it can."""
        ...

    def build(self, spec: SandboxSpec) -> Sandbox:
        """A sandbox over these paths. Starts nothing yet."""
        ...
