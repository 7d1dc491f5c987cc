"""Grants never add up to more than the cap, whoever asks for what in whatever order."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from airside.ids import GatewayId
from airside.spending.budgets import Window
from airside.spending.ledger import Cap, Ledger, note_gateway, take_order
from airside.storage.database import Database, prepare_database
from airside.testing.clock import ManualClock

ONE, TWO = GatewayId("gateway-one"), GatewayId("gateway-two")
SCOPE = "agent:agent_1"


async def test_a_gateway_alone_gets_half_and_then_what_it_needs(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        (grant,) = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 0)
        (more,) = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 400)
        (rest,) = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 400)
    assert (grant.granted_nanousd, grant.settled_nanousd, grant.exhausted) == (500, 0, False)
    assert (more.granted_nanousd, more.exhausted) == (900, False)
    assert (rest.granted_nanousd, rest.exhausted) == (1000, True)


async def test_asking_twice_ahead_of_need_is_asking_once(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        first = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 0)
        again = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 0)
        await ledger.settle(connection, ONE, SCOPE, 0, 100)
        (renewed,) = await ledger.grant(connection, ONE, SCOPE, Cap(1000, Window.TOTAL, "UTC"), 0)
    assert first == again
    assert renewed.granted_nanousd == 100 + 450


async def test_a_second_gateway_gets_what_the_first_has_left(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    cap = Cap(1000, Window.TOTAL, "UTC")
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await note_gateway(connection, clock, TWO)
        (first,) = await ledger.grant(connection, ONE, SCOPE, cap, 0)
        await ledger.settle(connection, ONE, SCOPE, 0, 70)
        (second,) = await ledger.grant(connection, TWO, SCOPE, cap, 600)
    assert first.granted_nanousd == 250
    assert (second.granted_nanousd, second.others_settled_nanousd) == (600, 70)
    assert not second.exhausted


async def test_the_next_window_is_granted_ahead(database: Database, clock: ManualClock) -> None:
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        running, following = await Ledger(clock).grant(connection, ONE, SCOPE, Cap(70, Window.DAY, "UTC"), 70)
    assert running.bounds.end == following.bounds.start
    assert (running.granted_nanousd, following.granted_nanousd) == (70, 35)


async def test_raising_a_cap_makes_room_and_lowering_it_takes_it_away(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await ledger.grant(connection, ONE, SCOPE, Cap(100, Window.TOTAL, "UTC"), 100)
        await ledger.settle(connection, ONE, SCOPE, 0, 60)
        (raised,) = await ledger.grant(connection, ONE, SCOPE, Cap(150, Window.TOTAL, "UTC"), 50)
        (lowered,) = await ledger.grant(connection, ONE, SCOPE, Cap(10, Window.TOTAL, "UTC"), 0)
        spent = await ledger.spent(connection, SCOPE, 0)
    assert raised.granted_nanousd == 150
    assert lowered.granted_nanousd == 60  # what is spent cannot be taken back
    assert spent == 60


async def test_what_one_gives_back_another_can_have(database: Database, clock: ManualClock) -> None:
    ledger, cap = Ledger(clock), Cap(100, Window.TOTAL, "UTC")
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await note_gateway(connection, clock, TWO)
        await ledger.grant(connection, ONE, SCOPE, cap, 100)
        await ledger.settle(connection, ONE, SCOPE, 0, 10)
        (before,) = await ledger.grant(connection, TWO, SCOPE, cap, 50)
        await ledger.give_back(connection, ONE, SCOPE, 0, was=99, now=30)
        (late,) = await ledger.grant(connection, TWO, SCOPE, cap, 50)
        await ledger.give_back(connection, ONE, SCOPE, 0, was=100, now=30)
        (after,) = await ledger.grant(connection, TWO, SCOPE, cap, 50)
        position = await ledger.position(connection, SCOPE, 0)
    assert (before.granted_nanousd, late.granted_nanousd, after.granted_nanousd) == (0, 0, 50)
    assert (position.spent_nanousd, position.held_nanousd) == (10, 20 + 50)


async def test_a_request_that_comes_late_is_told_so(database: Database, clock: ManualClock) -> None:
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        assert await take_order(connection, ONE, 7) == 7
        assert await take_order(connection, ONE, 6) > 6
        assert await take_order(connection, ONE, 7) > 7
        assert await take_order(connection, ONE, 8) == 8


async def test_a_gateway_that_begins_afresh_holds_only_what_it_spent(database: Database, clock: ManualClock) -> None:
    ledger, cap = Ledger(clock), Cap(100, Window.TOTAL, "UTC")
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await ledger.grant(connection, ONE, SCOPE, cap, 100)
        await ledger.settle(connection, ONE, SCOPE, 0, 25)
        await ledger.begin_afresh(connection, ONE)
        position = await ledger.position(connection, SCOPE, 0)
    assert (position.spent_nanousd, position.held_nanousd) == (25, 0)


async def test_a_level_is_noted_once_a_window(database: Database, clock: ManualClock) -> None:
    ledger = Ledger(clock)
    async with database.write() as connection:
        await note_gateway(connection, clock, ONE)
        await ledger.settle(connection, ONE, SCOPE, 0, 79)
        assert await ledger.warn_once(connection, SCOPE, 0, 80) is None
        await ledger.settle(connection, ONE, SCOPE, 0, 1)
        assert await ledger.warn_once(connection, SCOPE, 0, 80) == 80
        assert await ledger.warn_once(connection, SCOPE, 0, 80) is None
        await ledger.settle(connection, ONE, SCOPE, 86_400, 80)
        assert await ledger.warn_once(connection, SCOPE, 86_400, 80) == 80


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
