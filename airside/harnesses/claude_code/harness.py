"""Starts Claude Code, and carries one conversation with it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

from airside.errors import Conflict
from airside.events import JsonObject
from airside.harnesses.claude_code.command import command, environment
from airside.harnesses.claude_code.messages import events_of
from airside.harnesses.claude_code.transcript import SESSION_FILES, holds_input, holds_session
from airside.harnesses.contract import (
    HarnessEvent,
    HarnessFailed,
    HarnessSpec,
    NativeSessionLost,
    Retrying,
    Started,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.json_lines import JsonLines
from airside.harnesses.json_values import part, text
from airside.harnesses.reports import Reports, describe_death, report_death
from airside.harnesses.starting import wait_until_up
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox, SandboxProcess
from airside.tools.grants import Permission

NAME = "claude-code"

_STARTS_WITHIN_S = 60
_ENDS_WITHIN_S = 3
# Asking again with the same key gives the same answer; Claude Code would, for half a minute.
_HOPELESS = (401, 403)


class ClaudeCodeHarness:
    """Anthropic's Claude Code."""

    name = NAME
    families: Sequence[ProviderProtocol] = (ProviderProtocol.ANTHROPIC,)
    session_files: Sequence[str] = SESSION_FILES

    async def start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningClaudeCode:
        # Of our own choosing, so that it is known before the first message; Claude Code demands a UUID.
        session_id = spec.resume or str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
        process = await sandbox.start(command(spec, sandbox, session_id), environment(spec, sandbox))
        lines = JsonLines(process)
        greeting = _initialize(lines, process, resume=spec.resume)
        version = await wait_until_up(process, "Claude Code", greeting, within_s=_STARTS_WITHIN_S)
        return RunningClaudeCode(process, lines, Started(session_id, version, resumed=spec.resume is not None))

    def holds_session(self, home: Path, native_session_id: str) -> bool:
        return holds_session(home, native_session_id)

    def recorded_input(self, home: Path, native_session_id: str, text: str) -> bool:
        return holds_input(home, native_session_id, text)


async def _initialize(lines: JsonLines, process: SandboxProcess, *, resume: str | None) -> str:
    """Greet it, and return its version once it takes input."""
    await lines.send({"type": "control_request", "request_id": "start", "request": {"subtype": "initialize"}})
    while (message := await lines.receive()) is not None:
        if message.get("type") == "control_response":
            return text(part(part(message, "response"), "response"), "claude_code_version")
    exit_code = await process.wait()
    said = process.stderr_tail()
    if resume is not None and "No conversation found" in said:
        raise NativeSessionLost(f"Claude Code holds no session {resume} in this HOME")
    raise HarnessFailed(describe_death("Claude Code", exit_code, said))


class RunningClaudeCode:
    """One `claude` process."""

    def __init__(self, process: SandboxProcess, lines: JsonLines, started: Started) -> None:
        self._process = process
        self._lines = lines
        self._reports = Reports(started, self._pull)
        self._requests = 0
        self._refused: TurnEnded | None = None

    @property
    def process_group(self) -> int:
        return self._process.process_group

    def events(self) -> AsyncIterator[HarnessEvent]:
        return self._reports

    async def send(self, text: str) -> None:
        self._reports.begin_turn()
        self._refused = None
        await self._lines.send({"type": "user", "message": {"role": "user", "content": text}})

    async def interrupt(self) -> None:
        if self._reports.in_turn:
            self._requests += 1
            request: JsonObject = {"subtype": "interrupt"}
            await self._lines.send(
                {"type": "control_request", "request_id": f"stop-{self._requests}", "request": request}
            )

    async def decide(self, call_id: str, permission: Literal[Permission.ALLOW, Permission.DENY], reason: str) -> None:
        del permission, reason
        raise Conflict(f"Claude Code holds back no tool call {call_id}")

    async def close(self) -> None:
        busy = self._reports.in_turn
        self._reports.end()
        if busy:
            await self._process.stop()
        else:
            await self._lines.close_input_and_wait(within_s=_ENDS_WITHIN_S)

    async def _pull(self) -> bool:
        message = await self._lines.receive()
        if message is None:
            await report_death(self._reports, self._process, "Claude Code")
            return True
        if message.get("type") == "control_request":
            await self._decline(message)
        for event in events_of(message):
            await self._report(event)
        return True

    async def _report(self, event: HarnessEvent) -> None:
        if isinstance(event, Retrying) and event.status in _HOPELESS and self._refused is None:
            self._refused = TurnEnded(TurnEnd.FAILED, f"the gateway answered {event.status}: {event.detail}")
            await self.interrupt()
        elif isinstance(event, TurnEnded) and event.reason is TurnEnd.INTERRUPTED and self._refused is not None:
            event = self._refused
        self._reports.add(event)

    async def _decline(self, request: JsonObject) -> None:
        """Answer what it asks of us: nothing is ours to answer, and without an answer it would wait for ever."""
        await self._lines.send(
            {
                "type": "control_response",
                "response": {
                    "subtype": "error",
                    "request_id": text(request, "request_id"),
                    "error": "not available here",
                },
            }
        )
