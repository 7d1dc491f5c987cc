"""The ledger: what each gateway may spend of each budget, and what it has settled.

A grant is absolute and cumulative within a window. The sum of all grants of a scope never exceeds its cap, and no
gateway spends beyond its grant, so all of them together stay under the cap without talking to each other. A gateway
that is done with a grant gives the rest back. One that fell silent keeps its grant, which counts as spent, until it
comes back and its journal tells the truth, or until an operator writes it off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import GatewayId
from airside.spending.budgets import Bounds, Window, window_at
from airside.storage.tables import budget_ledger, budget_warnings, gateways

LIVE_GATEWAY = timedelta(minutes=1)  # a gateway asks at least every long poll, so silence means it is away
LEASE_LIFE = timedelta(hours=1)  # nothing new is reserved from an older lease


@dataclass(frozen=True, slots=True)
class Cap:
    """What limits a scope."""

    limit_nanousd: int
    window: Window
    timezone: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What one gateway may spend in one window, what of that is settled already, and what others have settled."""

    bounds: Bounds
    granted_nanousd: int
    settled_nanousd: int
    exhausted: bool
    others_settled_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """How a scope stands in one window, over all gateways. `held` is granted and not settled."""

    spent_nanousd: int
    held_nanousd: int


@dataclass(frozen=True, slots=True)
class _Wish:
    gateway_id: GatewayId
    scope: str
    limit_nanousd: int
    need_nanousd: int
    sharers: int


class Ledger:
    """Grants and settlements."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def grant(
        self, connection: AsyncConnection, gateway_id: GatewayId, scope: str, cap: Cap, need_nanousd: int
    ) -> Sequence[Grant]:
        """Give a gateway a slice of the running window and of the next one.

        It is brought up to half of an equal share of what is left, or to what it needs if that is more, so that there
        is always something left to be asked for; also by a gateway that nobody has heard of yet.
        """
        now = self._clock.now()
        running = window_at(cap.window, cap.timezone, now)
        sharers = await live_gateways(connection, self._clock)
        wish = _Wish(gateway_id, scope, cap.limit_nanousd, need_nanousd, sharers)
        grants = [await self._grant_in(connection, running, wish)]
        if running.end is not None:
            following = window_at(cap.window, cap.timezone, now + timedelta(seconds=running.end - now.timestamp() + 1))
            grants.append(await self._grant_in(connection, following, replace(wish, need_nanousd=0)))
        return grants

    async def _grant_in(self, connection: AsyncConnection, bounds: Bounds, wish: _Wish) -> Grant:
        table = budget_ledger
        query = select(table).where(table.c.scope == wish.scope, table.c.window_start == bounds.start)
        rows = (await connection.execute(query)).all()
        mine = next((row for row in rows if row.gateway_id == wish.gateway_id), None)
        others = [row for row in rows if row is not mine]
        settled = mine.settled_nanousd if mine else 0
        held = mine.granted_nanousd if mine else 0
        ceiling = max(
            settled, wish.limit_nanousd - sum(max(row.granted_nanousd, row.settled_nanousd) for row in others)
        )
        slice_nanousd = -(-(ceiling - settled) // (2 * wish.sharers))
        granted = min(ceiling, max(held + wish.need_nanousd, settled + slice_nanousd))
        statement = insert(table).values(
            scope=wish.scope,
            window_start=bounds.start,
            gateway_id=wish.gateway_id,
            granted_nanousd=granted,
            settled_nanousd=0,
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["scope", "window_start", "gateway_id"], set_={"granted_nanousd": granted}
            )
        )
        others_settled = sum(row.settled_nanousd for row in others)
        return Grant(bounds, granted, settled, granted >= ceiling, others_settled)

    async def give_back(
        self, connection: AsyncConnection, gateway_id: GatewayId, scope: str, window_start: int, *, was: int, now: int
    ) -> None:
        """Lower a grant to what is settled or held of it. Does nothing if it is no longer what it `was`."""
        table = budget_ledger
        await connection.execute(
            update(table)
            .where(
                table.c.scope == scope,
                table.c.window_start == window_start,
                table.c.gateway_id == gateway_id,
                table.c.granted_nanousd == was,
            )
            .values(granted_nanousd=func.max(now, table.c.settled_nanousd))
        )

    async def begin_afresh(self, connection: AsyncConnection, gateway_id: GatewayId) -> None:
        """Take back everything that earlier processes of a gateway were granted and did not spend.

        Only for a gateway that holds nothing and whose journal is stored to its end: then what is settled is the truth.
        """
        table = budget_ledger
        await connection.execute(
            update(table)
            .where(table.c.gateway_id == gateway_id, table.c.granted_nanousd > table.c.settled_nanousd)
            .values(granted_nanousd=table.c.settled_nanousd)
        )

    async def write_off(self, connection: AsyncConnection, gateway_id: GatewayId, scope: str) -> None:
        """Take back what a lost gateway was granted of a scope and is not known to have spent."""
        table = budget_ledger
        await connection.execute(
            update(table)
            .where(
                table.c.gateway_id == gateway_id,
                table.c.scope == scope,
                table.c.granted_nanousd > table.c.settled_nanousd,
            )
            .values(granted_nanousd=table.c.settled_nanousd)
        )

    async def settle(
        self, connection: AsyncConnection, gateway_id: GatewayId, scope: str, window_start: int, nanousd: int
    ) -> None:
        """Add a settled charge. Called once per journal record, by its intake."""
        statement = insert(budget_ledger).values(
            scope=scope,
            window_start=window_start,
            gateway_id=gateway_id,
            granted_nanousd=0,
            settled_nanousd=nanousd,
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["scope", "window_start", "gateway_id"],
                set_={"settled_nanousd": budget_ledger.c.settled_nanousd + nanousd},
            )
        )

    async def spent(self, connection: AsyncConnection, scope: str, window_start: int) -> int:
        """What all gateways together have settled in a window, in nano-dollars."""
        return (await self.position(connection, scope, window_start)).spent_nanousd

    async def position(self, connection: AsyncConnection, scope: str, window_start: int) -> Position:
        """How a scope stands in a window."""
        table = budget_ledger.c
        held = func.max(table.granted_nanousd - table.settled_nanousd, 0)
        query = select(func.coalesce(func.sum(table.settled_nanousd), 0), func.coalesce(func.sum(held), 0)).where(
            table.scope == scope, table.window_start == window_start
        )
        spent, held_sum = (await connection.execute(query)).one()
        return Position(int(spent), int(held_sum))

    async def holders(self, connection: AsyncConnection, scope: str, window_start: int) -> Sequence[tuple[str, int]]:
        """The gateways that hold something of a scope, and how much."""
        table = budget_ledger.c
        query = select(table.gateway_id, table.granted_nanousd - table.settled_nanousd).where(
            table.scope == scope,
            table.window_start == window_start,
            table.granted_nanousd > table.settled_nanousd,
        )
        return [(row[0], int(row[1])) for row in await connection.execute(query.order_by(table.gateway_id))]

    async def warn_once(
        self, connection: AsyncConnection, scope: str, window_start: int, level_nanousd: int
    ) -> int | None:
        """What is spent in a window, if that reaches a level for the first time."""
        spent = await self.spent(connection, scope, window_start)
        if spent < level_nanousd:
            return None
        noted = await connection.execute(
            insert(budget_warnings)
            .values(scope=scope, window_start=window_start, spent_nanousd=spent, warned_at=self._clock.now())
            .on_conflict_do_nothing(index_elements=["scope", "window_start"])
        )
        return spent if noted.rowcount else None


async def scopes_in_ledger(connection: AsyncConnection, prefix: str) -> Sequence[str]:
    """The scopes in the ledger that begin so."""
    query = select(budget_ledger.c.scope).where(budget_ledger.c.scope.startswith(prefix, autoescape=True)).distinct()
    return [row[0] for row in await connection.execute(query.order_by(budget_ledger.c.scope))]


async def live_gateways(connection: AsyncConnection, clock: Clock) -> int:
    """How many gateways were heard from lately; at least the one that asks."""
    query = select(func.count()).select_from(gateways).where(gateways.c.last_seen_at >= clock.now() - LIVE_GATEWAY)
    return max(1, int((await connection.execute(query)).scalar_one()))


async def take_order(connection: AsyncConnection, gateway_id: GatewayId, order: int) -> int:
    """The newest order of a gateway's lease requests, this one included. Higher than `order`: this one came too late,
    and acting on it would undo what a later one did.
    """
    query = select(gateways.c.lease_order).where(gateways.c.id == gateway_id)
    newest = int((await connection.execute(query)).scalar_one_or_none() or 0)
    if order <= newest:
        return newest + 1
    await connection.execute(update(gateways).where(gateways.c.id == gateway_id).values(lease_order=order))
    return order


async def is_lost(connection: AsyncConnection, clock: Clock, gateway_id: GatewayId) -> bool:
    """True if a gateway was silent for so long that no lease of it is good any more."""
    query = select(gateways.c.last_seen_at).where(gateways.c.id == gateway_id)
    seen = (await connection.execute(query)).scalar_one_or_none()
    return seen is not None and seen < clock.now() - LEASE_LIFE


def totals(charges: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int], int]:
    """Charges (scope, window, amount) summed by scope and window."""
    sums: dict[tuple[str, int], int] = {}
    for scope, window_start, nanousd in charges:
        sums[scope, window_start] = sums.get((scope, window_start), 0) + nanousd
    return sums


async def note_gateway(
    connection: AsyncConnection, clock: Clock, gateway_id: GatewayId, *, snapshot_version: int | None = None
) -> None:
    """Remember that a gateway was heard from, and which snapshot it runs on."""
    now = clock.now()
    statement = insert(gateways).values(
        id=gateway_id, first_seen_at=now, last_seen_at=now, journal_through=0, snapshot_version=snapshot_version or 0
    )
    changes: dict[str, object] = {"last_seen_at": now}
    if snapshot_version is not None:
        changes["snapshot_version"] = snapshot_version
    await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changes))


async def journal_through(connection: AsyncConnection, gateway_id: GatewayId) -> int:
    """The last journal sequence of this gateway that is stored; 0 before the first."""
    query = select(gateways.c.journal_through).where(gateways.c.id == gateway_id)
    return int((await connection.execute(query)).scalar_one_or_none() or 0)


async def advance_journal(connection: AsyncConnection, gateway_id: GatewayId, sequence: int) -> None:
    """Note that everything up to `sequence` is stored."""
    await connection.execute(update(gateways).where(gateways.c.id == gateway_id).values(journal_through=sequence))
