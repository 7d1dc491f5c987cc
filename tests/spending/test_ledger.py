"""Grants never add up to more than the cap, whoever asks for what in whatever order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from airside.ids import GatewayId
from airside.spending.budgets import Window
from airside.spending.ledger import Cap, Ledger, note_gateway
from airside.storage.database import Database, prepare_database
from airside.testing.clock import ManualClock

ONE, TWO = GatewayId("gateway-one"), GatewayId("gateway-two")
SCOPE = "agent:agent_1"


async def test_a_gateway_alone_gets_everything(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        (grant,) = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 0)
    assert (grant.granted_nanousd, grant.settled_nanousd, grant.exhausted) == (1000, 0, True)


async def test_asking_twice_is_asking_once(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        first = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 10)
        again = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 10)
    assert first == again


async def test_a_second_gateway_gets_what_the_first_has_left(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    cap = Cap(1000, Window.TOTAL, "UTC")
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await note_gateway(connection, clock, TWO)
        (first,) = await ledger.grant(connection, ONE, SCOPE, cap, 0)
        (second,) = await ledger.grant(connection, TWO, SCOPE, cap, 600)
    assert first.granted_nanousd == 250
    assert second.granted_nanousd == 600
    assert not second.exhausted


async def test_the_next_window_is_granted_ahead(database: Database, clock: ManualClock) -> None:
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        running, following = await Ledger(clock).grant(connection, ONE, SCOPE, Cap(70, Window.DAY, "UTC"), 0)
    assert running.bounds.end == following.bounds.start
    assert running.granted_nanousd == following.granted_nanousd == 70


async def test_raising_a_cap_makes_room_and_lowering_it_takes_it_away(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await ledger.grant(connection, ONE, SCOPE, Cap(100, Window.TOTAL, "UTC"), 0)
        await ledger.settle(connection, ONE, SCOPE, 0, 60)
        (raised,) = await ledger.grant(connection, ONE, SCOPE, Cap(150, Window.TOTAL, "UTC"), 0)
        (lowered,) = await ledger.grant(connection, ONE, SCOPE, Cap(10, Window.TOTAL, "UTC"), 0)
        spent = await ledger.spent(connection, SCOPE, 0)
    assert raised.granted_nanousd == 150
    assert lowered.granted_nanousd == 60  # what is spent cannot be taken back
    assert spent == 60


@settings(max_examples=40, deadline=None)
@given(
    cap=st.integers(min_value=0, max_value=1000),
    asks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 500), st.integers(0, 100)), min_size=1, max_size=30),
)
def test_grants_stay_under_the_cap(tmp_path_factory, cap: int, asks: list[tuple[int, int, int]]) -> None:
    asyncio.run(_ask_and_settle(tmp_path_factory.mktemp("ledger") / "control.db", cap, asks))


async def _ask_and_settle(path: Path, cap: int, asks: list[tuple[int, int, int]]) -> None:
    prepare_database(path)
    database, clock = Database(path), ManualClock()
    ledger = Ledger(clock)
    granted: dict[GatewayId, int] = {}
    settled: dict[GatewayId, int] = {}
    for who, need, spend in asks:
        gateway = GatewayId(f"gateway-{who}")
        async with database.write() as connection:
            await note_gateway(connection, clock, gateway)
            (grant,) = await ledger.grant(connection, gateway, SCOPE, Cap(cap, Window.TOTAL, "UTC"), need)
            granted[gateway] = grant.granted_nanousd
            room = grant.granted_nanousd - settled.get(gateway, 0)
            settled[gateway] = settled.get(gateway, 0) + min(spend, room)
            await ledger.settle(connection, gateway, SCOPE, 0, min(spend, room))
        assert sum(granted.values()) <= cap
        assert sum(settled.values()) <= cap
    async with database.read() as connection:
        assert await ledger.spent(connection, SCOPE, 0) == sum(settled.values())
    await database.close()
