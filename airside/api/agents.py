"""`/v1/agents`: versioned definitions. `harness` and `environment` are our additions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.agents.agents import Agent
from airside.agents.definition import AgentDefinition
from airside.agents.harness_name import HarnessName
from airside.api.auth import admin_router
from airside.api.pages import cut_page, decode_cursor
from airside.api.services import Services, Use
from airside.api.toolsets import AgentToolset, tools_from_wire, tools_to_wire
from airside.errors import BadInput
from airside.ids import AgentId, ProjectId

router = admin_router("/v1/agents", "agents")


class ModelConfig(BaseModel):
    """A model by id. What tunes a vendor's model beyond that is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")
    id: str


class AgentFields(BaseModel):
    """What a request can set."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    model: str | ModelConfig | None = None
    harness: HarnessName | None = None
    environment: str | None = None
    system: str | None = None
    description: str | None = None
    tools: Sequence[AgentToolset] | None = None
    metadata: Mapping[str, str | None] | None = None
    mcp_servers: Annotated[Sequence[object], Field(max_length=0)] | None = None
    skills: Annotated[Sequence[object], Field(max_length=0)] | None = None
    multiagent: None = None
    execution_identity: Mapping[str, str] | None = None


class AgentUpdate(AgentFields):
    """What a change can set; what is left out stays."""

    version: Annotated[int, Field(ge=1)] | None = None


class AgentResource(BaseModel):
    """An agent, at one version."""

    type: Literal["agent"] = "agent"
    id: str
    version: int
    name: str
    harness: HarnessName
    environment: str | None
    model: ModelConfig
    system: str | None
    description: str | None
    tools: Sequence[AgentToolset]
    mcp_servers: Sequence[object] = ()
    skills: Sequence[object] = ()
    multiagent: None = None
    execution_identity: Mapping[str, str] = {"type": "service_account"}
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class AgentPage(BaseModel):
    """A page of agents."""

    data: Sequence[AgentResource]
    next_page: str | None


def agent_resource(agent: Agent) -> AgentResource:
    """An agent as the wire shows it."""
    definition = agent.definition
    return AgentResource(
        id=agent.agent_id,
        version=agent.version,
        name=agent.name,
        harness=definition.harness,
        environment=definition.environment,
        model=ModelConfig(id=definition.model),
        system=definition.system,
        description=definition.description,
        tools=tools_to_wire(definition.tools),
        metadata=definition.metadata,
        created_at=agent.created_at,
        updated_at=agent.updated_at,
        archived_at=agent.archived_at,
    )


@router.post("")
async def create_agent(body: AgentFields, services: Use) -> AgentResource:
    """Define an agent."""
    if body.name is None or body.model is None:
        raise BadInput("an agent needs a name and a model")
    definition = AgentDefinition(
        harness=body.harness or HarnessName.CLAUDE_CODE,
        model=_model_id(body.model),
        environment=body.environment,
        system=body.system or None,
        description=body.description or None,
        tools=tools_from_wire(body.tools),
        metadata={key: value for key, value in (body.metadata or {}).items() if value is not None},
    )
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        await _check_model(connection, services, project.project_id, definition)
        agent = await services.stores.agents.create(connection, project.project_id, body.name, definition, "api")
    await services.feed.refresh()
    return agent_resource(agent)


@router.get("")
async def list_agents(
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    page: str | None = None,
    name: Annotated[str | None, Query(description="Only agents of this name.")] = None,
    include_archived: bool = False,
    created_at_gte: Annotated[datetime | None, Query(alias="created_at[gte]")] = None,
    created_at_lte: Annotated[datetime | None, Query(alias="created_at[lte]")] = None,
) -> AgentPage:
    """The newest version of every agent, newest agent first."""
    after = decode_cursor(page)
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        agents = await services.stores.agents.list(connection, project.project_id, include_archived=include_archived)
    matching = [
        agent
        for agent in agents
        if (name is None or agent.name == name)
        and (created_at_gte is None or agent.created_at >= created_at_gte)
        and (created_at_lte is None or agent.created_at <= created_at_lte)
        and (after is None or agent.agent_id < after)
    ]
    shown, next_page = cut_page(matching, limit, lambda agent: agent.agent_id)
    return AgentPage(data=[agent_resource(agent) for agent in shown], next_page=next_page)


@router.get("/{agent_id}")
async def retrieve_agent(
    agent_id: str, services: Use, version: Annotated[int | None, Query(ge=1)] = None
) -> AgentResource:
    """One agent, at the newest or the named version."""
    async with services.database.read() as connection:
        return agent_resource(await services.stores.agents.get(connection, AgentId(agent_id), version))


@router.post("/{agent_id}")
async def update_agent(agent_id: str, body: AgentUpdate, services: Use) -> AgentResource:
    """Change an agent: a new version, unless nothing changed."""
    async with services.database.write() as connection:
        current = await services.stores.agents.get(connection, AgentId(agent_id))
        definition = _updated(current.definition, body)
        await _check_model(connection, services, current.project_id, definition)
        agent = await services.stores.agents.update(
            connection,
            current.agent_id,
            name=body.name or current.name,
            definition=definition,
            origin=current.origin,
            expected_version=body.version,
        )
    await services.feed.refresh()
    return agent_resource(agent)


@router.get("/{agent_id}/versions")
async def list_agent_versions(
    agent_id: str, services: Use, limit: Annotated[int, Query(ge=1, le=100)] = 20, page: str | None = None
) -> AgentPage:
    """Every version, newest first."""
    before = decode_cursor(page)
    async with services.database.read() as connection:
        versions = await services.stores.agents.versions(connection, AgentId(agent_id))
    matching = [agent for agent in versions if before is None or agent.version < int(before)]
    shown, next_page = cut_page(matching, limit, lambda agent: str(agent.version))
    return AgentPage(data=[agent_resource(agent) for agent in shown], next_page=next_page)


@router.post("/{agent_id}/archive")
async def archive_agent(agent_id: str, services: Use) -> AgentResource:
    """Take an agent out of use for new sessions. Its keys stop working."""
    async with services.database.write() as connection:
        agent = await services.stores.agents.archive(connection, AgentId(agent_id))
    await services.feed.refresh()
    return agent_resource(agent)


def _model_id(model: str | ModelConfig) -> str:
    return model if isinstance(model, str) else model.id


def _updated(current: AgentDefinition, body: AgentUpdate) -> AgentDefinition:
    given = body.model_fields_set
    changes: dict[str, object] = {}
    if body.model is not None:
        changes["model"] = _model_id(body.model)
    if body.harness is not None:
        changes["harness"] = body.harness
    if "tools" in given:
        changes["tools"] = tools_from_wire(body.tools or ())
    if body.metadata is not None:
        merged = {**current.metadata, **body.metadata}
        changes["metadata"] = {key: value for key, value in merged.items() if value is not None}
    for name in ("system", "description", "environment"):
        if name in given:
            changes[name] = getattr(body, name) or None
    return AgentDefinition.model_validate({**current.model_dump(), **changes})


async def _check_model(
    connection: AsyncConnection, services: Services, project_id: ProjectId, definition: AgentDefinition
) -> None:
    """Raise `BadInput` if the model is unknown."""
    models = await services.stores.models.list(connection, project_id)
    stored = models.get(definition.model)
    if stored is None:
        known = ", ".join(models) or "none yet"
        raise BadInput(
            f"there is no model {definition.model!r}; models known here: {known}",
            code="unknown_model",
            hint="Define it under `models:` in a file and run `airside apply FILE`.",
        )
