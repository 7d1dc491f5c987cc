"""Where agents and all their versions are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.agents.definition import AgentDefinition
from airside.clock import Clock
from airside.errors import Conflict, NotFound
from airside.ids import AgentId, Ids, ProjectId
from airside.storage.definitions import Origin
from airside.storage.tables import agent_versions, agents


@dataclass(frozen=True, slots=True)
class Agent:
    """One version of an agent."""

    agent_id: AgentId
    project_id: ProjectId
    name: str
    version: int
    definition: AgentDefinition
    origin: Origin
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class Agents:
    """The agents of all projects."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def create(
        self,
        connection: AsyncConnection,
        project_id: ProjectId,
        name: str,
        definition: AgentDefinition,
        origin: Origin,
    ) -> Agent:
        """A new agent at version 1."""
        now = self._clock.now()
        made = Agent(self._ids.agent(), project_id, name, 1, definition, origin, now, now, None)
        await connection.execute(
            insert(agents).values(
                id=made.agent_id,
                project_id=project_id,
                name=name,
                version=1,
                origin=origin,
                created_at=now,
                updated_at=now,
            )
        )
        await self._add_version(connection, made)
        return made

    async def get(self, connection: AsyncConnection, agent_id: AgentId, version: int | None = None) -> Agent:
        """The named version, or the newest. Raises `NotFound`."""
        on_version = agent_versions.c.version == (agents.c.version if version is None else version)
        query = _SELECT.where(agents.c.id == agent_id, on_version)
        row = (await connection.execute(query)).mappings().first()
        if row is None:
            what = f"agent {agent_id}" if version is None else f"version {version} of agent {agent_id}"
            raise NotFound(f"there is no {what}", hint="`airside agents list` shows the agents.")
        return _agent(dict(row))

    async def list(
        self, connection: AsyncConnection, project_id: ProjectId, *, include_archived: bool = False
    ) -> Sequence[Agent]:
        """The newest version of every agent, newest agent first."""
        query = _SELECT.where(agents.c.project_id == project_id, agent_versions.c.version == agents.c.version)
        if not include_archived:
            query = query.where(agents.c.archived_at.is_(None))
        rows = (await connection.execute(query.order_by(agents.c.id.desc()))).mappings()
        return [_agent(dict(row)) for row in rows]

    async def named(self, connection: AsyncConnection, project_id: ProjectId, name: str) -> Agent | None:
        """The newest agent of that name that is not archived."""
        found = await self.list(connection, project_id)
        return next((agent for agent in found if agent.name == name), None)

    async def versions(self, connection: AsyncConnection, agent_id: AgentId) -> Sequence[Agent]:
        """Every version, newest first. Raises `NotFound`."""
        query = _SELECT.where(agents.c.id == agent_id).order_by(agent_versions.c.version.desc())
        rows = (await connection.execute(query)).mappings().all()
        if not rows:
            raise NotFound(f"there is no agent {agent_id}")
        return [_agent(dict(row)) for row in rows]

    async def update(
        self,
        connection: AsyncConnection,
        agent_id: AgentId,
        *,
        name: str,
        definition: AgentDefinition,
        origin: Origin,
        expected_version: int | None = None,
    ) -> Agent:
        """The agent with this definition: a new version, unless nothing changed.

        Raises `Conflict` if `expected_version` is given and is no longer the newest, or if the agent is archived.
        """
        current = await self.get(connection, agent_id)
        if current.archived_at is not None:
            raise Conflict(f"agent {agent_id} is archived and cannot be changed")
        if expected_version is not None and expected_version != current.version:
            raise Conflict(
                f"agent {agent_id} is at version {current.version}, not {expected_version}",
                hint="Read it again and repeat the change on the newest version.",
            )
        changed = current.definition.sha256 != definition.sha256 or current.name != name
        version = current.version + 1 if changed else current.version
        await connection.execute(
            update(agents)
            .where(agents.c.id == agent_id)
            .values(name=name, version=version, origin=origin, updated_at=self._clock.now())
        )
        if changed:
            made = Agent(
                agent_id,
                current.project_id,
                name,
                version,
                definition,
                origin,
                self._clock.now(),
                self._clock.now(),
                None,
            )
            await self._add_version(connection, made)
        return await self.get(connection, agent_id)

    async def archive(self, connection: AsyncConnection, agent_id: AgentId) -> Agent:
        """Take it out of use for new sessions. Twice is the same as once. Raises `NotFound`."""
        await connection.execute(
            update(agents)
            .where(agents.c.id == agent_id, agents.c.archived_at.is_(None))
            .values(archived_at=self._clock.now())
        )
        return await self.get(connection, agent_id)

    async def _add_version(self, connection: AsyncConnection, agent: Agent) -> None:
        await connection.execute(
            insert(agent_versions).values(
                agent_id=agent.agent_id,
                version=agent.version,
                definition=agent.definition.model_dump(mode="json"),
                sha256=agent.definition.sha256,
                created_at=agent.updated_at,
            )
        )


_SELECT = select(
    agents.c.id.label("agent_id"),
    agents.c.project_id,
    agents.c.name,
    agent_versions.c.version,
    agent_versions.c.definition,
    agents.c.origin,
    agents.c.created_at,
    agent_versions.c.created_at.label("updated_at"),
    agents.c.archived_at,
).join(agent_versions, agent_versions.c.agent_id == agents.c.id)


def _agent(row: dict[str, object]) -> Agent:
    definition = AgentDefinition.model_validate(row.pop("definition"))
    return Agent(definition=definition, **row)  # type: ignore[arg-type]
