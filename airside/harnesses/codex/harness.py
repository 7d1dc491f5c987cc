"""Starts Codex's app-server, and carries one conversation with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from airside.errors import Conflict
from airside.events import JsonObject
from airside.harnesses.codex.messages import events_of, ignored_settings, status_of
from airside.harnesses.codex.rollout import SESSION_FILES, holds_input, holds_session
from airside.harnesses.codex.settings import command, conversation, environment
from airside.harnesses.contract import (
    HarnessEvent,
    HarnessFailed,
    HarnessSpec,
    NativeSessionLost,
    Started,
    ToolResult,
    ToolUse,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.json_lines import JsonLines
from airside.harnesses.json_values import part, text
from airside.harnesses.reports import Reports, describe_death, report_death
from airside.harnesses.starting import wait_until_up
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox, SandboxProcess
from airside.tools.grants import BuiltinTool, Permission

NAME = "codex"

_STARTS_WITHIN_S = 60
_ENDS_WITHIN_S = 3
_TEMPORARY = Path("/tmp")  # noqa: S108
_PAYMENT_REQUIRED = 402
# Asking again with the same key gives the same answer; Codex would, for half a minute.
_HOPELESS = (401, _PAYMENT_REQUIRED, 403)
# An interrupt is lost, and not even answered, until the turn is really under way; these say that it is.
_SIGNS_OF_LIFE = ("turn/started", "item/started", "item/agentMessage/delta")
_ENDS_OF_TURNS = ("turn/completed", "thread/closed")
_METHOD_NOT_FOUND = -32601  # JSON-RPC 2.0


class CodexHarness:
    """OpenAI's Codex."""

    name = NAME
    families: Sequence[ProviderProtocol] = (ProviderProtocol.OPENAI_RESPONSES,)
    session_files: Sequence[str] = SESSION_FILES

    async def start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningCodex:
        if sandbox.home.is_relative_to(_TEMPORARY):
            raise HarnessFailed(
                f"Codex refuses to work with a HOME under {_TEMPORARY}, and this session's is {sandbox.home}",
                hint="choose a data directory elsewhere, or the sandbox `bubblewrap`",
            )
        process = await sandbox.start(command(spec, sandbox), environment(spec, sandbox))
        server = _Server(process)
        started = await wait_until_up(process, "Codex", _begin(server, spec, sandbox), within_s=_STARTS_WITHIN_S)
        return RunningCodex(server, started, may_edit=spec.may_use(BuiltinTool.EDIT))

    def holds_session(self, home: Path, native_session_id: str) -> bool:
        return holds_session(home, native_session_id)

    def recorded_input(self, home: Path, native_session_id: str, text: str) -> bool:
        return holds_input(home, native_session_id, text)


class _Server:
    """JSON-RPC over the process's pipes; the member "jsonrpc" is left out, as this server does."""

    def __init__(self, process: SandboxProcess) -> None:
        self.process = process
        self.lines = JsonLines(process)
        self.ignored: list[str] = []  # of our settings, those it does not know
        self._requests = 0

    async def request(self, method: str, params: JsonObject) -> int:
        """Send a request, and return the id that its response will carry."""
        self._requests += 1
        await self.lines.send({"id": self._requests, "method": method, "params": params})
        return self._requests

    async def interrupt(self, thread_id: str, turn_id: str) -> None:
        """Ask for the end of a turn."""
        await self.request("turn/interrupt", {"threadId": thread_id, "turnId": turn_id})

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        """Send a request and wait for its response, passing over everything else. For the start only."""
        number = await self.request(method, params)
        while (message := await self.lines.receive()) is not None:
            if message.get("id") == number and "method" not in message:
                return message
            self.ignored += ignored_settings(message)
        raise HarnessFailed(describe_death("Codex", await self.process.wait(), self.process.stderr_tail()))


async def _begin(server: _Server, spec: HarnessSpec, sandbox: Sandbox) -> Started:
    """Greet the server and open the conversation."""
    client: JsonObject = {"name": "airside", "title": "Airside", "version": "1"}
    greeting = part(await server.ask("initialize", {"clientInfo": client}), "result")
    await server.lines.send({"method": "initialized"})
    if spec.resume is None:
        opened = await server.ask("thread/start", conversation(spec, sandbox))
    else:
        opened = await server.ask("thread/resume", {"threadId": spec.resume, **conversation(spec, sandbox)})
    thread_id = text(part(part(opened, "result"), "thread"), "id")
    # "airside/0.163.0 (Debian ...)": our name with its version.
    version = text(greeting, "userAgent").partition("/")[2].partition(" ")[0]
    if server.ignored:
        # Each of them keeps something from the agent.
        raise HarnessFailed(
            f"Codex {version} does not know these settings, by which it is governed: {', '.join(server.ignored)}",
            hint="install the version Airside is made for: `airside harness install codex`",
        )
    if thread_id:
        return Started(thread_id, version, resumed=spec.resume is not None)
    refusal = text(part(opened, "error"), "message")
    if spec.resume is not None and "no rollout found" in refusal:
        raise NativeSessionLost(f"Codex holds no session {spec.resume} in this HOME")
    raise HarnessFailed(f"Codex opened no conversation: {refusal}")


class RunningCodex:
    """One app-server with one conversation."""

    def __init__(self, server: _Server, started: Started, *, may_edit: bool) -> None:
        self._server = server
        self._thread_id = started.native_session_id
        self._may_edit = may_edit
        self._reports = Reports(started, self._pull)
        self._starting: int | None = None  # the id of the request that starts the turn, until it is answered
        self._turn_id: str | None = None
        self._interrupting = False
        self._refused: TurnEnded | None = None
        self._subagent_turns: dict[str, str] = {}  # the turns under way, by their threads
        self._ended: TurnEnded | None = None  # the agent's own turn; the subagents may go on

    @property
    def process_group(self) -> int:
        return self._server.process.process_group

    def events(self) -> AsyncIterator[HarnessEvent]:
        return self._reports

    async def send(self, text: str) -> None:
        self._reports.begin_turn()
        self._turn_id, self._interrupting, self._refused, self._ended = None, False, None, None
        given: JsonObject = {"type": "text", "text": text}
        self._starting = await self._server.request("turn/start", {"threadId": self._thread_id, "input": [given]})

    async def interrupt(self) -> None:
        if self._reports.in_turn:
            self._interrupting = True
            await self._interrupt_all()

    async def _interrupt_all(self) -> None:
        await self._interrupt_turn()
        for thread_id, turn_id in list(self._subagent_turns.items()):
            await self._server.interrupt(thread_id, turn_id)

    async def _interrupt_turn(self) -> None:
        # Without a turn's id there is nothing to name yet; it is interrupted as soon as it is known.
        if self._turn_id is not None:
            await self._server.interrupt(self._thread_id, self._turn_id)

    async def decide(self, call_id: str, permission: Literal[Permission.ALLOW, Permission.DENY], reason: str) -> None:
        del permission, reason
        raise Conflict(f"Codex holds back no tool call {call_id}")

    async def close(self) -> None:
        busy = self._reports.in_turn
        self._reports.end()
        if busy:
            await self._server.process.stop()
        else:
            await self._server.lines.close_input_and_wait(within_s=_ENDS_WITHIN_S)

    async def _pull(self) -> bool:
        message = await self._server.lines.receive()
        if message is None:
            await report_death(self._reports, self._server.process, "Codex")
        elif "method" not in message:
            await self._on_response(message)
        elif "id" in message:
            await self._answer(message)
        else:
            await self._on_notification(text(message, "method"), part(message, "params"))
        return True

    async def _on_response(self, message: JsonObject) -> None:
        if message.get("id") != self._starting:
            return
        self._starting = None
        if "error" in message:
            detail = text(part(message, "error"), "message")
            self._reports.add(TurnEnded(TurnEnd.FAILED, f"Codex did not take the input: {detail}"))
        else:
            await self._on_turn(text(part(part(message, "result"), "turn"), "id"))

    async def _on_turn(self, turn_id: str) -> None:
        self._turn_id = turn_id
        if self._interrupting:
            await self._interrupt_turn()

    async def _on_notification(self, method: str, params: JsonObject) -> None:
        thread_id = text(params, "threadId") or self._thread_id
        if thread_id != self._thread_id:
            await self._on_subagent(thread_id, method, params)
            return
        if self._interrupting and method in _SIGNS_OF_LIFE:
            await self._interrupt_turn()
        if method == "error":
            await self._give_up_if_hopeless(part(params, "error"))
        for event in events_of(method, params):
            if isinstance(event, TurnEnded):
                self._ended = event
            else:
                self._reports.add(event)
        self._end_when_all_have()

    async def _on_subagent(self, thread_id: str, method: str, params: JsonObject) -> None:
        """Take in what a subagent's conversation reports: the calls it makes, and whether it is under way."""
        if method == "turn/started":
            self._subagent_turns[thread_id] = text(part(params, "turn"), "id")
        elif method in _ENDS_OF_TURNS:
            self._subagent_turns.pop(thread_id, None)
        elif method == "error":
            # What is refused to it, is refused to its agent too.
            await self._give_up_if_hopeless(part(params, "error"))
        turn_id = self._subagent_turns.get(thread_id)
        is_to_end = self._interrupting or self._refused is not None
        if turn_id is not None and is_to_end and method in _SIGNS_OF_LIFE:
            await self._server.interrupt(thread_id, turn_id)
        for event in events_of(method, params):
            if isinstance(event, ToolUse | ToolResult):
                # Models may count their calls in each conversation anew.
                self._reports.add(replace(event, call_id=f"{thread_id}/{event.call_id}"))
        self._end_when_all_have()

    def _end_when_all_have(self) -> None:
        """Report the end of the turn, unless a subagent is still at work: what it does belongs to this turn."""
        if self._ended is not None and not self._subagent_turns:
            self._reports.add(self._refused or self._ended)
            self._ended = None

    async def _give_up_if_hopeless(self, error: JsonObject) -> None:
        status = status_of(error)
        if status not in _HOPELESS or self._refused is not None:
            return
        reason = TurnEnd.BUDGET_REACHED if status == _PAYMENT_REQUIRED else TurnEnd.FAILED
        self._refused = TurnEnded(reason, text(error, "additionalDetails") or text(error, "message"))
        await self._interrupt_all()

    async def _answer(self, request: JsonObject) -> None:
        """Answer what Codex asks: whether a call may run. Nothing else is ours to answer."""
        method = text(request, "method")
        if method == "item/commandExecution/requestApproval":
            answer: JsonObject = {"result": {"decision": "accept"}}
        elif method == "item/fileChange/requestApproval":
            answer = {"result": {"decision": "accept" if self._may_edit else "decline"}}
        else:
            answer = {"error": {"code": _METHOD_NOT_FOUND, "message": "not available here"}}
        await self._server.lines.send({"id": request["id"], **answer})
