"""Sessions and their events as the wire shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.agents.agents import Agent
from airside.api.agents import AgentResource, agent_resource
from airside.api.services import Services
from airside.sessions.log import Event
from airside.sessions.repository_address import without_credentials
from airside.sessions.sessions import Repository, Session
from airside.sessions.states import SessionState, WireStatus, wire_status
from airside.spending.budgets import NANOUSD_PER_USD
from airside.spending.usage import Usage, usage_of_session

NANOUSD_PER_CENT = NANOUSD_PER_USD // 100


class Money(BaseModel):
    """An amount in whole cents, as a string of digits; `nanousd` says it exactly."""

    amount: Annotated[str, Field(pattern=r"^(0|[1-9][0-9]*)$")]
    currency: Literal["USD"] = "USD"
    nanousd: int | None = None


class BudgetLimit(BaseModel):
    """A hard cap on what a session may spend."""

    model_config = ConfigDict(extra="forbid")
    type: Literal["limit"] = "limit"
    max_list_cost: Money


class SessionUsage(BaseModel):
    """What a session has used, from the gateway's journal. `input_tokens` counts uncached input only."""

    input_tokens: int
    cache_read_input_tokens: int
    cache_creation: Mapping[str, int]
    output_tokens: int
    list_cost: Money
    active_seconds: float
    model_calls: int
    fallbacks: int
    cost_nanousd: int


class SessionResource(BaseModel):
    """A session. `state`, `stop_reason`, `user`, `team` and what begins with `harness` are our additions."""

    type: Literal["session"] = "session"
    id: str
    status: WireStatus
    state: SessionState
    stop_reason: Mapping[str, Any] | None
    title: str | None
    agent: AgentResource
    environment_id: str
    budget: BudgetLimit | None
    user: str | None
    team: str | None
    metadata: Mapping[str, str]
    resources: Sequence[Mapping[str, Any]]
    outcome_evaluations: Sequence[object] = ()
    vault_ids: Sequence[str] = ()
    deployment_id: str | None = None
    stats: Mapping[str, float]
    usage: SessionUsage
    harness_session_id: str | None
    harness_version: str | None
    event_count: int
    head_sha256: str
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


def money(nanousd: int) -> Money:
    """Nano-dollars as an amount, rounded up to whole cents."""
    return Money(amount=str(-(-nanousd // NANOUSD_PER_CENT)), nanousd=nanousd)


async def session_resource(connection: AsyncConnection, services: Services, session: Session) -> SessionResource:
    """A session as the wire shows it, with its agent and usage."""
    agent = await services.stores.agents.get(connection, session.agent_id, session.agent_version)
    usage = await usage_of_session(connection, session.session_id)
    return _resource(session, agent, usage, services)


def _resource(session: Session, agent: Agent, usage: Usage, services: Services) -> SessionResource:
    end = session.updated_at if session.is_over else services.clock.now()
    budget = session.budget_nanousd
    return SessionResource(
        id=session.session_id,
        status=wire_status(session.state),
        state=session.state,
        stop_reason=session.stop_reason,
        title=session.title,
        agent=agent_resource(agent),
        environment_id=session.environment_id,
        budget=BudgetLimit(max_list_cost=money(budget)) if budget is not None else None,
        user=session.user,
        team=session.team,
        metadata=session.metadata,
        resources=[_repository(session, session.repository)] if session.repository else [],
        stats={
            "active_seconds": session.active_seconds,
            "duration_seconds": (end - session.created_at).total_seconds(),
        },
        usage=_usage(session, usage),
        harness_session_id=session.native_session_id,
        harness_version=session.harness_version,
        event_count=session.event_count,
        head_sha256=session.head_sha256,
        created_at=session.created_at,
        updated_at=session.updated_at,
        archived_at=session.archived_at,
    )


def _usage(session: Session, usage: Usage) -> SessionUsage:
    return SessionUsage(
        input_tokens=usage.input_uncached,
        cache_read_input_tokens=usage.cache_read,
        cache_creation={
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        output_tokens=usage.output,
        list_cost=money(usage.cost_nanousd),
        active_seconds=session.active_seconds,
        model_calls=usage.model_calls,
        fallbacks=usage.fallbacks,
        cost_nanousd=usage.cost_nanousd,
    )


def _repository(session: Session, repository: Repository) -> dict[str, Any]:
    checkout: dict[str, str] | None = None
    if repository.commit:
        checkout = {"type": "commit", "sha": repository.commit}
    elif repository.branch:
        checkout = {"type": "branch", "name": repository.branch}
    stamp = session.created_at.isoformat()
    return {
        "id": f"{session.session_id}_repository",
        "type": "github_repository",
        "url": without_credentials(repository.url),
        "mount_path": "/workspace",
        "checkout": checkout,
        "created_at": stamp,
        "updated_at": stamp,
    }


def event_wire(event: Event) -> dict[str, Any]:
    """An event as the wire shows it: its payload, with `sequence` and the hash that links it as our additions."""
    payload = dict(event.payload)
    if "sha256" in payload:
        # Older logs hold an artifact's hash under the name of the event's own; what is stored cannot change.
        payload["artifact_sha256"] = payload.pop("sha256")
    return {
        **payload,
        "id": event.event_id,
        "type": event.type,
        "processed_at": event.at.isoformat(),
        "sequence": event.sequence,
        "sha256": event.sha256,
    }
