"""The bodies of calls, kept packed until their time is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.storage.tables import call_bodies


@dataclass(frozen=True, slots=True)
class StoredBodies:
    """What was kept of one call. Both bodies are gzip; `description` says how long they were and what was taken out."""

    call_id: str
    project: str
    description: Mapping[str, int | str]
    request_gzip: bytes
    answer_gzip: bytes


class Bodies:
    """Where bodies are kept."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def store(self, connection: AsyncConnection, bodies: StoredBodies, *, retention_days: int) -> None:
        """Keep what a gateway sent. The same again changes nothing."""
        now = self._clock.now()
        statement = insert(call_bodies).values(
            call_id=bodies.call_id,
            project=bodies.project,
            stored_at=now,
            expires_at=now + timedelta(days=retention_days),
            description=dict(bodies.description),
            request=bodies.request_gzip,
            answer=bodies.answer_gzip,
        )
        await connection.execute(statement.on_conflict_do_nothing(index_elements=["call_id"]))

    async def get(self, connection: AsyncConnection, project: str, call_id: str) -> StoredBodies | None:
        """The bodies of a call of this project, if any are kept and their time is not over."""
        table = call_bodies
        query = select(table).where(
            table.c.call_id == call_id, table.c.project == project, table.c.expires_at > self._clock.now()
        )
        row = (await connection.execute(query)).first()
        if row is None:
            return None
        return StoredBodies(row.call_id, row.project, row.description, row.request, row.answer)

    async def sweep(self, connection: AsyncConnection) -> int:
        """Delete the bodies whose time is over; returns how many."""
        expired = delete(call_bodies).where(call_bodies.c.expires_at <= self._clock.now())
        return (await connection.execute(expired)).rowcount
