"""Budgets: hard caps on what an agent, or each session, may spend in a window of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import BudgetId, Ids, ProjectId
from airside.routing.definitions import Definition
from airside.storage.definitions import Origin
from airside.storage.tables import budgets

NANOUSD_PER_USD = 1_000_000_000
SESSION_SCOPE = "session"


class Window(StrEnum):
    """How often a budget starts afresh."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


class BudgetDefinition(Definition):
    """A cap. `scope` is `agent:NAME`, or `session` for each session by itself over its whole life."""

    scope: Annotated[str, Field(pattern=r"^(session|agent:.+)$")]
    limit_usd: Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
    window: Window = Window.TOTAL
    timezone: str = "UTC"
    on_limit: Literal["park", "refuse"] = "park"

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Berlin") from error
        return value

    @model_validator(mode="after")
    def _sessions_have_no_window(self) -> BudgetDefinition:
        if self.scope == SESSION_SCOPE and self.window is not Window.TOTAL:
            raise ValueError("a session's budget is for its whole life: leave out `window` or write `window: total`")
        return self

    @property
    def agent_name(self) -> str | None:
        """The agent it limits; None for a budget of sessions."""
        return self.scope.removeprefix("agent:") if self.scope.startswith("agent:") else None

    @property
    def limit_nanousd(self) -> int:
        """The cap in nano-dollars, never more than what was written."""
        return int((self.limit_usd * NANOUSD_PER_USD).to_integral_value(rounding=ROUND_FLOOR))


@dataclass(frozen=True, slots=True)
class Bounds:
    """One window in seconds since 1970; `end` is None where there is none."""

    start: int
    end: int | None


def window_at(window: Window, timezone: str, moment: datetime) -> Bounds:
    """The window that holds `moment`. Days, weeks (from Monday) and months begin at local midnight of the zone.

    A day on which the clocks change has 23 or 25 hours; minutes and hours are those of UTC, so they never overlap.
    """
    if window is Window.TOTAL:
        return Bounds(0, None)
    if window in {Window.MINUTE, Window.HOUR}:
        length = 60 if window is Window.MINUTE else 3600
        start = int(moment.timestamp()) // length * length
        return Bounds(start, start + length)
    zone = ZoneInfo(timezone)
    midnight = moment.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    first = _first_day(window, midnight)
    return Bounds(_seconds(first), _seconds(_following(window, first)))


def _first_day(window: Window, midnight: datetime) -> datetime:
    if window is Window.WEEK:
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if window is Window.MONTH else midnight


def _following(window: Window, first: datetime) -> datetime:
    if window is Window.DAY:
        return first + timedelta(days=1)
    if window is Window.WEEK:
        return first + timedelta(days=7)
    return (first + timedelta(days=32)).replace(day=1)


def _seconds(local: datetime) -> int:
    return int(local.astimezone(UTC).timestamp())


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """A budget as we keep it."""

    budget_id: BudgetId
    definition: BudgetDefinition
    origin: Origin


class Budgets:
    """The budgets of all projects; one per scope."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def list(self, connection: AsyncConnection, project_id: ProjectId) -> Mapping[str, StoredBudget]:
        """By scope, in order of scope."""
        query = select(budgets).where(budgets.c.project_id == project_id).order_by(budgets.c.scope)
        return {
            row.scope: StoredBudget(BudgetId(row.id), BudgetDefinition.model_validate(row.definition), row.origin)
            for row in await connection.execute(query)
        }

    async def put(
        self, connection: AsyncConnection, project_id: ProjectId, definition: BudgetDefinition, origin: Origin
    ) -> None:
        """Make it so; what was spent under an earlier definition of the scope still counts."""
        now = self._clock.now()
        content = definition.model_dump(mode="json")
        statement = insert(budgets).values(
            id=self._ids.budget(),
            project_id=project_id,
            scope=definition.scope,
            definition=content,
            origin=origin,
            created_at=now,
            updated_at=now,
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["project_id", "scope"],
                set_={"definition": content, "origin": origin, "updated_at": now},
            )
        )

    async def remove(self, connection: AsyncConnection, project_id: ProjectId, scope: str) -> None:
        """Lift the cap, whether there was one or not."""
        await connection.execute(delete(budgets).where(budgets.c.project_id == project_id, budgets.c.scope == scope))
