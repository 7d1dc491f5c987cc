"""`/v1/sessions`: durable conversations. Pause, resume and stop are our additions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

import structlog
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.agents.agents import Agent
from airside.api.auth import admin_router
from airside.api.pages import cut_page, decode_cursor
from airside.api.parties import PartyName
from airside.api.services import Services, Use
from airside.api.session_inputs import UserMessageEvent, accept_inputs
from airside.api.session_wire import (
    NANOUSD_PER_CENT,
    BudgetLimit,
    SessionResource,
    session_resource,
)
from airside.api.unknown import unknown_agent
from airside.environments.environments import EnvironmentDefinition
from airside.errors import BadInput, Conflict
from airside.ids import AgentId, EnvironmentId, SessionId
from airside.sessions.driver import DRIVE
from airside.sessions.sessions import NewSession, Repository, Session, SessionFilter
from airside.sessions.states import SessionState, wire_status

logger = structlog.get_logger()

router = admin_router("/v1/sessions", "sessions")


class AgentReference(BaseModel):
    """An agent, at the newest or a named version."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["agent"] = "agent"
    id: str
    version: Annotated[int, Field(ge=1)] | None = None


class Checkout(BaseModel):
    """What to check out."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["branch", "commit"]
    name: str | None = None
    sha: str | None = None


class RepositoryFields(BaseModel):
    """A git repository for the workspace: a URL, or an absolute path on the server."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["github_repository", "git_repository"]
    url: Annotated[str, Field(min_length=1, max_length=4096)]
    checkout: Checkout | None = None
    mount_path: Literal["/workspace"] | None = None


class SessionFields(BaseModel):
    """What a new session is made with. Without `environment_id`, the agent's own environment is used."""

    model_config = ConfigDict(extra="forbid")
    agent: str | AgentReference
    environment_id: str | None = None
    title: str | None = None
    metadata: Annotated[Mapping[str, str], Field(max_length=16)] = Field(default_factory=dict)
    resources: Annotated[Sequence[RepositoryFields], Field(max_length=1)] = ()
    budget: BudgetLimit | None = None
    user: PartyName | None = Field(default=None, description="Whose budgets and rate limits its calls count against.")
    team: PartyName | None = Field(default=None, description="The same for a team.")
    initial_events: Annotated[Sequence[UserMessageEvent], Field(max_length=50)] = ()
    vault_ids: Annotated[Sequence[str], Field(max_length=0)] = ()


class SessionChange(BaseModel):
    """What can be changed of a session."""

    model_config = ConfigDict(extra="forbid")
    title: str | None = None
    metadata: Mapping[str, str | None] | None = None


class SessionPage(BaseModel):
    """A page of sessions."""

    data: Sequence[SessionResource]
    next_page: str | None
    prev_page: None = None


@router.post("")
async def create_session(body: SessionFields, services: Use) -> SessionResource:
    """Start a session. With `initial_events` its first turn begins at once."""
    async with services.database.write() as connection:
        agent = await _agent(connection, services, body.agent)
        new = NewSession(
            agent=agent,
            environment_id=await _environment(connection, services, agent, body.environment_id),
            repository=_repository(body.resources[0]) if body.resources else None,
            title=body.title,
            metadata=body.metadata,
            budget_nanousd=int(body.budget.max_list_cost.amount) * NANOUSD_PER_CENT if body.budget else None,
            user=body.user,
            team=body.team,
        )
        session = await services.sessions.create(connection, new)
        await accept_inputs(connection, services, session.session_id, body.initial_events)
        resource = await session_resource(
            connection, services, await services.sessions.get(connection, session.session_id)
        )
    if body.initial_events:
        await drive(services, session)
    return resource


async def _agent(connection: AsyncConnection, services: Services, given: str | AgentReference) -> Agent:
    """By id or, as a convenience of ours, by name."""
    reference = AgentReference(id=given) if isinstance(given, str) else given
    if reference.id.startswith("agent_"):
        agent = await services.stores.agents.get(connection, AgentId(reference.id), reference.version)
    else:
        project = await services.stores.projects.only(connection)
        named = await services.stores.agents.named(connection, project.project_id, reference.id)
        if named is None:
            agents = await services.stores.agents.list(connection, project.project_id)
            raise unknown_agent(BadInput, reference.id, agents)
        agent = await services.stores.agents.get(connection, named.agent_id, reference.version)
    if agent.archived_at is not None:
        raise Conflict(f"agent {agent.agent_id} is archived", hint="Choose another agent.")
    return agent


async def _environment(
    connection: AsyncConnection, services: Services, agent: Agent, environment_id: str | None
) -> EnvironmentId:
    """The environment asked for, the agent's own, or the plain one that every project has."""
    environments = services.stores.environments
    if environment_id is not None:
        environment = await environments.get(connection, EnvironmentId(environment_id))
        if environment.archived_at is not None:
            raise Conflict(f"environment {environment_id} is archived", hint="Choose another environment.")
        return environment.environment_id
    name = agent.definition.environment or "default"
    named = await environments.named(connection, agent.project_id, name)
    if named is None and agent.definition.environment is not None:
        raise BadInput(
            f"agent {agent.name!r} runs in environment {name!r}, which is not defined",
            code="unknown_environment",
            hint="Define it, or name another with `environment_id`.",
        )
    if named is None:
        named = await environments.create(connection, agent.project_id, name, EnvironmentDefinition(), "api")
    return named.environment_id


def _repository(given: RepositoryFields) -> Repository:
    checkout = given.checkout
    if checkout is None:
        return Repository(given.url)
    value = checkout.name if checkout.type == "branch" else checkout.sha
    if not value or value.startswith("-"):
        raise BadInput(
            f"resources.checkout: a {checkout.type} needs its {'name' if checkout.type == 'branch' else 'sha'}"
        )
    return Repository(given.url, **{checkout.type: value})


@router.get("")
async def list_sessions(
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    page: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    agent_id: str | None = None,
    agent_version: int | None = None,
    statuses: Annotated[list[str] | None, Query()] = None,
    statuses_bracketed: Annotated[list[str] | None, Query(alias="statuses[]")] = None,
    include_archived: bool = False,
    created_at_gte: Annotated[datetime | None, Query(alias="created_at[gte]")] = None,
    created_at_lt: Annotated[datetime | None, Query(alias="created_at[lt]")] = None,
) -> SessionPage:
    """Sessions by age, newest first unless `order=asc`."""
    after = decode_cursor(page)
    asked = {*(statuses or ()), *(statuses_bracketed or ())}
    wanted = SessionFilter(
        agent_id=AgentId(agent_id) if agent_id else None,
        agent_version=agent_version,
        states=[state for state in SessionState if wire_status(state) in asked or state in asked],
        created_from=created_at_gte,
        created_until=created_at_lt,
        include_archived=include_archived,
    )
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        found = await services.sessions.list(
            connection,
            project.project_id,
            wanted,
            after=SessionId(after) if after else None,
            limit=limit + 1,
            ascending=order == "asc",
        )
        shown, next_page = cut_page(found, limit, lambda session: session.session_id)
        data = [await session_resource(connection, services, session) for session in shown]
    return SessionPage(data=data, next_page=next_page)


@router.get("/{session_id}")
async def retrieve_session(session_id: str, services: Use) -> SessionResource:
    """One session."""
    async with services.database.read() as connection:
        session = await services.sessions.get(connection, SessionId(session_id))
        return await session_resource(connection, services, session)


@router.post("/{session_id}")
async def update_session(session_id: str, body: SessionChange, services: Use) -> SessionResource:
    """Change a session's title or metadata."""
    async with services.database.write() as connection:
        session = await services.sessions.get(connection, SessionId(session_id))
        if "title" in body.model_fields_set:
            await services.sessions.change(connection, session.session_id, title=body.title)
        if body.metadata is not None:
            merged = {**session.metadata, **body.metadata}
            kept = {key: value for key, value in merged.items() if value is not None}
            await services.sessions.change(connection, session.session_id, metadata=kept)
        changed = await services.sessions.get(connection, session.session_id)
        return await session_resource(connection, services, changed)


_Act = Callable[[AsyncConnection, SessionId], Awaitable[Session]]


async def _act(services: Services, session_id: str, act: _Act) -> SessionResource:
    async with services.database.write() as connection:
        session = await act(connection, SessionId(session_id))
        resource = await session_resource(connection, services, session)
    if session.state is SessionState.QUEUED or session.wanted is not None:
        await drive(services, session)
    if session.is_over:
        await services.feed.refresh()
    return resource


async def drive(services: Services, session: Session) -> None:
    """Have a session worked on, if it has anything to do. After the transaction that gave it work.

    Only hastens what happens anyway: the input is stored, and workers look for sessions that nobody attends to.
    """
    key = f"{session.session_id}:{session.event_count}:{services.ids.event()}"
    try:
        await services.engine.enqueue(DRIVE, key, session.session_id)
    except Exception:
        logger.exception("session could not be enqueued; a worker will find it", session_id=session.session_id)


@router.post("/{session_id}/pause")
async def pause_session(session_id: str, services: Use) -> SessionResource:
    """Stop what runs so that it can go on later."""
    return await _act(services, session_id, services.inputs.pause)


@router.post("/{session_id}/resume")
async def resume_session(session_id: str, services: Use) -> SessionResource:
    """Go on with a paused session, or one that waits for its budget."""
    return await _act(services, session_id, services.inputs.resume)


@router.post("/{session_id}/stop")
async def stop_session(session_id: str, services: Use) -> SessionResource:
    """End a session for good."""
    return await _act(services, session_id, services.inputs.stop)


@router.post("/{session_id}/archive")
async def archive_session(session_id: str, services: Use) -> SessionResource:
    """Put a session away that is not running."""
    return await _act(services, session_id, services.inputs.archive)
