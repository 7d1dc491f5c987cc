"""What was used and what it cost, summed from the journal and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from airside.ids import SessionId
from airside.spending.usage_by import UsageBy
from airside.storage.tables import model_calls

_GROUPS: dict[UsageBy, ColumnElement[str | None]] = {
    UsageBy.AGENT: model_calls.c.agent_name,
    UsageBy.SESSION: model_calls.c.session_id,
    UsageBy.MODEL: model_calls.c.model,
    UsageBy.PROVIDER: model_calls.c.provider,
}


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over some model calls. Tokens are disjoint; `output` includes reasoning."""

    model_calls: int = 0
    fallbacks: int = 0
    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    cost_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one group; `key` is None where the calls carry no such thing."""

    key: str | None
    usage: Usage


def _sums() -> list[ColumnElement[int]]:
    table = model_calls.c
    counted = (table.input_uncached, table.cache_read, table.cache_write_5m, table.cache_write_1h, table.output)
    return [
        func.count().label("model_calls"),
        func.coalesce(func.sum(cast(table.fell_back, Integer)), 0).label("fallbacks"),
        *(func.coalesce(func.sum(column), 0).label(column.name) for column in counted),
        func.coalesce(func.sum(table.cost_nanousd), 0).label("cost_nanousd"),
    ]


async def usage_of_session(connection: AsyncConnection, session_id: SessionId) -> Usage:
    """Everything one session has used."""
    row = (await connection.execute(select(*_sums()).where(model_calls.c.session_id == session_id))).one()
    return Usage(*(int(value) for value in row))


async def usage_by(
    connection: AsyncConnection,
    group: UsageBy,
    project: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Sequence[UsageRow]:
    """Usage of a project, one row a group, dearest first. `since` is inclusive, `until` is not."""
    key = _GROUPS[group]
    query = select(key.label("key"), *_sums()).where(model_calls.c.project == project).group_by(key)
    if since is not None:
        query = query.where(model_calls.c.at >= since)
    if until is not None:
        query = query.where(model_calls.c.at < until)
    rows = (await connection.execute(query)).all()
    found = [UsageRow(row[0], Usage(*(int(value) for value in row[1:]))) for row in rows]
    return sorted(found, key=lambda row: (-row.usage.cost_nanousd, row.key or ""))
