"""The log has no gaps, forgets nothing, and shows when somebody changed it."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from airside.ids import ExecutorId, SessionId
from airside.sessions.log import LeaseLost


async def append(desk, session_id: SessionId, count: int, token: int | None = None) -> None:
    for number in range(count):
        async with desk.database.write() as connection:
            await desk.log.append(connection, session_id, "agent.message", {"n": number}, fencing_token=token)


async def broken(desk, session_id: SessionId) -> int | None:
    async with desk.database.read() as connection:
        return await desk.log.first_broken(connection, session_id)


async def test_events_are_numbered_without_gaps_whoever_appends(desk) -> None:
    session_id = await desk.new_session()
    await asyncio.gather(*(append(desk, session_id, 10) for _ in range(5)))
    events = await desk.events(session_id)
    assert [event.sequence for event in events] == list(range(1, 51))
    assert await broken(desk, session_id) is None


async def test_a_worker_whose_lease_was_taken_over_cannot_append(desk, clock) -> None:
    session_id = await desk.new_session()
    async with desk.database.write() as connection:
        first = await desk.leases.acquire(connection, session_id, ExecutorId("one"))
    await append(desk, session_id, 1, first.fencing_token)
    clock.advance(11)
    async with desk.database.write() as connection:
        second = await desk.leases.acquire(connection, session_id, ExecutorId("two"))
    assert second.taken_over
    with pytest.raises(LeaseLost):
        await append(desk, session_id, 1, first.fencing_token)
    await append(desk, session_id, 1, second.fencing_token)
    assert len(await desk.events(session_id)) == 2


async def test_a_lease_that_is_held_is_not_given_away_and_a_renewed_one_lasts(desk, clock) -> None:
    session_id = await desk.new_session()
    async with desk.database.write() as connection:
        lease = await desk.leases.acquire(connection, session_id, ExecutorId("one"))
        assert await desk.leases.acquire(connection, session_id, ExecutorId("two")) is None
    clock.advance(9)
    async with desk.database.write() as connection:
        await desk.leases.renew(connection, lease)
    clock.advance(9)
    async with desk.database.write() as connection:
        assert await desk.leases.acquire(connection, session_id, ExecutorId("two")) is None


@pytest.mark.parametrize(
    ("damage", "first"),
    [
        ("UPDATE session_events SET payload = '{\"n\": 7}' WHERE sequence = 3", 3),
        ("DELETE FROM session_events WHERE sequence = 4", 4),
        ("DELETE FROM session_events WHERE sequence = 6", 6),
        ("UPDATE session_events SET at = '2026-03-01 12:00:01' WHERE sequence = 2", 2),
        ("UPDATE session_events SET type = 'user.message' WHERE sequence = 1", 1),
        ("UPDATE sessions SET event_count = 7", 7),
    ],
)
async def test_what_was_changed_in_the_log_is_found(desk, damage: str, first: int) -> None:
    session_id = await desk.new_session()
    await append(desk, session_id, 6)
    async with desk.database.write() as connection:
        await connection.execute(text(damage))
    assert await broken(desk, session_id) == first


async def test_two_events_that_changed_places_are_found(desk) -> None:
    session_id = await desk.new_session()
    await append(desk, session_id, 4)
    async with desk.database.write() as connection:
        for before, after in ((2, 99), (3, 2), (99, 3)):
            await connection.execute(
                text("UPDATE session_events SET sequence = :after WHERE sequence = :before"),
                {"after": after, "before": before},
            )
    assert await broken(desk, session_id) == 2
