"""Projects: the tenancy unit. Everything else belongs to one. An installation holds one project so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import Ids, ProjectId
from airside.storage import tables

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Project:
    """The tenancy unit."""

    project_id: ProjectId
    name: str
    stage: Literal["production", "experiment"]


class Projects:
    """All projects of this installation."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def list(self, connection: AsyncConnection) -> Sequence[Project]:
        """Every project, oldest first."""
        rows = await connection.execute(select(tables.projects).order_by(tables.projects.c.id))
        return [Project(ProjectId(row.id), row.name, row.stage) for row in rows]

    async def only(self, connection: AsyncConnection) -> Project:
        """The project of this installation, made as an experiment named `default` if there is none yet."""
        existing = await self.list(connection)
        return existing[0] if existing else await self._make(connection, DEFAULT_PROJECT)

    async def rename(self, connection: AsyncConnection, project: Project, name: str) -> Project:
        """The project under another name; its id stays."""
        await connection.execute(
            update(tables.projects)
            .where(tables.projects.c.id == project.project_id)
            .values(name=name, updated_at=self._clock.now())
        )
        return replace(project, name=name)

    async def _make(self, connection: AsyncConnection, name: str) -> Project:
        made = Project(self._ids.project(), name, "experiment")
        now = self._clock.now()
        await connection.execute(
            insert(tables.projects).values(
                id=made.project_id, name=name, stage=made.stage, created_at=now, updated_at=now
            )
        )
        return made
