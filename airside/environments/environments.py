"""Environments as people define them, and where they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.environments.sandbox_kind import SandboxKind
from airside.errors import NotFound
from airside.ids import EnvironmentId, Ids, ProjectId
from airside.routing.definitions import Definition
from airside.storage.definitions import Origin
from airside.storage.tables import environments


class Network(Definition):
    """What a session may reach besides the gateway. Nothing, in the sandboxes there are so far."""

    allow: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _nothing_yet(self) -> Network:
        if self.allow:
            raise ValueError(
                "sandboxes have no network but the gateway; leave `network.allow` empty, or use `sandbox: process`"
            )
        return self


class EnvironmentDefinition(Definition):
    """Where sessions run. `process` is no fence at all and has to be asked for by name."""

    sandbox: SandboxKind = SandboxKind.BUBBLEWRAP
    network: Network = Network()
    memory_mb: Annotated[int, Field(ge=256)] | None = None
    processes: Annotated[int, Field(ge=16)] | None = None
    description: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment as we keep it."""

    environment_id: EnvironmentId
    project_id: ProjectId
    name: str
    definition: EnvironmentDefinition
    origin: Origin
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class Environments:
    """The environments of all projects."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def create(
        self,
        connection: AsyncConnection,
        project_id: ProjectId,
        name: str,
        definition: EnvironmentDefinition,
        origin: Origin,
    ) -> Environment:
        """A new environment. Names may repeat; ids do not."""
        now = self._clock.now()
        made = Environment(self._ids.environment(), project_id, name, definition, origin, now, now, None)
        await connection.execute(
            insert(environments).values(
                id=made.environment_id,
                project_id=project_id,
                name=name,
                definition=definition.model_dump(mode="json"),
                origin=origin,
                created_at=now,
                updated_at=now,
            )
        )
        return made

    async def get(self, connection: AsyncConnection, environment_id: EnvironmentId) -> Environment:
        """One environment, archived or not. Raises `NotFound`."""
        query = select(environments).where(environments.c.id == environment_id)
        row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NotFound(f"there is no environment {environment_id}")
        return _environment(dict(row))

    async def list(
        self, connection: AsyncConnection, project_id: ProjectId, *, include_archived: bool = False
    ) -> Sequence[Environment]:
        """All of a project, newest first."""
        query = select(environments).where(environments.c.project_id == project_id)
        if not include_archived:
            query = query.where(environments.c.archived_at.is_(None))
        rows = (await connection.execute(query.order_by(environments.c.id.desc()))).mappings()
        return [_environment(dict(row)) for row in rows]

    async def named(self, connection: AsyncConnection, project_id: ProjectId, name: str) -> Environment | None:
        """The newest environment of that name that is not archived."""
        found = await self.list(connection, project_id)
        return next((environment for environment in found if environment.name == name), None)

    async def update(
        self,
        connection: AsyncConnection,
        environment_id: EnvironmentId,
        *,
        name: str,
        definition: EnvironmentDefinition,
        origin: Origin,
    ) -> Environment:
        """Change it for sessions that start from now on. Raises `NotFound`."""
        await connection.execute(
            update(environments)
            .where(environments.c.id == environment_id)
            .values(
                name=name,
                definition=definition.model_dump(mode="json"),
                origin=origin,
                updated_at=self._clock.now(),
            )
        )
        return await self.get(connection, environment_id)

    async def archive(self, connection: AsyncConnection, environment_id: EnvironmentId) -> Environment:
        """Take it out of use for new sessions. Twice is the same as once. Raises `NotFound`."""
        await connection.execute(
            update(environments)
            .where(environments.c.id == environment_id, environments.c.archived_at.is_(None))
            .values(archived_at=self._clock.now())
        )
        return await self.get(connection, environment_id)


def _environment(row: dict[str, object]) -> Environment:
    definition = EnvironmentDefinition.model_validate(row.pop("definition"))
    return Environment(environment_id=row.pop("id"), definition=definition, **row)  # type: ignore[arg-type]
