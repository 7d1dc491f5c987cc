"""Starts OpenCode's server, and carries one conversation with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

from airside.errors import Conflict
from airside.events import JsonObject
from airside.harnesses.contract import (
    HarnessEvent,
    HarnessFailed,
    HarnessSpec,
    NativeSessionLost,
    Started,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.json_values import part, text
from airside.harnesses.opencode.database import SESSION_FILES, holds_input, holds_session
from airside.harnesses.opencode.messages import Turn
from airside.harnesses.opencode.server import EventStream, OpenCodeServer
from airside.harnesses.opencode.settings import FAMILIES, PROVIDER, command, environment
from airside.harnesses.opencode.traps import TRAPS, give_back_to_git, keep_from_git
from airside.harnesses.reports import Reports, describe_death, report_death
from airside.harnesses.starting import wait_until_up
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import Sandbox, SandboxProcess
from airside.tools.grants import Permission

NAME = "opencode"

_STARTS_WITHIN_S = 120
_DIES_WITHIN_S = 5
_SETTLES_WITHIN_S = 3
_LISTENS = b"listening on"
_FIRST_REFUSAL = 300
_NOT_FOUND = 404


class OpenCodeHarness:
    """OpenCode."""

    name = NAME
    families: Sequence[ProviderProtocol] = FAMILIES
    session_files: Sequence[str] = SESSION_FILES

    async def start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningOpenCode:
        await keep_from_git(sandbox)
        try:
            return await self._start(spec, sandbox)
        except BaseException:
            await give_back_to_git(sandbox)
            raise

    async def _start(self, spec: HarnessSpec, sandbox: Sandbox) -> RunningOpenCode:
        port = sandbox.free_port()
        password = secrets.token_urlsafe(24)
        process = await sandbox.start(
            command(spec, port), environment(spec, sandbox, password), listens_on=port, conceals=TRAPS
        )
        server = OpenCodeServer(sandbox.endpoint(port), password)
        greeting = _begin(process, server, spec)
        events, started = await wait_until_up(process, "OpenCode", greeting, within_s=_STARTS_WITHIN_S)
        return RunningOpenCode(process, server, events, started, spec, sandbox=sandbox)

    def holds_session(self, home: Path, native_session_id: str) -> bool:
        return holds_session(home, native_session_id)

    def recorded_input(self, home: Path, native_session_id: str, text: str) -> bool:
        return holds_input(home, native_session_id, text)


async def _wait_until_listening(process: SandboxProcess) -> None:
    """Return once it says that it listens. A request made before that may be taken and never answered."""
    while line := await process.stdout.readline():
        if _LISTENS in line:
            return
    raise HarnessFailed(describe_death("OpenCode", await process.wait(), process.stderr_tail()))


async def _begin(process: SandboxProcess, server: OpenCodeServer, spec: HarnessSpec) -> tuple[EventStream, Started]:
    """Open the conversation, once the server listens and its events are heard."""
    await _wait_until_listening(process)
    events = await server.events()
    try:
        return events, await _open_session(server, events, spec)
    except BaseException:
        events.close()
        raise


async def _open_session(server: OpenCodeServer, events: EventStream, spec: HarnessSpec) -> Started:
    if await events.receive() is None:
        raise HarnessFailed("OpenCode does not tell its events")
    if spec.resume is None:
        # With a title it does not call a model for one.
        opened = await server.request("POST", "/session", {"title": spec.agent_name})
    else:
        opened = await server.request("GET", f"/session/{spec.resume}")
        if opened.status == _NOT_FOUND:
            raise NativeSessionLost(f"OpenCode holds no session {spec.resume} in this HOME")
    body = opened.body if isinstance(opened.body, dict) else {}
    session_id = text(body, "id")
    if not session_id or opened.status >= _FIRST_REFUSAL:
        raise HarnessFailed(f"OpenCode opened no session, and answered {opened.status}")
    health = (await server.request("GET", "/global/health")).body
    version = text(health, "version") if isinstance(health, dict) else ""
    return Started(session_id, version, resumed=spec.resume is not None)


class RunningOpenCode:
    """One server with one conversation."""

    def __init__(
        self,
        process: SandboxProcess,
        server: OpenCodeServer,
        events: EventStream,
        started: Started,
        spec: HarnessSpec,
        *,
        sandbox: Sandbox,
    ) -> None:
        self._process = process
        self._sandbox = sandbox
        self._server = server
        self._events = events
        self._session_id = started.native_session_id
        self._spec = spec
        self._reports = Reports(started, self._pull)
        self._inputs: set[str] = set()
        self._calls: set[str] = set()
        self._turn = Turn(self._session_id, known_inputs=self._inputs, known_calls=self._calls)
        self._interrupting = False

    @property
    def process_group(self) -> int:
        return self._process.process_group

    def events(self) -> AsyncIterator[HarnessEvent]:
        return self._reports

    async def send(self, text: str) -> None:
        self._reports.begin_turn()
        self._turn = Turn(self._session_id, known_inputs=self._inputs, known_calls=self._calls)
        self._interrupting = False
        prompt: JsonObject = {
            "model": {"providerID": PROVIDER, "modelID": self._spec.model},
            "parts": [{"type": "text", "text": text}],
            **({"system": self._spec.system} if self._spec.system else {}),
        }
        await self._ask(f"/session/{self._session_id}/prompt_async", prompt)

    async def _ask(self, path: str, body: JsonObject) -> None:
        """Post something that the turn hangs on: if it is refused, the turn has failed."""
        try:
            answer = await self._server.request("POST", path, body)
        except HarnessFailed as failure:
            # The death of the server is reported where its events end.
            if not await self._has_died():
                self._reports.add(TurnEnded(TurnEnd.FAILED, failure.message))
            return
        if answer.status >= _FIRST_REFUSAL:
            self._reports.add(TurnEnded(TurnEnd.FAILED, f"OpenCode answered {answer.status}: {answer.body}"))

    async def _has_died(self) -> bool:
        try:
            async with asyncio.timeout(_DIES_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def interrupt(self) -> None:
        if self._reports.in_turn:
            self._interrupting = True
            await self._abort()

    async def _abort(self) -> None:
        await self._ask(f"/session/{self._session_id}/abort", {})

    async def decide(self, call_id: str, permission: Literal[Permission.ALLOW, Permission.DENY], reason: str) -> None:
        del permission, reason
        raise Conflict(f"OpenCode holds back no tool call {call_id}")

    async def close(self) -> None:
        self._reports.end()
        self._events.close()
        await self._process.stop()
        await give_back_to_git(self._sandbox)

    async def _pull(self) -> bool:
        try:
            # Idle with a message still open: what closes it follows at once, if it follows at all.
            async with asyncio.timeout(_SETTLES_WITHIN_S if self._turn.is_idle and self._reports.in_turn else None):
                event = await self._events.receive()
        except TimeoutError:
            self._reports.add(self._turn.end(interrupted=self._interrupting))
            return True
        if event is None:
            if not await self._has_died():
                await self._process.stop(0)
            await report_death(self._reports, self._process, "OpenCode")
        else:
            await self._on_event(event)
        return True

    async def _on_event(self, event: JsonObject) -> None:
        for report in self._turn.events_of(event):
            self._reports.add(report)
        if self._turn.is_settled:
            self._reports.add(self._turn.end(interrupted=self._interrupting))
        about = part(event, "properties")
        if event.get("type") == "permission.asked":
            # Nobody is there to be asked, for this session or for one of its subagents.
            await self._ask(f"/permission/{text(about, 'id')}/reply", {"reply": "reject"})
        elif self._interrupting and part(about, "status").get("type") == "busy":
            # An abort that comes before the turn has begun aborts nothing.
            await self._abort()
