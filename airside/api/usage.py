"""`/v1/usage`: tokens and money, from the gateway's journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel

from airside.api.auth import admin_router
from airside.api.services import Use
from airside.spending.usage import usage_by
from airside.spending.usage_by import UsageBy

router = admin_router("/v1/usage", "usage")


class UsageResource(BaseModel):
    """The sums of one group. The four input counters are disjoint."""

    key: str | None
    model_calls: int
    fallbacks: int
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int
    cost_nanousd: int


class UsageReport(BaseModel):
    """Usage, one row a group, dearest first."""

    type: Literal["usage"] = "usage"
    by: UsageBy
    data: Sequence[UsageResource]


@router.get("")
async def report_usage(
    services: Use,
    by: UsageBy = UsageBy.AGENT,
    since: Annotated[datetime | None, Query(description="From this time on.")] = None,
    until: Annotated[datetime | None, Query(description="Before this time.")] = None,
) -> UsageReport:
    """What was used, summed by agent, session, model or provider."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        rows = await usage_by(connection, by, project.project_id, since=since, until=until)
    return UsageReport(by=by, data=[UsageResource(key=row.key, **asdict(row.usage)) for row in rows])
