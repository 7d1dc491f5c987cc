"""`/v1/keys`: long-lived keys for laptops, CI and scripts that call the gateway in an agent's name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from airside.access.keys import StoredKey
from airside.api.auth import admin_router
from airside.api.parties import PartyName
from airside.api.services import Use
from airside.api.unknown import unknown_agent
from airside.errors import BadInput
from airside.ids import AgentId, KeyId

router = admin_router("/v1/keys", "keys")


class KeyFields(BaseModel):
    """What a new key is made with."""

    model_config = ConfigDict(extra="forbid")
    agent: Annotated[str, Field(description="Name or id of the agent it acts for.")]
    name: Annotated[str, Field(max_length=200)] | None = None
    user: PartyName | None = Field(default=None, description="Whose budgets and rate limits its calls count against.")
    team: PartyName | None = Field(default=None, description="The same for a team.")
    expires_in_days: Annotated[float, Field(gt=0, le=3650)] | None = None


class KeyResource(BaseModel):
    """A key without the key."""

    type: Literal["key"] = "key"
    id: str
    agent_id: str
    name: str | None
    user: str | None = None
    team: str | None = None
    hint: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(KeyResource):
    """A key just made; `key` is shown this once."""

    key: str


class KeyPage(BaseModel):
    """All keys."""

    data: Sequence[KeyResource]
    next_page: None = None


def _fields(key: StoredKey) -> dict[str, object]:
    return {
        "id": key.key_id,
        "agent_id": key.agent_id,
        "name": key.name,
        "user": key.user,
        "team": key.team,
        "hint": key.hint,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


@router.post("")
async def create_key(body: KeyFields, services: Use) -> NewKey:
    """Make a key. Gateways know it when this returns."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        agents = await services.stores.agents.list(connection, project.project_id)
        agent = next((agent for agent in agents if body.agent in {agent.agent_id, agent.name}), None)
        if agent is None:
            raise unknown_agent(BadInput, body.agent, agents)
        lifetime = timedelta(days=body.expires_in_days) if body.expires_in_days else None
        stored, secret = await services.stores.keys.create(
            connection,
            project.project_id,
            AgentId(agent.agent_id),
            name=body.name,
            user=body.user,
            team=body.team,
            expires_at=services.clock.now() + lifetime if lifetime else None,
        )
    snapshot = await services.feed.refresh()
    await services.feed.adopted(snapshot.version)
    return NewKey.model_validate({**_fields(stored), "key": secret})


@router.get("")
async def list_keys(services: Use) -> KeyPage:
    """Every key, revoked ones included."""
    async with services.database.read() as connection:
        keys = await services.stores.keys.list(connection)
    return KeyPage(data=[KeyResource.model_validate(_fields(key)) for key in keys])


@router.post("/{key_id}/revoke")
async def revoke_key(key_id: str, services: Use) -> KeyResource:
    """Take a key back for good. Gateways refuse it when this returns."""
    async with services.database.write() as connection:
        revoked = await services.stores.keys.revoke(connection, KeyId(key_id))
    snapshot = await services.feed.refresh()
    await services.feed.adopted(snapshot.version)
    return KeyResource.model_validate(_fields(revoked))
