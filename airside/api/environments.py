"""`/v1/environments`: where sessions run. `sandbox` and the limits are our additions.

A client may ask for a vendor's cloud environment; what it gets runs here, and the answer's `config` says what is really
granted: no network but the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from airside.api.auth import admin_router
from airside.api.pages import cut_page, decode_cursor
from airside.api.services import Use
from airside.environments.environments import Environment, EnvironmentDefinition
from airside.environments.sandbox_kind import SandboxKind
from airside.errors import BadInput
from airside.ids import EnvironmentId

router = admin_router("/v1/environments", "environments")

_GRANTED: Mapping[str, Any] = {
    "type": "cloud",
    "networking": {
        "type": "limited",
        "allowed_hosts": [],
        "allow_mcp_servers": False,
        "allow_package_managers": False,
    },
    "packages": {"type": "packages", "apt": [], "cargo": [], "gem": [], "go": [], "npm": [], "pip": []},
}


class EnvironmentFields(BaseModel):
    """What a request can set."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    description: str | None = None
    config: Mapping[str, Any] | None = None
    scope: Literal["organization"] | None = None
    metadata: Mapping[str, str | None] | None = None
    sandbox: SandboxKind | None = None
    memory_mb: int | None = None
    processes: int | None = None


class EnvironmentResource(BaseModel):
    """An environment."""

    type: Literal["environment"] = "environment"
    id: str
    name: str
    description: str | None
    config: Mapping[str, Any]
    sandbox: SandboxKind
    memory_mb: int | None
    processes: int | None
    scope: Literal["organization"] = "organization"
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None


class EnvironmentPage(BaseModel):
    """A page of environments."""

    data: Sequence[EnvironmentResource]
    next_page: str | None


def environment_resource(environment: Environment) -> EnvironmentResource:
    """An environment as the wire shows it."""
    definition = environment.definition
    return EnvironmentResource(
        id=environment.environment_id,
        name=environment.name,
        description=definition.description,
        config=_GRANTED,
        sandbox=definition.sandbox,
        memory_mb=definition.memory_mb,
        processes=definition.processes,
        metadata=definition.metadata,
        created_at=environment.created_at,
        updated_at=environment.updated_at,
        archived_at=environment.archived_at,
    )


@router.post("")
async def create_environment(body: EnvironmentFields, services: Use) -> EnvironmentResource:
    """Define an environment."""
    if body.name is None:
        raise BadInput("an environment needs a name")
    definition = _updated(EnvironmentDefinition(), body)
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        made = await services.stores.environments.create(connection, project.project_id, body.name, definition, "api")
    return environment_resource(made)


@router.get("")
async def list_environments(
    services: Use,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    page: str | None = None,
    include_archived: bool = False,
) -> EnvironmentPage:
    """Environments, newest first."""
    after = decode_cursor(page)
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        found = await services.stores.environments.list(
            connection, project.project_id, include_archived=include_archived
        )
    matching = [one for one in found if after is None or one.environment_id < after]
    shown, next_page = cut_page(matching, limit, lambda one: one.environment_id)
    return EnvironmentPage(data=[environment_resource(one) for one in shown], next_page=next_page)


@router.get("/{environment_id}")
async def retrieve_environment(environment_id: str, services: Use) -> EnvironmentResource:
    """One environment."""
    async with services.database.read() as connection:
        return environment_resource(await services.stores.environments.get(connection, EnvironmentId(environment_id)))


@router.post("/{environment_id}")
async def update_environment(environment_id: str, body: EnvironmentFields, services: Use) -> EnvironmentResource:
    """Change an environment for sessions that start a process from now on."""
    async with services.database.write() as connection:
        current = await services.stores.environments.get(connection, EnvironmentId(environment_id))
        changed = await services.stores.environments.update(
            connection,
            current.environment_id,
            name=body.name or current.name,
            definition=_updated(current.definition, body),
            origin=current.origin,
        )
    return environment_resource(changed)


@router.post("/{environment_id}/archive")
async def archive_environment(environment_id: str, services: Use) -> EnvironmentResource:
    """Take an environment out of use for new sessions."""
    async with services.database.write() as connection:
        return environment_resource(
            await services.stores.environments.archive(connection, EnvironmentId(environment_id))
        )


def _updated(current: EnvironmentDefinition, body: EnvironmentFields) -> EnvironmentDefinition:
    _check_config(body.config or {})
    changes: dict[str, object] = {
        name: getattr(body, name) for name in ("sandbox", "memory_mb", "processes") if getattr(body, name) is not None
    }
    if "description" in body.model_fields_set:
        changes["description"] = body.description or None
    if body.metadata is not None:
        merged = {**current.metadata, **body.metadata}
        changes["metadata"] = {key: value for key, value in merged.items() if value is not None}
    return EnvironmentDefinition.model_validate({**current.model_dump(), **changes})


def _check_config(config: Mapping[str, Any]) -> None:
    """Refuse what would be promised and not kept."""
    packages = config.get("packages") or {}
    wished = [kind for kind, names in packages.items() if kind != "type" and names]
    if wished:
        raise BadInput(
            f"config.packages.{wished[0]}: packages cannot be installed into a sandbox yet",
            hint="Install them on the machine that runs the worker; sandboxes see its /usr.",
        )
    hosts = (config.get("networking") or {}).get("allowed_hosts")
    if hosts:
        raise BadInput(
            "config.networking.allowed_hosts: sandboxes have no network but the gateway",
            hint="Leave it empty, or use `sandbox: process`, which is no fence at all.",
        )
