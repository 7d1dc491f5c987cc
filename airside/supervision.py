"""Supervises processes: starts them in order, restarts those that die, ends them in the reverse order.

Knows nothing of what they do beyond one line of JSON that each prints on its standard output when it is ready.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from airside.clock import Clock
from airside.errors import AirsideError, BadInput, Unavailable

logger = structlog.get_logger()

_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 10.0
_STEADY_S = 30.0  # a process that ran this long begins again without a wait
_TAIL_BYTES = 4000
_PR_SET_PDEATHSIG = 1

Ready = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Role:
    """A process to keep alive. `command` is asked again at each start, with what earlier starts have said.

    `called`: how a sentence names it, behind "the".
    """

    name: str
    called: str
    command: Callable[[], Sequence[str]]
    environment: Mapping[str, str]
    log: Path
    ready_within_s: float = 60.0
    drain_s: float = 40.0
    taking_over: Sequence[str] = ()  # said to one that takes over from the one that runs; empty: none can


@dataclass(slots=True)
class Supervised:
    """One process under supervision. `ready` is what it said last; `restarts` how often it came back."""

    role: Role
    clock: Clock
    ready: Ready = field(default_factory=dict)
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = None
    _others: list[asyncio.subprocess.Process] = field(default_factory=list)  # coming up beside it, or leaving
    _stopping: bool = False
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)  # held while `_process` is about to be another

    @property
    def pid(self) -> int | None:
        """The process's id while it lives."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> Ready:
        """Start it and wait for its ready line. If it does not come up, raises the reason it gave, or `Unavailable`."""
        self._stopping = False
        async with self._changing:
            return await self._begin()

    async def replace(self) -> Ready:
        """Start a successor that takes over from the process that runs, which then ends by itself.

        If the successor does not come up, the one that runs goes on, and the reason is raised.
        """
        # The old one may have ended before the successor's word is read: `keep_alive` must not take that for a death.
        async with self._changing:
            return await self._hand_over()

    async def _begin(self) -> Ready:
        self._process = await self._launch(self.role.command())
        self.ready = await self._first_word(self._process)
        return self.ready

    async def _hand_over(self) -> Ready:
        successor = await self._launch([*self.role.command(), *self.role.taking_over])
        self._others.append(successor)
        ready = await self._first_word(successor)
        self._others.remove(successor)
        if self._process is not None:
            self._others = [each for each in (*self._others, self._process) if each.returncode is None]
        self._process, self.ready = successor, ready
        return ready

    async def _launch(self, command: Sequence[str]) -> asyncio.subprocess.Process:
        self.role.log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.role.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self.role.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        if self._stopping:  # `stop` came while it was launched, and could not know of it
            await self._end(process)
        return process

    async def _first_word(self, process: asyncio.subprocess.Process) -> Ready:
        try:
            return await asyncio.wait_for(self._ready_line(process), self.role.ready_within_s)
        except TimeoutError:
            await self._end(process)
            raise self._not_up(f"was not ready within {self.role.ready_within_s:.0f} s") from None

    async def _ready_line(self, process: asyncio.subprocess.Process) -> Ready:
        assert process.stdout is not None
        line = await process.stdout.readline()
        if not line:
            code = await process.wait()
            raise self._not_up(f"ended with exit code {code}")
        said: Ready = json.loads(line)
        if "error" in said:
            await process.wait()
            raise _failure(said["error"])
        return said

    def _not_up(self, what: str) -> Unavailable:
        said = self._tail()
        return Unavailable(
            f"the {self.role.called} {what}" + (f":\n{said}" if said else ""),
            code="process_failed",
            hint=f"Its whole log is {self.role.log}.",
        )

    def _tail(self) -> str:
        try:
            content = self.role.log.read_bytes()[-_TAIL_BYTES:]
        except OSError:
            return ""
        return "\n".join(content.decode(errors="replace").splitlines()[-12:])

    async def keep_alive(self) -> None:
        """Start it again whenever it ends, until `stop`. Waits longer each time it does not last."""
        backoff_s = _FIRST_BACKOFF_S
        while True:
            began = self.clock.monotonic()
            process = self._process
            assert process is not None
            code = await process.wait()
            async with self._changing:
                if self._stopping:
                    return
                if process is not self._process:
                    continue  # its successor runs
                if self.clock.monotonic() - began > _STEADY_S:
                    backoff_s = _FIRST_BACKOFF_S
                logger.warning("process ended and is started again", role=self.role.name, exit_code=code)
                await self.clock.sleep(backoff_s)
                await self._begin_again()
            backoff_s = min(_LONGEST_BACKOFF_S, backoff_s * 2)

    async def _begin_again(self) -> None:
        if self._stopping:
            return
        self.restarts += 1
        try:
            await self._begin()
        except (AirsideError, ValueError) as error:
            logger.error("process did not come up again", role=self.role.name, reason=str(error))  # noqa: TRY400

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for its whole group if it does not drain in time. Safe to call twice."""
        self._stopping = True
        processes = [*self._others, *([self._process] if self._process is not None else [])]
        await asyncio.gather(*(self._end(process) for process in processes))

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), self.role.drain_s)
        except TimeoutError:
            logger.warning("process did not drain in time", role=self.role.name)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _failure(detail: Any) -> AirsideError:
    """The error that a process gave as its reason for not coming up."""
    kind = BadInput if detail["bad_input"] else Unavailable
    return kind(str(detail["message"]), code=str(detail["code"]), hint=detail["hint"])


def _end_with_parent() -> None:
    """In the child: be asked to end when the supervisor dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
