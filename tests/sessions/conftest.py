"""Sessions without a worker: what is stored and decided about them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airside.agents.definition import AgentDefinition
from airside.agents.harness_name import HarnessName
from airside.clock import Clock
from airside.config.stores import Stores
from airside.environments.environments import EnvironmentDefinition
from airside.ids import Ids, SessionId
from airside.sessions.inputs import SessionInputs, UserMessage
from airside.sessions.leases import SessionLeases
from airside.sessions.log import Event, EventLog
from airside.sessions.sessions import NewSession, Session, Sessions
from airside.sessions.turns import Turns
from airside.storage.database import Database


@dataclass(frozen=True)
class Desk:
    """Everything a session is made of, and short ways to use it."""

    database: Database
    stores: Stores
    clock: Clock
    ids: Ids
    sessions: Sessions
    turns: Turns
    log: EventLog
    inputs: SessionInputs
    leases: SessionLeases

    async def new_session(self) -> SessionId:
        async with self.database.write() as connection:
            project = await self.stores.projects.only(connection)
            agent = await self.stores.agents.create(
                connection,
                project.project_id,
                "fixer",
                AgentDefinition(harness=HarnessName.SCRIPTED, model="coder"),
                "api",
            )
            environment = await self.stores.environments.create(
                connection, project.project_id, "sandboxed", EnvironmentDefinition(), "api"
            )
            made = await self.sessions.create(connection, NewSession(agent, environment.environment_id))
        return made.session_id

    async def session(self, session_id: SessionId) -> Session:
        async with self.database.read() as connection:
            return await self.sessions.get(connection, session_id)

    async def say(self, session_id: SessionId, text: str, key: str | None = None) -> list[Event]:
        async with self.database.write() as connection:
            return list(await self.inputs.accept(connection, session_id, [UserMessage(text)], key))

    async def events(self, session_id: SessionId) -> list[Event]:
        async with self.database.read() as connection:
            return [event async for event in self.log.all(connection, session_id)]


@pytest.fixture
def desk(database: Database, stores: Stores, clock: Clock, ids: Ids) -> Desk:
    return Desk(
        database,
        stores,
        clock,
        ids,
        Sessions(clock, ids),
        Turns(clock, ids),
        EventLog(clock, ids),
        SessionInputs(clock, ids),
        SessionLeases(clock, 10.0),
    )
