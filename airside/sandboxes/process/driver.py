"""Plain processes: a clean environment, a group of their own, and an end when the worker ends. No isolation at all.

A program here sees every file of the user that Airside runs as, the network, and other sessions of the same user. One
that takes the session's mark out of its environment and leaves its process group is not found again when the session
ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from airside.sandboxes.contract import SESSION_VARIABLE, Completed, Endpoint, SandboxSpec, SandboxUnavailable
from airside.sandboxes.leftovers import end_marked
from airside.sandboxes.running import Ending, Launch, RunningProgram, complete, spawn
from airside.sandboxes.surroundings import PLAIN_GIT, environment_of, find_program, limited, place_of


def _ask_group_to_end(process_group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process_group, signal.SIGTERM)


class ProcessSandbox:
    """A session's programs as ordinary processes."""

    def __init__(self, spec: SandboxSpec) -> None:
        self._spec = spec

    @property
    def workspace(self) -> Path:
        return self._spec.paths.workspace

    @property
    def home(self) -> Path:
        return self._spec.paths.home

    @property
    def gateway_url(self) -> str:
        return self._spec.gateway.url.rstrip("/")

    async def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        listens_on: int | None = None,
        conceals: Sequence[str] = (),
    ) -> RunningProgram:
        del listens_on  # the port is on the machine's own loopback already
        self._refuse_what_it_cannot_conceal(conceals)
        return await self._spawn(command, environment)

    def _refuse_what_it_cannot_conceal(self, names: Sequence[str]) -> None:
        places = [self.workspace / name for name in names]
        there = [place.name for place in places if place.exists() or place.is_symlink()]
        if there:
            raise SandboxUnavailable(
                f"{' and '.join(there)} in the workspace could run programs on this machine when the harness starts, "
                "and the sandbox `process` cannot conceal anything",
                hint="choose the sandbox `bubblewrap` for the environment of the agent, or a repository without "
                f"{'it' if len(there) == 1 else 'them'}",
            )

    async def _spawn(
        self, command: Sequence[str], environment: Mapping[str, str], *, stderr_bytes: int = 64 << 10
    ) -> RunningProgram:
        limits = limited(command, memory_bytes=self._spec.memory_bytes, processes=self._spec.processes)
        return await spawn(
            Launch(
                command=[place_of("setpriv"), "--pdeathsig", "KILL", "--", *limits],
                environment=environment_of(self._spec.session_id, self.home, environment),
                directory=str(self.workspace),
            ),
            Ending(gently=_ask_group_to_end),
            stderr_bytes=stderr_bytes,
        )

    def endpoint(self, port: int) -> Endpoint:
        return Endpoint(f"http://127.0.0.1:{port}")

    def free_port(self) -> int:
        # Another program may take it before ours does; whoever starts one must be ready to see it fail.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
            return port

    async def run(
        self, command: Sequence[str], *, timeout_s: float, stdin: bytes = b"", limit_bytes: int = 256 << 20
    ) -> Completed:
        program = await self._spawn(command, PLAIN_GIT, stderr_bytes=limit_bytes)
        return await complete(program, timeout_s=timeout_s, stdin=stdin, limit_bytes=limit_bytes)

    async def stop_leftovers(self) -> int:
        return await end_marked(SESSION_VARIABLE, self._spec.session_id)


class ProcessDriver:
    """Builds sandboxes that isolate nothing."""

    kind = "process"

    def unavailable_because(self) -> str | None:
        missing = [name for name in ("setpriv", "prlimit") if find_program(name) is None]
        if missing:
            return f"{' and '.join(missing)} not found; install the package util-linux."
        return None

    def build(self, spec: SandboxSpec) -> ProcessSandbox:
        return ProcessSandbox(spec)
