"""`/v1/routes`: where calls of a model go, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from airside.api.auth import admin_router
from airside.api.services import Services, Use
from airside.api.unknown import unknown_agent
from airside.errors import NotFound
from airside.routing.definitions import ModelDefinition, RouteStep

router = admin_router("/v1/routes", "routes")


class Route(BaseModel):
    """The route of one model."""

    type: Literal["route"] = "route"
    model: str
    steps: Sequence[RouteStep]


class RouteList(BaseModel):
    """Every route, by model."""

    data: Sequence[Route]


class ImaginedCall(BaseModel):
    """A call that is not made, as far as it is described. What the body says counts more than what stands beside it."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(default=None, description="The alias; the body's own unless given.")
    door: str | None = Field(default=None, description="The front door; `anthropic-messages` unless given.")
    task: str | None = Field(default=None, description="Told from the headers and the body unless given.")
    agent: str | None = Field(default=None, description="Name of the agent that calls.")
    session: str | None = Field(default=None, description="Its session, whose prompt cache then counts.")
    input_tokens: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Estimated from the body unless given."
    )
    output_limit: Annotated[int, Field(ge=0)] | None = None
    images: Annotated[int, Field(ge=0)] = 0
    documents: Annotated[int, Field(ge=0)] = 0
    tools: Annotated[int, Field(ge=0)] = 0
    thinking: bool = False
    stream: bool = False
    headers: Mapping[str, str] = Field(default_factory=dict)
    body: Mapping[str, Any] | None = Field(default=None, description="The request itself.")


class StepNote(BaseModel):
    """One step of the route, as the call sees it."""

    step: int
    when: str | None
    strategy: str
    holds: bool | None = Field(description="None: not asked, because an earlier step was the one.")
    problem: str | None = Field(description="Why its condition gave no answer, which means no.")


class CandidateNote(BaseModel):
    """A target that would be asked, in this order."""

    provider: str
    model: str
    family: str
    key: int
    translated: bool
    rests: bool = Field(description="It is left alone for now, and asked only after the others.")
    expected_nanousd: int
    bound_nanousd: int = Field(description="What would be reserved if it were the only one.")
    context_window: int | None
    first_content_us: int | None = Field(description="Average time to its first content, where measured.")
    losses: Sequence[str] | None = Field(
        description="What translation and the vendor would leave out; None without a body."
    )
    untranslatable: str | None = Field(description="Why the request cannot be said there at all.")


class RejectedNote(BaseModel):
    """A target that would not be asked, and why."""

    provider: str
    model: str
    reason: str


class HealthNote(BaseModel):
    """Something amiss with a provider, or with one of its keys."""

    provider: str
    key: int | None
    state: str
    for_ms: int
    failures: int


class SessionNote(BaseModel):
    """Where the session's prompt cache is."""

    provider: str | None
    model: str | None
    pinned: bool
    cached_tokens: int


class RouteExplanation(BaseModel):
    """What would become of a call."""

    type: Literal["route_explanation"] = "route_explanation"
    source: Literal["gateway", "configuration"] = Field(
        description="`configuration`: no gateway could be asked, so nothing is known of the health of providers."
    )
    model: str
    snapshot_version: int
    door: str
    task: str
    input_tokens: int
    steps: Sequence[StepNote]
    step: int | None = Field(description="Which step applies, from 0.")
    lead: str | None = Field(description="What put the first target first: strategy, split, cache or pin.")
    candidates: Sequence[CandidateNote]
    rejected: Sequence[RejectedNote]
    shadow: CandidateNote | None
    refusal: str | None = Field(description="Why the call would be refused.")
    session: SessionNote
    health: Sequence[HealthNote] | None = Field(description="None: not known.")


@router.get("")
async def list_routes(services: Use) -> RouteList:
    """Every model's route."""
    return RouteList(data=[Route(model=name, steps=model.route) for name, model in (await _models(services)).items()])


@router.get("/{model}")
async def get_route(services: Use, model: Annotated[str, Path(max_length=200)]) -> Route:
    """The route of one model."""
    models = await _models(services)
    if model not in models:
        known = ", ".join(models) or "none yet"
        raise NotFound(f"there is no model {model!r}; models known here: {known}", code="unknown_model")
    return Route(model=model, steps=models[model].route)


@router.post("/explain")
async def explain_route(call: ImaginedCall, services: Use) -> RouteExplanation:
    """Say which rule a call would follow, which targets it would try and why not the others, and what it may cost.

    Nothing is called. A gateway that is up is asked, for what it knows of the health of providers; else the
    configuration alone decides, and the answer's `source` says so.
    """
    described = call.model_dump(exclude={"agent"}, exclude_none=True)
    described |= await _caller(services, call.agent)
    return RouteExplanation.model_validate(await services.routes.explain(described))


async def _models(services: Services) -> dict[str, ModelDefinition]:
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        kept = await services.stores.models.list(connection, project.project_id)
    return {name: ModelDefinition.model_validate(one.definition) for name, one in sorted(kept.items())}


async def _caller(services: Services, agent_name: str | None) -> dict[str, Any]:
    """Who calls, in the gateway's words."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        agents = await services.stores.agents.list(connection, project.project_id)
    caller: dict[str, Any] = {"project": project.project_id}
    if agent_name is None:
        return caller
    agent = next((agent for agent in agents if agent.name == agent_name), None)
    if agent is None:
        raise unknown_agent(NotFound, agent_name, agents)
    return caller | {"agent": {"id": agent.agent_id, "name": agent.name, "version": agent.version}}
