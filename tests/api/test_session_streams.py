"""A stream of events has no gap and no repetition, wherever it is picked up again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import httpx2
import pytest

from airside.ids import SessionId


async def session_of(configured) -> str:
    return (await configured.client.post("/v1/sessions", json={"agent": "fixer"})).json()["id"]


async def append(configured, session_id: str, count: int, kind: str = "agent.message") -> None:
    for number in range(count):
        async with configured.services.database.write() as connection:
            await configured.services.log.append(connection, SessionId(session_id), kind, {"content": [], "n": number})


async def stream(configured, session_id: str, **given) -> AsyncGenerator[tuple[int, dict]]:
    path = f"/v1/sessions/{session_id}/events/stream"
    async with configured.client.stream("GET", path, timeout=10, **given) as answer:
        answer.raise_for_status()
        number = 0
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: {") and number:
                yield number, json.loads(line[6:])
                number = 0


async def take(events: AsyncGenerator[tuple[int, dict]], count: int) -> list[int]:
    numbers = []
    async with aclosing(events):
        async for number, event in events:
            assert event["sequence"] == number
            numbers.append(number)
            if len(numbers) == count:
                break
    return numbers


async def test_a_client_that_comes_back_misses_nothing(configured) -> None:
    session_id = await session_of(configured)
    await append(configured, session_id, 5)
    assert await take(stream(configured, session_id, params={"after": 0}), 3) == [1, 2, 3]
    again = stream(configured, session_id, headers={"last-event-id": "3"})
    async with asyncio.TaskGroup() as group:
        rest = group.create_task(take(again, 7))
        group.create_task(append(configured, session_id, 5))
    assert rest.result() == [4, 5, 6, 7, 8, 9, 10]


async def test_many_viewers_see_the_same(configured) -> None:
    session_id = await session_of(configured)
    async with asyncio.TaskGroup() as group:
        viewers = [group.create_task(take(stream(configured, session_id, params={"after": 0}), 40)) for _ in range(10)]
        for _ in range(4):
            group.create_task(append(configured, session_id, 10))
    assert {tuple(viewer.result()) for viewer in viewers} == {tuple(range(1, 41))}


async def test_a_session_at_rest_is_streamed_from_now_on(configured) -> None:
    session_id = await session_of(configured)
    await append(configured, session_id, 3)
    assert await take(stream_after_first_byte(configured, session_id), 2) == [4, 5]


async def stream_after_first_byte(configured, session_id: str) -> AsyncGenerator[tuple[int, dict]]:
    """Stream, and append only once the server has taken the request."""
    path = f"/v1/sessions/{session_id}/events/stream"
    async with configured.client.stream("GET", path, timeout=10) as answer:
        await append(configured, session_id, 2)
        number = 0
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                number = int(line[4:])
            elif line.startswith("data: {") and number:
                yield number, json.loads(line[6:])


@pytest.mark.parametrize("name", ["artifact_sha256", "sha256"])  # as it is written, and as it was
async def test_an_artifact_and_the_event_that_tells_of_it_keep_their_own_hashes(configured, name: str) -> None:
    session_id = await session_of(configured)
    payload = {"artifact_id": "artf_1", "kind": "patch", name: "a" * 64, "size_bytes": 7}
    async with configured.services.database.write() as connection:
        event = await configured.services.log.append(
            connection, SessionId(session_id), "session.artifact_created", payload
        )
    path = f"/v1/sessions/{session_id}/events"
    [shown] = (await configured.client.get(path)).json()["data"]
    assert (shown["artifact_sha256"], shown["sha256"]) == ("a" * 64, event.sha256)
    async with aclosing(stream(configured, session_id, params={"after": 0})) as events:
        assert (await anext(events))[1] == shown
    verdict = (await configured.client.get(f"{path}/verify")).json()
    assert (verdict["intact"], verdict["head_sha256"]) == (True, event.sha256)


async def test_a_wrong_position_is_refused(configured) -> None:
    session_id = await session_of(configured)
    path = f"/v1/sessions/{session_id}/events/stream"
    for given in ({"headers": {"last-event-id": "x"}}, {"params": {"after": "-1"}}):
        answer: httpx2.Response = await configured.client.get(path, **given)
        assert answer.status_code == 400


async def test_the_log_can_be_verified_over_http(configured) -> None:
    session_id = await session_of(configured)
    await append(configured, session_id, 4)
    verdict = (await configured.client.get(f"/v1/sessions/{session_id}/events/verify")).json()
    assert (verdict["intact"], verdict["event_count"], verdict["first_broken"]) == (True, 4, None)
