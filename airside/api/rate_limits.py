"""`/v1/rate_limits`: how fast scopes may call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from airside.api.auth import admin_router
from airside.api.services import Services, Use
from airside.config.plan import as_json
from airside.errors import NotFound
from airside.spending.rate_limits import RateLimitDefinition

router = admin_router("/v1/rate_limits", "rate limits")


class RateLimitResource(RateLimitDefinition):
    """A rate limit. It is known by its scope and window."""

    type: Literal["rate_limit"] = "rate_limit"
    origin: Literal["file", "api"]


class RateLimitPage(BaseModel):
    """All rate limits."""

    data: Sequence[RateLimitResource]
    next_page: None = None


class DeletedRateLimit(BaseModel):
    """A rate limit that is no more."""

    type: Literal["rate_limit_deleted"] = "rate_limit_deleted"
    key: str


@router.get("")
async def list_rate_limits(services: Use) -> RateLimitPage:
    """Every rate limit."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        stored = await services.stores.rate_limits.list(connection, project.project_id)
    return RateLimitPage(
        data=[RateLimitResource.model_validate({**kept.definition, "origin": kept.origin}) for kept in stored.values()]
    )


@router.put("")
async def put_rate_limit(body: RateLimitDefinition, services: Use) -> RateLimitResource:
    """Limit a scope, or change its limit in the same window. Gateways keep it when this returns."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        await services.stores.rate_limits.put(connection, project.project_id, body.key, as_json(body), "api")
    await _adopt(services)
    return RateLimitResource.model_validate({**as_json(body), "origin": "api"})


@router.delete("/{key:path}")
async def delete_rate_limit(key: str, services: Use) -> DeletedRateLimit:
    """Lift a limit, named by scope and window such as `team:core/minute`."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        if key not in await services.stores.rate_limits.list(connection, project.project_id):
            raise NotFound(f"there is no rate limit {key}")
        await services.stores.rate_limits.remove(connection, project.project_id, key)
    await _adopt(services)
    return DeletedRateLimit(key=key)


async def _adopt(services: Services) -> None:
    snapshot = await services.feed.refresh()
    await services.feed.adopted(snapshot.version)
