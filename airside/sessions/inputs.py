"""What people and programs do to a session: send it something, pause, resume, stop, archive.

Every input is in the log and in the turn queue before anybody acts on it. None of this touches a harness: the worker
sees what was written and does it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.errors import Conflict
from airside.events import JsonValue, canonical_json
from airside.ids import EventId, Ids, SessionId
from airside.sessions.log import Event, EventLog
from airside.sessions.sessions import Session, Sessions
from airside.sessions.states import ACTIVE, SessionState, TurnState, Wanted
from airside.sessions.turns import Turns
from airside.storage.tables import inputs


@dataclass(frozen=True, slots=True)
class UserMessage:
    """Text for the agent: one turn."""

    text: str


@dataclass(frozen=True, slots=True)
class UserInterrupt:
    """Give the running turn up."""


Input = UserMessage | UserInterrupt


class SessionInputs:
    """Takes inputs for all sessions. Every method needs a write transaction and raises `NotFound`."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._log = EventLog(clock, ids)
        self._sessions = Sessions(clock, ids)
        self._turns = Turns(clock, ids)

    async def accept(
        self,
        connection: AsyncConnection,
        session_id: SessionId,
        given: Sequence[Input],
        idempotency_key: str | None = None,
    ) -> Sequence[Event]:
        """Write inputs down, in order. The same key with the same inputs again returns the first events.

        Raises `Conflict` if the session is over, or if the key was used for something else.
        """
        session = await self._sessions.get(connection, session_id)
        digest = hashlib.sha256(canonical_json([_plain(one) for one in given])).hexdigest()
        if idempotency_key is not None:
            earlier = await self._earlier(connection, session_id, idempotency_key, digest)
            if earlier is not None:
                return earlier
        _refuse_if_over(session)
        events = [await self._accept_one(connection, session_id, one) for one in given]
        if idempotency_key is not None:
            await connection.execute(
                insert(inputs).values(
                    session_id=session_id,
                    idempotency_key=idempotency_key,
                    sha256=digest,
                    event_ids=[event.event_id for event in events],
                    created_at=self._clock.now(),
                )
            )
        return events

    async def _earlier(
        self, connection: AsyncConnection, session_id: SessionId, key: str, digest: str
    ) -> Sequence[Event] | None:
        query = select(inputs).where(inputs.c.session_id == session_id, inputs.c.idempotency_key == key)
        row = (await connection.execute(query)).first()
        if row is None:
            return None
        if row.sha256 != digest:
            raise Conflict(f"idempotency key {key!r} was used for other events of this session")
        wanted = {EventId(event_id) for event_id in row.event_ids}
        return [event async for event in self._log.all(connection, session_id) if event.event_id in wanted]

    async def _accept_one(self, connection: AsyncConnection, session_id: SessionId, given: Input) -> Event:
        if isinstance(given, UserInterrupt):
            event = await self._log.append(connection, session_id, "user.interrupt", {})
            await self._ask(connection, session_id, Wanted.INTERRUPT)
            return event
        content: JsonValue = [{"type": "text", "text": given.text}]
        event = await self._log.append(connection, session_id, "user.message", {"content": content})
        await self._turns.add(connection, session_id, event.event_id, given.text)
        session = await self._sessions.get(connection, session_id)
        if session.state is SessionState.IDLE:
            await self._sessions.move(connection, session_id, SessionState.QUEUED)
        elif session.state is SessionState.WAITING:
            await self.resume(connection, session_id)
        return event

    async def _ask(self, connection: AsyncConnection, session_id: SessionId, wanted: Wanted) -> None:
        session = await self._sessions.get(connection, session_id)
        # An end that was asked for is not taken back by a later, weaker wish.
        if session.state in ACTIVE and session.wanted is not Wanted.STOP:
            await self._sessions.change(connection, session_id, wanted=wanted)

    async def pause(self, connection: AsyncConnection, session_id: SessionId) -> Session:
        """Stop what runs so that it can go on later, and hold back what is queued. Twice is the same as once."""
        session = await self._sessions.get(connection, session_id)
        _refuse_if_over(session)
        if session.state in ACTIVE:
            await self._ask(connection, session_id, Wanted.PAUSE)
        elif session.state in {SessionState.IDLE, SessionState.WAITING}:
            await self._sessions.move(connection, session_id, SessionState.INTERRUPTED, stop_reason={"type": "paused"})
        return await self._sessions.get(connection, session_id)

    async def resume(self, connection: AsyncConnection, session_id: SessionId) -> Session:
        """Go on after the last event stored. Twice is the same as once: a running session is left alone."""
        session = await self._sessions.get(connection, session_id)
        _refuse_if_over(session)
        if session.wanted is Wanted.PAUSE:
            await self._sessions.change(connection, session_id, wanted=None)
        if session.state in {SessionState.INTERRUPTED, SessionState.WAITING}:
            for turn in await self._turns.of_session(connection, session_id, TurnState.INTERRUPTED):
                await self._turns.change(connection, turn.turn_id, state=TurnState.QUEUED, ended_at=None)
            queued = await self._turns.of_session(connection, session_id, TurnState.QUEUED)
            state = SessionState.QUEUED if queued else SessionState.IDLE
            await self._sessions.move(connection, session_id, state)
        return await self._sessions.get(connection, session_id)

    async def stop(self, connection: AsyncConnection, session_id: SessionId) -> Session:
        """End the session for good; what runs is interrupted first. Twice is the same as once."""
        session = await self._sessions.get(connection, session_id)
        if session.state in ACTIVE:
            await self._sessions.change(connection, session_id, wanted=Wanted.STOP)
        elif not session.is_over:
            await cancel_session(connection, self._sessions, self._turns, self._log, session_id)
        return await self._sessions.get(connection, session_id)

    async def archive(self, connection: AsyncConnection, session_id: SessionId) -> Session:
        """Put a session away. Raises `Conflict` while it is running: stop it first."""
        session = await self._sessions.get(connection, session_id)
        if session.state in ACTIVE:
            raise Conflict(
                f"session {session_id} is {session.state}", hint="Stop it first, then archive it.", code="session_state"
            )
        if session.state is not SessionState.ARCHIVED:
            if not session.is_over:
                await self._log.append(connection, session_id, "session.status_terminated", {})
            await self._sessions.move(connection, session_id, SessionState.ARCHIVED)
        return await self._sessions.get(connection, session_id)


async def cancel_session(
    connection: AsyncConnection, sessions: Sessions, turns: Turns, log: EventLog, session_id: SessionId
) -> None:
    """End a session that nobody drives: no turn of it will run any more."""
    open_states = (TurnState.QUEUED, TurnState.IN_PROGRESS, TurnState.INTERRUPTED)
    for turn in await turns.of_session(connection, session_id, *open_states):
        await turns.end(connection, turn.turn_id, TurnState.CANCELLED, "stopped")
    await log.append(connection, session_id, "session.status_terminated", {})
    await sessions.move(connection, session_id, SessionState.CANCELLED)
    await sessions.change(connection, session_id, wanted=None)


def _refuse_if_over(session: Session) -> None:
    if session.is_over:
        raise Conflict(
            f"session {session.session_id} is {session.state}",
            hint="Start a new session with the same agent.",
            code="session_over",
        )


def _plain(given: Input) -> JsonValue:
    return {"text": given.text} if isinstance(given, UserMessage) else {"interrupt": True}
