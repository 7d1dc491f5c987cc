"""The event log: the truth about a session.

Numbered without gaps, append-only, each event linked to the one before it by hash. A worker appends with the fencing
token of its lease and is refused once another has taken over; what users and the gateway say is appended by whoever
receives it, in the same numbering.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.errors import Conflict, NotFound
from airside.events import JsonObject, canonical_json
from airside.ids import EventId, Ids, SessionId
from airside.storage.tables import session_events, sessions

GENESIS = "0" * 64


class LeaseLost(Conflict):
    """Another worker drives this session now; whatever this one still holds no longer counts."""

    code = "lease_lost"


@dataclass(frozen=True, slots=True)
class Event:
    """One fact of a session. `payload` holds the fields of its type, as on the wire."""

    session_id: SessionId
    sequence: int
    event_id: EventId
    type: str
    at: datetime
    payload: JsonObject
    previous_sha256: str
    sha256: str


def link(
    previous_sha256: str,
    *,
    session_id: SessionId,
    sequence: int,
    event_id: EventId,
    type: str,  # noqa: A002 - the field's own name
    at: datetime,
    payload: JsonObject,
) -> str:
    """The hash that ties an event to the one before it."""
    content = canonical_json(
        {
            "session_id": session_id,
            "sequence": sequence,
            "id": event_id,
            "type": type,
            "at": at.isoformat(timespec="microseconds"),
            "payload": payload,
        }
    )
    return hashlib.sha256(previous_sha256.encode() + content).hexdigest()


class EventLog:
    """Appends to and reads the logs of all sessions."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def append(
        self,
        connection: AsyncConnection,
        session_id: SessionId,
        type: str,  # noqa: A002 - the field's own name
        payload: JsonObject,
        *,
        fencing_token: int | None = None,
        at: datetime | None = None,
    ) -> Event:
        """Add one event. Needs a write transaction.

        With a `fencing_token`, raises `LeaseLost` if it is no longer the session's newest. Raises `NotFound`.
        """
        head = await self._head(connection, session_id)
        if fencing_token is not None and head["fencing_token"] != fencing_token:
            raise LeaseLost(f"session {session_id} was taken over by another worker")
        event_id, moment = self._ids.event(), at or self._clock.now()
        sequence, previous = head["event_count"] + 1, head["head_sha256"]
        digest = link(
            previous,
            session_id=session_id,
            sequence=sequence,
            event_id=event_id,
            type=type,
            at=moment,
            payload=payload,
        )
        await connection.execute(
            insert(session_events).values(
                session_id=session_id,
                sequence=sequence,
                id=event_id,
                type=type,
                at=moment,
                payload=payload,
                fencing_token=head["fencing_token"],
                previous_sha256=previous,
                sha256=digest,
            )
        )
        await connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(event_count=sequence, head_sha256=digest, updated_at=self._clock.now())
        )
        return Event(session_id, sequence, event_id, type, moment, payload, previous, digest)

    async def _head(self, connection: AsyncConnection, session_id: SessionId) -> RowMapping:
        query = select(sessions.c.event_count, sessions.c.head_sha256, sessions.c.fencing_token)
        row = (await connection.execute(query.where(sessions.c.id == session_id))).mappings().first()
        if row is None:
            raise NotFound(f"there is no session {session_id}")
        return row

    async def read(
        self,
        connection: AsyncConnection,
        session_id: SessionId,
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 1000,
        types: Collection[str] = (),
        descending: bool = False,
    ) -> Sequence[Event]:
        """Events with `after < sequence < before`, in order, at most `limit`."""
        table = session_events
        query = select(table).where(table.c.session_id == session_id, table.c.sequence > after)
        if before is not None:
            query = query.where(table.c.sequence < before)
        if types:
            query = query.where(table.c.type.in_(types))
        order = table.c.sequence.desc() if descending else table.c.sequence
        rows = (await connection.execute(query.order_by(order).limit(limit))).mappings()
        return [_event(row) for row in rows]

    async def all(
        self, connection: AsyncConnection, session_id: SessionId, types: Collection[str] = ()
    ) -> AsyncIterator[Event]:
        """Every event, in order, read a page at a time."""
        after = 0
        while page := await self.read(connection, session_id, after=after, types=types):
            for event in page:
                yield event
            after = page[-1].sequence

    async def first_broken(self, connection: AsyncConnection, session_id: SessionId) -> int | None:
        """The sequence of the first event that is missing, changed or out of order; None if the log is whole."""
        head = await self._head(connection, session_id)
        previous, expected = GENESIS, 1
        async for event in self.all(connection, session_id):
            digest = link(
                previous,
                session_id=session_id,
                sequence=event.sequence,
                event_id=event.event_id,
                type=event.type,
                at=event.at,
                payload=event.payload,
            )
            if event.sequence != expected or event.previous_sha256 != previous or event.sha256 != digest:
                return expected
            previous, expected = digest, expected + 1
        whole = expected - 1 == head["event_count"] and previous == head["head_sha256"]
        return None if whole else expected


def _event(row: RowMapping) -> Event:
    return Event(
        session_id=SessionId(row["session_id"]),
        sequence=row["sequence"],
        event_id=EventId(row["id"]),
        type=row["type"],
        at=row["at"],
        payload=row["payload"],
        previous_sha256=row["previous_sha256"],
        sha256=row["sha256"],
    )
