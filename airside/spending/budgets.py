"""Budgets: hard caps on what a scope (project, team, user, agent, session, model ...) may spend in a window of time."""

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
from airside.routing.definitions import Definition, Name
from airside.spending.scopes import Scope, ScopeKind, split_scope
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
    """A cap on one scope in one kind of window."""

    scope: Scope
    limit_usd: Annotated[Decimal, Field(ge=0, le=1_000_000_000)]
    window: Window = Window.TOTAL
    timezone: str = Field(default="UTC", description="IANA zone in which days, weeks and months begin.")
    warn_at: Annotated[str, Field(pattern=r"^(100|[1-9]?[0-9])%$")] | None = Field(
        default=None, description="From this part of the limit on, such as 80%, callers are warned."
    )
    on_limit: Literal["park", "refuse", "downgrade"] = "park"
    downgrade_to: Name | None = Field(
        default=None, description="With `on_limit: downgrade`: the model that serves what this budget cannot cover."
    )

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
        if self.scope == SESSION_SCOPE and (self.warn_at is not None or self.on_limit == "downgrade"):
            raise ValueError("a session's budget parks the session; it has no `warn_at` and no `downgrade_to`")
        return self

    @model_validator(mode="after")
    def _a_downgrade_has_a_target(self) -> BudgetDefinition:
        if (self.on_limit == "downgrade") != (self.downgrade_to is not None):
            raise ValueError("`on_limit: downgrade` and `downgrade_to: MODEL` go together")
        if self.downgrade_to is not None and self.scope == f"model:{self.downgrade_to}":
            raise ValueError("a model's budget cannot downgrade to the same model")
        return self

    @property
    def key(self) -> str:
        """What tells it from the other budgets of a project: its scope, and its window unless that is the total."""
        return self.scope if self.window is Window.TOTAL else f"{self.scope}/{self.window}"

    @property
    def kind(self) -> ScopeKind:
        """What it limits."""
        return split_scope(self.scope)[0]

    @property
    def name(self) -> str | None:
        """Which one of its kind; None for `project` and `session`."""
        return split_scope(self.scope)[1]

    @property
    def warn_at_nanousd(self) -> int | None:
        """The amount from which callers are warned."""
        return None if self.warn_at is None else self.limit_nanousd * int(self.warn_at.removesuffix("%")) // 100

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
    """The budgets of all projects; one per scope and window."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def list(self, connection: AsyncConnection, project_id: ProjectId) -> Mapping[str, StoredBudget]:
        """By key, in order of it."""
        query = select(budgets).where(budgets.c.project_id == project_id).order_by(budgets.c.scope)
        rows = (await connection.execute(query)).all()
        stored = (
            StoredBudget(BudgetId(row.id), BudgetDefinition.model_validate(row.definition), row.origin) for row in rows
        )
        return {budget.definition.key: budget for budget in stored}

    async def put(
        self, connection: AsyncConnection, project_id: ProjectId, definition: BudgetDefinition, origin: Origin
    ) -> None:
        """Make it so; what was spent under an earlier definition of the same scope and window still counts."""
        now = self._clock.now()
        content = definition.model_dump(mode="json")
        statement = insert(budgets).values(
            id=self._ids.budget(),
            project_id=project_id,
            scope=definition.key,
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

    async def remove(self, connection: AsyncConnection, project_id: ProjectId, key: str) -> None:
        """Lift the cap, whether there was one or not."""
        await connection.execute(delete(budgets).where(budgets.c.project_id == project_id, budgets.c.scope == key))
