"""Turns: the inputs of a session, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import EventId, Ids, SessionId, TurnId
from airside.sessions.states import TurnState
from airside.storage.tables import turns


@dataclass(frozen=True, slots=True)
class Turn:
    """One input and what became of it.

    `sent_at` is committed before the harness is given the text: a turn that has it is continued, never sent again.
    """

    turn_id: TurnId
    session_id: SessionId
    number: int
    input_event_id: EventId
    text: str
    state: TurnState
    attempts: int
    sent_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    detail: str | None
    created_at: datetime


class Turns:
    """The turns of all sessions."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def add(
        self, connection: AsyncConnection, session_id: SessionId, input_event_id: EventId, text: str
    ) -> TurnId:
        """Queue an input behind those that are there."""
        highest = select(func.coalesce(func.max(turns.c.number), 0)).where(turns.c.session_id == session_id)
        number = int((await connection.execute(highest)).scalar_one()) + 1
        turn_id = self._ids.turn()
        await connection.execute(
            insert(turns).values(
                id=turn_id,
                session_id=session_id,
                number=number,
                input_event_id=input_event_id,
                text=text,
                state=TurnState.QUEUED,
                attempts=0,
                created_at=self._clock.now(),
            )
        )
        return turn_id

    async def of_session(
        self, connection: AsyncConnection, session_id: SessionId, *states: TurnState
    ) -> Sequence[Turn]:
        """Turns in order, those in the given states only, if any are given."""
        query = select(turns).where(turns.c.session_id == session_id).order_by(turns.c.number)
        if states:
            query = query.where(turns.c.state.in_(states))
        return [_turn(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def change(self, connection: AsyncConnection, turn_id: TurnId, **values: Any) -> None:
        """Set columns of one turn."""
        await connection.execute(update(turns).where(turns.c.id == turn_id).values(**values))

    async def end(
        self,
        connection: AsyncConnection,
        turn_id: TurnId,
        state: TurnState,
        reason: str,
        detail: str | None = None,
    ) -> None:
        """Close a turn, or set it aside if `state` is `interrupted`."""
        await self.change(
            connection, turn_id, state=state, end_reason=reason, detail=detail, ended_at=self._clock.now()
        )


def _turn(row: dict[str, Any]) -> Turn:
    return Turn(turn_id=row.pop("id"), state=TurnState(row.pop("state")), **row)
