"""The ledger: what each gateway may spend of each budget, and what it has settled.

A grant is absolute and cumulative within a window. The sum of all grants of a scope never exceeds its cap, and no
gateway spends beyond its grant, so all of them together stay under the cap without talking to each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import GatewayId
from airside.spending.budgets import Bounds, Window, window_at
from airside.storage.tables import budget_ledger, gateways

_LIVE_GATEWAY = timedelta(minutes=1)  # a gateway asks at least every long poll, so silence means it is away


@dataclass(frozen=True, slots=True)
class Cap:
    """What limits a scope."""

    limit_nanousd: int
    window: Window
    timezone: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What one gateway may spend in one window, and what of that is settled already."""

    bounds: Bounds
    granted_nanousd: int
    settled_nanousd: int
    exhausted: bool


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
        """Give a gateway its share of the running window and of the next one.

        A gateway that is alone gets all that is left. With others alive it gets half of an equal share, or what it
        needs if that is more, so that the rest stays to be asked for.
        """
        now = self._clock.now()
        running = window_at(cap.window, cap.timezone, now)
        sharers = await self._live_gateways(connection)
        wish = _Wish(gateway_id, scope, cap.limit_nanousd, need_nanousd, sharers)
        grants = [await self._grant_in(connection, running, wish)]
        if running.end is not None:
            following = window_at(cap.window, cap.timezone, now + timedelta(seconds=running.end - now.timestamp() + 1))
            grants.append(await self._grant_in(connection, following, replace(wish, need_nanousd=0)))
        return grants

    async def _live_gateways(self, connection: AsyncConnection) -> int:
        since = self._clock.now() - _LIVE_GATEWAY
        query = select(func.count()).select_from(gateways).where(gateways.c.last_seen_at >= since)
        return max(1, int((await connection.execute(query)).scalar_one()))

    async def _grant_in(self, connection: AsyncConnection, bounds: Bounds, wish: _Wish) -> Grant:
        table = budget_ledger
        query = select(table).where(table.c.scope == wish.scope, table.c.window_start == bounds.start)
        rows = (await connection.execute(query)).all()
        mine = next((row for row in rows if row.gateway_id == wish.gateway_id), None)
        others = sum(max(row.granted_nanousd, row.settled_nanousd) for row in rows if row is not mine)
        settled = mine.settled_nanousd if mine else 0
        held = mine.granted_nanousd if mine else 0
        ceiling = max(settled, wish.limit_nanousd - others)
        available = max(0, ceiling - held)
        share = available if wish.sharers == 1 else max(wish.need_nanousd, available // (2 * wish.sharers))
        granted = min(ceiling, held + share)
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
        return Grant(bounds, granted, settled, exhausted=granted >= ceiling)

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
        query = select(func.coalesce(func.sum(budget_ledger.c.settled_nanousd), 0)).where(
            budget_ledger.c.scope == scope, budget_ledger.c.window_start == window_start
        )
        return int((await connection.execute(query)).scalar_one())


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
