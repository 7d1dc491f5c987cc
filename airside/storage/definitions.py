"""Rows that are a name and a definition: providers, models, settings. One way to read and write them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.events import JsonObject
from airside.ids import ProjectId

Origin = Literal["file", "api"]


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A definition and who made it."""

    definition: JsonObject
    origin: Origin


class Definitions:
    """The definitions in one table, by project and name."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    async def list(self, connection: AsyncConnection, project_id: ProjectId) -> Mapping[str, StoredDefinition]:
        """Everything of a project, by name, in order of name."""
        table = self._table
        query = select(table.c.name, table.c.definition, table.c.origin).where(table.c.project_id == project_id)
        rows = await connection.execute(query.order_by(table.c.name))
        return {row.name: StoredDefinition(row.definition, row.origin) for row in rows}

    async def put(
        self, connection: AsyncConnection, project_id: ProjectId, name: str, definition: JsonObject, origin: Origin
    ) -> None:
        """Make it so, whether it was there or not."""
        now = self._clock.now()
        statement = insert(self._table).values(
            project_id=project_id, name=name, definition=definition, origin=origin, created_at=now, updated_at=now
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["project_id", "name"],
                set_={"definition": definition, "origin": origin, "updated_at": now},
            )
        )

    async def remove(self, connection: AsyncConnection, project_id: ProjectId, name: str) -> None:
        """Make it gone, whether it was there or not."""
        table = self._table
        await connection.execute(delete(table).where(table.c.project_id == project_id, table.c.name == name))
