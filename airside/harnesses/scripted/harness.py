"""Starts our own agent, and carries one conversation with it."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Literal

from airside.errors import Conflict
from airside.events import JsonObject
from airside.harnesses.contract import (
    HarnessEvent,
    HarnessFailed,
    HarnessSpec,
    Message,
    MessageDelta,
    NativeSessionLost,
    Retrying,
    Started,
    Thinking,
    ToolResult,
    ToolUse,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.home_files import read_file
from airside.harnesses.json_lines import JsonLines
from airside.harnesses.json_values import number, part, text
from airside.harnesses.reports import Reports, describe_death, report_death
from airside.harnesses.starting import wait_until_up
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox, SandboxProcess
from airside.tools.grants import BuiltinTool, Permission

NAME = "scripted"

_TOOLS = {
    BuiltinTool.READ: ("read",),
    BuiltinTool.EDIT: ("write", "edit"),
    BuiltinTool.BASH: ("bash",),
}
_SESSIONS = ".airside/sessions"
_ENDS = {str(end): end for end in TurnEnd}
_STARTS_WITHIN_S = 30
_ENDS_WITHIN_S = 3

# The folder that holds the package `airside` goes last: the standard library comes first, whatever else lies there.
_RUN = "import sys; sys.path.append(sys.argv.pop(1)); from airside.harnesses.scripted.agent.main import main; main()"


class ScriptedHarness:
    """Our own agent."""

    name = NAME
    families: Sequence[ProviderProtocol] = (
        ProviderProtocol.ANTHROPIC,
        ProviderProtocol.OPENAI_RESPONSES,
        ProviderProtocol.OPENAI_CHAT,
    )
    session_files: Sequence[str] = (_SESSIONS,)

    async def start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningScripted:
        process = await sandbox.start(_command(spec, sandbox), {"AIRSIDE_TOKEN": spec.token.value})
        lines = JsonLines(process)
        started = await wait_until_up(process, "the agent", _begin(lines, process, spec), within_s=_STARTS_WITHIN_S)
        return RunningScripted(process, lines, started)

    def holds_session(self, home: Path, native_session_id: str) -> bool:
        return any(True for _ in _entries(home, native_session_id))

    def recorded_input(self, home: Path, native_session_id: str, text: str) -> bool:
        return any(
            entry.get("role") == "user" and entry.get("text") == text for entry in _entries(home, native_session_id)
        )


def _command(spec: HarnessSpec, sandbox: Sandbox) -> list[str]:
    # <root>/airside/harnesses/scripted/agent: only that last folder is visible inside.
    root = spec.installation.parents[3]
    tools = [name for tool, names in _TOOLS.items() if spec.may_use(tool) for name in names]
    return [
        *("python3", "-I", "-B", "-c", _RUN, str(root)),
        *("--dialect", spec.family, "--url", sandbox.gateway_url, "--model", spec.model),
        *("--session", spec.resume or secrets.token_hex(16), "--tools", ",".join(tools)),
        *("--system", spec.system or "", "--version", _version()),
        *(["--resume"] if spec.resume is not None else []),
    ]


def _version() -> str:
    from airside import __version__

    return __version__


async def _begin(lines: JsonLines, process: SandboxProcess, spec: HarnessSpec) -> Started:
    first = await lines.receive()
    if first is not None:
        return Started(text(first, "session_id"), text(first, "version"), resumed=first.get("resumed") is True)
    exit_code, said = await process.wait(), process.stderr_tail()
    if spec.resume is not None and "no session" in said:
        raise NativeSessionLost(f"the agent holds no session {spec.resume} in this HOME")
    raise HarnessFailed(describe_death("the agent", exit_code, said))


def _entries(home: Path, session_id: str) -> Iterator[JsonObject]:
    for line in (read_file(home, f"{_SESSIONS}/{session_id}.jsonl") or b"").splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            yield entry


def _event_of(message: JsonObject) -> HarnessEvent | None:
    said = text(message, "text")
    match message.get("type"):
        case "delta":
            event: HarnessEvent | None = MessageDelta(said)
        case "message":
            event = Message(said)
        case "thinking":
            event = Thinking(said)
        case "tool_use":
            event = ToolUse(text(message, "id"), text(message, "name"), part(message, "input"))
        case "tool_result":
            event = ToolResult(text(message, "id"), said, message.get("is_error") is True)
        case "retrying":
            status, delay_ms = number(message, "status"), number(message, "delay_ms")
            event = Retrying(number(message, "attempt") or 1, delay_ms, status, text(message, "detail"))
        case "turn_ended":
            event = TurnEnded(_ENDS.get(text(message, "reason"), TurnEnd.FAILED), text(message, "detail") or None)
        case _:
            event = None
    return event


class RunningScripted:
    """One process of the agent."""

    def __init__(self, process: SandboxProcess, lines: JsonLines, started: Started) -> None:
        self._process = process
        self._lines = lines
        self._reports = Reports(started, self._pull)

    @property
    def process_group(self) -> int:
        return self._process.process_group

    def events(self) -> AsyncIterator[HarnessEvent]:
        return self._reports

    async def send(self, text: str) -> None:
        self._reports.begin_turn()
        await self._lines.send({"type": "user", "text": text})

    async def interrupt(self) -> None:
        if self._reports.in_turn:
            await self._lines.send({"type": "interrupt"})

    async def decide(self, call_id: str, permission: Literal[Permission.ALLOW, Permission.DENY], reason: str) -> None:
        del permission, reason
        raise Conflict(f"the agent holds back no tool call {call_id}")

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
            await report_death(self._reports, self._process, "the agent")
        elif (event := _event_of(message)) is not None:
            self._reports.add(event)
        return True
