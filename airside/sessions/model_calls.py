"""Reads the records of model calls, newest first or as they come in.

Not for taking them in (`journal_intake`) and not for sums (`airside.spending.usage`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from airside.dataplanes.journal import ModelCall
from airside.dataplanes.outcome import Outcome
from airside.errors import NotFound
from airside.ids import GatewayId
from airside.storage.tables import model_calls

_table = model_calls.c


@dataclass(frozen=True, slots=True)
class StoredCall:
    """A record, with where it came from. `position` rises by one with every record taken in."""

    position: int
    gateway_id: GatewayId
    fell_back: bool
    record: ModelCall


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls are wanted; None: any. `since` is inclusive, `until` is not."""

    session_id: str | None = None
    agent: str | None = None  # id or name
    model: str | None = None
    provider: str | None = None
    outcome: Outcome | None = None
    since: datetime | None = None
    until: datetime | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """What a query of calls must hold to."""
        exact: Mapping[ColumnElement[str | None], str | None] = {
            _table.session_id: self.session_id,
            _table.model: self.model,
            _table.provider: self.provider,
            _table.outcome: self.outcome,
        }
        clauses = [column == value for column, value in exact.items() if value is not None]
        if self.agent is not None:
            clauses.append((_table.agent_id == self.agent) | (_table.agent_name == self.agent))
        if self.since is not None:
            clauses.append(_table.at >= self.since)
        if self.until is not None:
            clauses.append(_table.at < self.until)
        return clauses


async def newest_position(connection: AsyncConnection) -> int:
    """The position of the record that came in last; 0 before the first."""
    return int((await connection.execute(select(func.coalesce(func.max(_table.position), 0)))).scalar_one())


async def list_calls(
    connection: AsyncConnection, project: str, wanted: CallFilter, *, before: int | None, limit: int
) -> Sequence[StoredCall]:
    """Calls of a project, newest first, from below the position `before` on."""
    query = _calls(project, wanted).order_by(_table.position.desc()).limit(limit)
    if before is not None:
        query = query.where(_table.position < before)
    return [_stored(row) for row in await connection.execute(query)]


async def calls_after(
    connection: AsyncConnection, project: str, wanted: CallFilter, *, after: int, limit: int
) -> Sequence[StoredCall]:
    """Calls of a project in the order they came in, from behind the position `after` on."""
    query = _calls(project, wanted).where(_table.position > after).order_by(_table.position).limit(limit)
    return [_stored(row) for row in await connection.execute(query)]


async def get_call(connection: AsyncConnection, project: str, call_id: str) -> StoredCall:
    """One call. Raises `NotFound` for an id that no call of the project has."""
    query = _calls(project, CallFilter()).where(_table.call_id == call_id)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(
            f"there is no model call {call_id!r}",
            code="unknown_model_call",
            hint="`airside calls list` shows them; a call is recorded a moment after it ends.",
        )
    return _stored(row)


def _calls(project: str, wanted: CallFilter) -> Select[tuple[int, str, bool, object]]:
    columns = (_table.position, _table.gateway_id, _table.fell_back, _table.sequence, _table.record)
    return select(*columns).where(_table.project == project, *wanted.clauses())


def _stored(row: Row[tuple[int, str, bool, object]]) -> StoredCall:
    return StoredCall(row.position, GatewayId(row.gateway_id), row.fell_back, ModelCall.model_validate(row.record))
