"""One attempt at one turn: from a workspace and a harness that is not running to a harness that has stopped again.

Everything the harness reports goes into the log as it comes, under the fencing token of the lease. What the turn's end
means for the session is decided by `driver`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.redaction import redacted
from airside.agents.agents import Agent
from airside.environments.environments import Environment
from airside.errors import AirsideError
from airside.events import JsonObject
from airside.harnesses.contract import (
    Harness,
    HarnessEvent,
    HarnessSpec,
    MessageDelta,
    RunningHarness,
    Started,
    ToolUse,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.installation import Installation
from airside.sandboxes.contract import Sandbox
from airside.sessions.artifacts import ArtifactKind
from airside.sessions.equipment import Equipment
from airside.sessions.leases import SessionLease
from airside.sessions.log import Event
from airside.sessions.recovery import Approach, any_model_call, choose_approach
from airside.sessions.sessions import Session
from airside.sessions.states import SessionState, Wanted
from airside.sessions.transcript import Entry, Recorder, error_payload, unknown_outcome
from airside.sessions.turns import Turn
from airside.sessions.workspace import (
    is_provided,
    make_patch,
    note_provided,
    pack_home,
    pack_workspace,
    unpack,
)
from airside.storage.tables import turns
from airside.tasks import alongside

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """What is run: the session as it stood when the lease was taken, its turn, agent and place."""

    session: Session
    turn: Turn
    agent: Agent
    environment: Environment
    lease: SessionLease


class TurnRun:
    """Runs one attempt. `handover` is set when this worker is about to stop."""

    def __init__(self, equipment: Equipment, job: Job, handover: asyncio.Event) -> None:
        self._equipment = equipment
        self._job = job
        self._handover = handover
        self._recorder = Recorder()

    async def run(self) -> TurnEnded:
        """Provide the workspace, start or resume the harness, give it the input and follow it to the turn's end.

        Raises `AirsideError` for what was planned for (no repository, no harness, no sandbox) and `LeaseLost`.
        """
        installation = self._equipment.installation(self._job.agent.definition.harness)
        sandbox = await self._provide(installation)
        await sandbox.stop_leftovers()
        approach = await self._approach(sandbox)
        running = await self._start(sandbox, installation, approach)
        try:
            ended = await self._follow(running, approach)
        finally:
            await running.close()
        await self._keep(sandbox)
        return ended

    # --- before ---------------------------------------------------------------------------------------------------

    async def _provide(self, installation: Installation) -> Sandbox:
        equipment, session = self._equipment, self._job.session
        workspace = equipment.data.session(session.session_id).workspace
        workspace.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if session.base_commit is not None and not is_provided(workspace):
            return await self._restore_workspace(installation, session.base_commit)
        base_commit = await equipment.cloner.provide(workspace, session.repository, session.session_id)
        async with equipment.database.write() as connection:
            await equipment.sessions.change(connection, session.session_id, base_commit=base_commit)
        return equipment.sandbox(session, self._job.environment, installation)

    async def _restore_workspace(self, installation: Installation, base_commit: str) -> Sandbox:
        """The workspace is not on this machine: take it from the last snapshot."""
        equipment, session = self._equipment, self._job.session
        workspace = equipment.data.session(session.session_id).workspace
        workspace.mkdir(mode=0o700, exist_ok=True)
        sandbox = equipment.sandbox(session, self._job.environment, installation)
        archive = await self._latest(ArtifactKind.WORKSPACE)
        if archive is not None:
            await unpack(sandbox, sandbox.workspace, archive)
        note_provided(workspace, base_commit)
        return sandbox

    async def _latest(self, kind: ArtifactKind) -> bytes | None:
        equipment = self._equipment
        async with equipment.database.read() as connection:
            found = await equipment.artifacts.latest(connection, self._job.session.session_id, kind)
        return await asyncio.to_thread(equipment.artifacts.content, found.sha256) if found else None

    async def _approach(self, sandbox: Sandbox) -> Approach:
        equipment, job = self._equipment, self._job
        harness = self._harness
        home = equipment.data.session(job.session.session_id).home
        native = job.session.native_session_id
        if native is not None and not harness.holds_session(home, native):
            archive = await self._latest(ArtifactKind.HARNESS_FILES)
            if archive is not None:
                await unpack(sandbox, sandbox.home, archive)
        async with equipment.database.read() as connection:
            events = [event async for event in equipment.log.all(connection, job.session.session_id)]
            called = await any_model_call(connection, job.session.session_id, job.turn)
        return choose_approach(harness, home, job.session, job.turn, events, anything_called=called)

    @property
    def _harness(self) -> Harness:
        return self._equipment.harnesses[self._job.agent.definition.harness]

    async def _start(self, sandbox: Sandbox, installation: Installation, approach: Approach) -> RunningHarness:
        equipment, job = self._equipment, self._job
        protocol = await equipment.protocol(job.agent)
        async with equipment.database.write() as connection:
            token, expires_at = await equipment.tokens.mint(connection, job.session, job.agent)
            await equipment.sessions.change(connection, job.session.session_id, tokens_expire_at=expires_at)
            await connection.execute(
                update(turns).where(turns.c.id == job.turn.turn_id).values(attempts=turns.c.attempts + 1)
            )
        spec = HarnessSpec(
            session_id=job.session.session_id,
            agent_name=job.agent.name,
            model=job.agent.definition.model,
            family=protocol,
            system=job.agent.definition.system,
            token=token,
            installation=installation.folder,
            executable=installation.executable,
            resume=approach.resume,
            builtin=job.agent.definition.tools.effective,
        )
        return await self._harness.start(spec, sandbox)

    # --- during ---------------------------------------------------------------------------------------------------

    async def _follow(self, running: RunningHarness, approach: Approach) -> TurnEnded:
        reports = running.events()
        started = await anext(reports)
        assert isinstance(started, Started)
        await self._note_start(started, approach)
        await self._note_sent()
        await running.send(approach.text)
        async with alongside(self._watch(running)):
            return await self._record_until_end(reports)

    async def _note_start(self, started: Started, approach: Approach) -> None:
        equipment, session_id = self._equipment, self._job.session.session_id
        async with equipment.database.write() as connection:
            for call in approach.closes:
                await self._append(connection, unknown_outcome(call))
            if approach.tier is not None:
                payload: JsonObject = {
                    "tier": approach.tier,
                    "native_session_id": started.native_session_id,
                    "unknown_outcomes": [call.event_id for call in approach.closes],
                }
                await self._append(connection, Entry("session.resumed", payload))
            await equipment.sessions.change(
                connection,
                session_id,
                native_session_id=started.native_session_id,
                harness_version=started.version,
            )
            if self._job.session.state is SessionState.RECOVERING:
                await self._append(connection, Entry("session.status_running", {}))
            await equipment.sessions.move(connection, session_id, SessionState.RUNNING)

    async def _note_sent(self) -> None:
        """Commit that the input is given before it is given: a crash between the two is settled by the ladder."""
        equipment, job = self._equipment, self._job
        async with equipment.database.write() as connection:
            await equipment.leases.renew(connection, job.lease)
            if job.turn.sent_at is None:
                await equipment.turns.change(connection, job.turn.turn_id, sent_at=equipment.clock.now())

    async def _record_until_end(self, reports: AsyncIterator[HarnessEvent]) -> TurnEnded:
        async for report in reports:
            match report:
                case TurnEnded():
                    await self._record_abandoned()
                    return report
                case MessageDelta() | Started():
                    continue
                case _:
                    entry = self._recorder.entry(report)
            if entry is not None:
                async with self._equipment.database.write() as connection:
                    event = await self._append(connection, entry)
                if isinstance(report, ToolUse):
                    self._recorder.opened(report.call_id, event.event_id)
        await self._record_abandoned()
        return TurnEnded(TurnEnd.DIED, "the harness stopped reporting before its turn was over")

    async def _record_abandoned(self) -> None:
        left = self._recorder.abandoned()
        if left:
            async with self._equipment.database.write() as connection:
                for entry in left:
                    await self._append(connection, entry)

    async def _append(self, connection: AsyncConnection, entry: Entry) -> Event:
        return await self._equipment.log.append(
            connection,
            self._job.session.session_id,
            entry.type,
            redacted(entry.payload),
            fencing_token=self._job.lease.fencing_token,
        )

    # --- after ----------------------------------------------------------------------------------------------------

    async def _keep(self, sandbox: Sandbox) -> None:
        """Keep the patch, the workspace and the harness's session files. What cannot be kept is said in the log."""
        base_commit = await self._base_commit()
        for kind, make in (
            (ArtifactKind.PATCH, partial(make_patch, sandbox, base_commit)),
            (ArtifactKind.WORKSPACE, partial(pack_workspace, sandbox)),
            (ArtifactKind.HARNESS_FILES, partial(pack_home, sandbox, self._harness.session_files)),
        ):
            try:
                await self._keep_one(kind, await make())
            except AirsideError as error:
                async with self._equipment.database.write() as connection:
                    await self._append(connection, Entry("session.error", error_payload(error.message)))

    async def _base_commit(self) -> str:
        async with self._equipment.database.read() as connection:
            session = await self._equipment.sessions.get(connection, self._job.session.session_id)
        assert session.base_commit is not None
        return session.base_commit

    async def _keep_one(self, kind: ArtifactKind, content: bytes) -> None:
        equipment, job = self._equipment, self._job
        sha256 = await asyncio.to_thread(equipment.artifacts.keep, content)
        async with equipment.database.write() as connection:
            made = await equipment.artifacts.record(connection, job.session.session_id, job.turn.turn_id, kind, sha256)
            payload: JsonObject = {
                "artifact_id": made.artifact_id,
                "kind": kind,
                "artifact_sha256": sha256,  # `sha256` is the event's own on the wire
                "size_bytes": made.size_bytes,
            }
            await self._append(connection, Entry("session.artifact_created", payload))

    # --- meanwhile ------------------------------------------------------------------------------------------------

    async def _watch(self, running: RunningHarness) -> None:
        """See to it that a wish to pause, interrupt or stop reaches the harness, and that it obeys."""
        while await self._wanted() is None and not self._handover.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._handover.wait(), self._equipment.timing.control_poll_s)
        await running.interrupt()
        await self._equipment.clock.sleep(self._equipment.timing.interrupt_grace_s)
        logger.warning("harness ignored an interrupt", session_id=self._job.session.session_id)
        await running.close()

    async def _wanted(self) -> Wanted | None:
        async with self._equipment.database.read() as connection:
            session = await self._equipment.sessions.get(connection, self._job.session.session_id)
        return session.wanted
