"""Drives sessions: takes the lease of one, runs its turns one after the other, and gives the lease back.

The only writer of a session's state while it holds the lease. Everything it decides is in the database before it acts
on it, so that whoever takes over knows where to go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.redaction import redacted
from airside.errors import AirsideError
from airside.events import JsonObject
from airside.harnesses.contract import TurnEnd, TurnEnded
from airside.ids import SessionId
from airside.sessions.equipment import Equipment
from airside.sessions.inputs import cancel_session
from airside.sessions.leases import SessionLease
from airside.sessions.log import LeaseLost
from airside.sessions.sessions import Session
from airside.sessions.states import ACTIVE, SessionState, TurnState, Wanted
from airside.sessions.transcript import error_payload
from airside.sessions.turn_run import Job, TurnRun
from airside.sessions.turns import Turn
from airside.tasks import alongside

logger = structlog.get_logger()

DRIVE = "drive"  # the name of this work in the engine
MOST_ATTEMPTS = 5  # harness processes for one turn, before it counts as one that kills whoever runs it

PAUSED: JsonObject = {"type": "paused"}
END_TURN: JsonObject = {"type": "end_turn"}


@dataclass(frozen=True, slots=True)
class _Ending:
    """What the end of an attempt means. `session` None: idle, unless more is queued."""

    turn: TurnState
    reason: str
    stop_reason: JsonObject
    session: SessionState | None = None
    error: str | None = None


class Driver:
    """Drives the sessions that the engine hands to this worker."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment
        self._handover = asyncio.Event()

    def hand_over(self) -> None:
        """Stop all harnesses at once and leave their turns to another worker."""
        self._handover.set()

    async def drive(self, session_id: str) -> None:
        """Run everything that a session has to do. Returns when it rests, or at once if another worker has it."""
        equipment = self._equipment
        async with equipment.database.write() as connection:
            lease = await equipment.leases.acquire(connection, SessionId(session_id), equipment.executor_id)
        if lease is None:
            return
        try:
            async with alongside(self._keep_lease(lease)):
                await self._run_turns(lease)
        except LeaseLost:
            logger.warning("session was taken over by another worker", session_id=session_id)
        finally:
            await self._give_back(lease)

    async def _keep_lease(self, lease: SessionLease) -> None:
        equipment = self._equipment
        while True:
            await equipment.clock.sleep(equipment.timing.lease_s / 3)
            async with equipment.database.write() as connection:
                await equipment.leases.renew(connection, lease)

    async def _give_back(self, lease: SessionLease) -> None:
        """Let go of the lease if it is still ours: after an error or a handover. A session at rest has none."""
        equipment = self._equipment
        async with equipment.database.write() as connection:
            session = await equipment.sessions.get(connection, lease.session_id)
            if session.fencing_token == lease.fencing_token and session.lease_expires_at is not None:
                await equipment.leases.release(connection, lease, unfinished=True)

    async def _run_turns(self, lease: SessionLease) -> None:
        while not self._handover.is_set() and (job := await self._next_job(lease)) is not None:
            began = self._equipment.clock.monotonic()
            ended = await self._attempt(job)
            await self._equipment.journal.flush()
            await self._conclude(job, ended, self._equipment.clock.monotonic() - began)

    # --- what comes next ------------------------------------------------------------------------------------------

    async def _next_job(self, lease: SessionLease) -> Job | None:
        """The turn to run now, marked as begun; None if there is none, and the session is then at rest."""
        equipment = self._equipment
        async with equipment.database.write() as connection:
            await equipment.leases.renew(connection, lease)
            session = await equipment.sessions.get(connection, lease.session_id)
            if session.wanted is Wanted.INTERRUPT:
                await self._give_up_current(connection, session)
            pending = await self._pending(connection, session)
            held_back = session.wanted in {Wanted.PAUSE, Wanted.STOP} or session.state not in ACTIVE
            if held_back or not pending:
                await self._rest(connection, lease, session, pending)
                return None
            return await self._begin(connection, lease, session, pending[0])

    async def _pending(self, connection: AsyncConnection, session: Session) -> list[Turn]:
        """What is under way, then what is queued."""
        return list(
            await self._equipment.turns.of_session(
                connection, session.session_id, TurnState.IN_PROGRESS, TurnState.QUEUED
            )
        )

    async def _give_up_current(self, connection: AsyncConnection, session: Session) -> None:
        turns = self._equipment.turns
        for turn in await turns.of_session(connection, session.session_id, TurnState.IN_PROGRESS):
            await turns.end(connection, turn.turn_id, TurnState.CANCELLED, "interrupted")
        await self._equipment.sessions.change(connection, session.session_id, wanted=None)

    async def _rest(
        self, connection: AsyncConnection, lease: SessionLease, session: Session, pending: list[Turn]
    ) -> None:
        """Bring a session to rest of which no turn is to run now, and release its lease."""
        equipment = self._equipment
        if session.wanted is Wanted.STOP and not session.is_over:
            await cancel_session(connection, equipment.sessions, equipment.turns, equipment.log, session.session_id)
        elif session.wanted is Wanted.PAUSE and session.state in ACTIVE:
            for turn in pending:
                if turn.sent_at is not None:
                    await equipment.turns.end(connection, turn.turn_id, TurnState.INTERRUPTED, "paused")
            await self._settle(connection, lease, SessionState.INTERRUPTED, PAUSED)
        elif session.state in ACTIVE:
            await self._settle(connection, lease, SessionState.IDLE, END_TURN)
        await equipment.sessions.change(connection, session.session_id, wanted=None)
        await equipment.leases.release(connection, lease)

    async def _begin(self, connection: AsyncConnection, lease: SessionLease, session: Session, turn: Turn) -> Job:
        equipment = self._equipment
        if turn.state is TurnState.IN_PROGRESS and session.state is not SessionState.RECOVERING:
            await self._recover(connection, lease, "worker_lost")
        elif session.state is SessionState.QUEUED:
            await self._append(connection, lease, "session.status_running", {})
            await equipment.sessions.move(connection, session.session_id, SessionState.PROVISIONING)
        started_at = turn.started_at or equipment.clock.now()
        await equipment.turns.change(connection, turn.turn_id, state=TurnState.IN_PROGRESS, started_at=started_at)
        return Job(
            session=await equipment.sessions.get(connection, session.session_id),
            turn=turn,
            agent=await equipment.stores.agents.get(connection, session.agent_id, session.agent_version),
            environment=await equipment.stores.environments.get(connection, session.environment_id),
            lease=lease,
        )

    async def _recover(self, connection: AsyncConnection, lease: SessionLease, reason: str) -> None:
        await self._append(connection, lease, "session.status_rescheduled", {"reason": reason})
        await self._equipment.sessions.move(connection, lease.session_id, SessionState.RECOVERING)

    # --- running it -----------------------------------------------------------------------------------------------

    async def _attempt(self, job: Job) -> TurnEnded:
        if job.turn.attempts >= MOST_ATTEMPTS:
            return TurnEnded(
                TurnEnd.FAILED,
                f"given up: {job.turn.attempts} processes have died or been lost in this turn",
            )
        try:
            return await TurnRun(self._equipment, job, self._handover).run()
        except LeaseLost:
            raise
        except AirsideError as error:
            return TurnEnded(TurnEnd.FAILED, str(error))
        except Exception:
            logger.exception("turn failed on a defect", session_id=job.session.session_id)
            return TurnEnded(TurnEnd.FAILED, "an internal error, described in the worker's log")

    # --- what it came to ------------------------------------------------------------------------------------------

    async def _conclude(self, job: Job, ended: TurnEnded, seconds: float) -> None:
        """Commit the end of an attempt: its turn, the session's state and the lease, all at once."""
        equipment, session_id = self._equipment, job.session.session_id
        async with equipment.database.write() as connection:
            await equipment.leases.renew(connection, job.lease)
            session = await equipment.sessions.get(connection, session_id)
            await equipment.sessions.change(connection, session_id, active_seconds=session.active_seconds + seconds)
            if self._is_unfinished(session, ended):
                return
            if ended.reason is TurnEnd.DIED and session.wanted is None:
                await self._recover(connection, job.lease, "harness_died")
                return
            await self._end(connection, job, _ending(session.wanted, ended))

    def _is_unfinished(self, session: Session, ended: TurnEnded) -> bool:
        stopped_by_us = ended.reason in {TurnEnd.INTERRUPTED, TurnEnd.DIED}
        return self._handover.is_set() and stopped_by_us and session.wanted is None

    async def _end(self, connection: AsyncConnection, job: Job, ending: _Ending) -> None:
        equipment, session_id = self._equipment, job.session.session_id
        await equipment.turns.end(connection, job.turn.turn_id, ending.turn, ending.reason, ending.error)
        if ending.error is not None:
            await self._append(connection, job.lease, "session.error", redacted(error_payload(ending.error)))
        await equipment.sessions.change(connection, session_id, wanted=None)
        if ending.session is SessionState.CANCELLED:
            await cancel_session(connection, equipment.sessions, equipment.turns, equipment.log, session_id)
        elif ending.session is not None:
            await self._settle(connection, job.lease, ending.session, ending.stop_reason)
        elif await self._pending(connection, job.session):
            return
        else:
            await self._settle(connection, job.lease, SessionState.IDLE, ending.stop_reason)
        await equipment.leases.release(connection, job.lease)

    async def _settle(
        self, connection: AsyncConnection, lease: SessionLease, state: SessionState, stop_reason: JsonObject
    ) -> None:
        await self._append(connection, lease, "session.status_idle", {"stop_reason": stop_reason})
        await self._equipment.sessions.move(connection, lease.session_id, state, stop_reason=stop_reason)

    async def _append(self, connection: AsyncConnection, lease: SessionLease, kind: str, payload: JsonObject) -> None:
        await self._equipment.log.append(connection, lease.session_id, kind, payload, fencing_token=lease.fencing_token)


def _ending(wanted: Wanted | None, ended: TurnEnded) -> _Ending:
    """What an attempt's end means, given what somebody asked for meanwhile."""
    stopped = ended.reason in {TurnEnd.INTERRUPTED, TurnEnd.DIED}
    if wanted is Wanted.STOP:
        return _Ending(TurnState.CANCELLED, "stopped", END_TURN, SessionState.CANCELLED)
    if wanted is Wanted.PAUSE:
        turn = TurnState.INTERRUPTED if stopped else TurnState.COMPLETED
        if ended.reason is TurnEnd.FAILED:
            turn = TurnState.FAILED
        return _Ending(turn, "paused", PAUSED, SessionState.INTERRUPTED)
    turn, reason, stop_reason, session = _ENDINGS[ended.reason]
    error = (ended.detail or "the turn failed") if ended.reason is TurnEnd.FAILED else None
    return _Ending(turn, reason, {"type": stop_reason}, session, error)


_ENDINGS: Mapping[TurnEnd, tuple[TurnState, str, str, SessionState | None]] = {
    TurnEnd.END_TURN: (TurnState.COMPLETED, "end_turn", "end_turn", None),
    TurnEnd.INTERRUPTED: (TurnState.CANCELLED, "interrupted", "end_turn", None),
    TurnEnd.DIED: (TurnState.CANCELLED, "interrupted", "end_turn", None),
    TurnEnd.REFUSAL: (TurnState.COMPLETED, "refusal", "refusal", None),
    TurnEnd.BUDGET_REACHED: (TurnState.INTERRUPTED, "budget_reached", "budget_reached", SessionState.WAITING),
    TurnEnd.FAILED: (TurnState.FAILED, "failed", "retries_exhausted", None),
}
