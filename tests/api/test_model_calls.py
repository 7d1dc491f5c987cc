"""Records of model calls over HTTP: filtered, in pages that neither miss nor repeat, and live."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

RECORD = {
    "snapshot_version": 1,
    "agent_id": "agent_1",
    "agent_name": "fixer",
    "front_door": "anthropic-messages",
    "model": "coder",
    "provider": "north",
    "provider_model": "claude-sonnet-4-5",
    "outcome": "completed",
    "status": 200,
    "cost_nanousd": 16_400,
    "timings": {"admitted_us": 2, "routed_us": 1, "total_us": 9, "gateway_us": 3},
}


async def record(control, *sequences: int, gateway: str = "gw_1", **fields: object) -> None:
    """Deliver records with these numbers, one minute apart."""
    project = await project_of(control)
    records = [
        {
            "sequence": one,
            "call_id": f"call_{gateway}_{one}",
            "at": f"2026-11-23T17:{one % 60:02}:00Z",
            "project": project,
            **RECORD,
            **fields,
        }
        for one in sequences
    ]
    answer = await control.client.post(
        "/internal/v1/journal",
        json={"gateway_id": gateway, "records": records},
        headers={"authorization": f"Bearer {control.services.gateway_token}"},
    )
    answer.raise_for_status()


async def project_of(control) -> str:
    async with control.services.database.write() as connection:
        return (await control.services.stores.projects.only(connection)).project_id


async def ids(control, **query: object) -> list[str]:
    answer = await control.client.get("/v1/model_calls", params=query)
    answer.raise_for_status()
    return [one["id"] for one in answer.json()["data"]]


async def test_pages_go_through_all_calls_even_while_more_come_in(control) -> None:
    await record(control, *range(1, 8))
    seen, page = [], None
    while True:
        query = {"limit": 3, **({"page": page} if page else {})}
        answer = (await control.client.get("/v1/model_calls", params=query)).json()
        seen += [one["position"] for one in answer["data"]]
        page = answer["next_page"]
        if len(seen) == 3:
            await record(control, 8, 9)
        if page is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


async def test_calls_are_found_by_what_they_were(control) -> None:
    await record(control, 1, session_id="sesn_1")
    await record(control, 2, model="thinker", provider="south")
    await record(control, 3, outcome="refused", status=402, provider=None, error_code="budget_exceeded")
    await record(control, 4, agent_id="agent_2", agent_name="writer")
    for query, found in [
        ({"session_id": "sesn_1"}, [1]),
        ({"model": "thinker"}, [2]),
        ({"provider": "south"}, [2]),
        ({"outcome": "refused"}, [3]),
        ({"agent": "writer"}, [4]),
        ({"agent": "agent_1"}, [3, 2, 1]),
        ({"since": "2026-11-23T17:03:00Z"}, [4, 3]),
        ({"until": "2026-11-23T17:02:00Z"}, [1]),
        ({"agent": "writer", "outcome": "refused"}, []),
        ({"session_id": "' OR '1'='1"}, []),
    ]:
        assert await ids(control, **query) == [f"call_gw_1_{one}" for one in found], query
    bad = await control.client.get("/v1/model_calls", params={"outcome": "splendid"})
    assert bad.status_code == 400
    assert bad.json()["error"]["message"].startswith("outcome: Input should be 'completed'")


async def test_one_call_says_everything(control) -> None:
    translated = {"family": "gemini", "losses": [{"field": "top_k"}], "losses_omitted": 0}
    await record(control, 1, task="subagent", translation=translated, cache_break_nanousd=7)
    call = (await control.client.get("/v1/model_calls/call_gw_1_1")).json()
    assert (call["type"], call["id"], call["gateway_id"], call["position"]) == ("model_call", "call_gw_1_1", "gw_1", 1)
    assert (call["task"], call["translation"], call["cache_break_nanousd"]) == ("subagent", translated, 7)
    missing = await control.client.get("/v1/model_calls/call_none")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unknown_model_call")


async def tail(control, **given) -> AsyncGenerator[tuple[int, str]]:
    async with control.client.stream("GET", "/v1/model_calls/stream", timeout=10, **given) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if line.startswith("data: {") and line != "data: {}":
                call = json.loads(line[6:])
                yield call["position"], call["id"]
            elif line.startswith(":"):
                yield 0, "begun"


async def take(calls: AsyncGenerator[tuple[int, str]], count: int) -> list[str]:
    found = []
    async with aclosing(calls):
        async for position, call_id in calls:
            if position:
                found.append(call_id)
            if len(found) == count:
                return found
    return found


async def test_a_tail_that_comes_back_misses_nothing_of_any_gateway(control) -> None:
    await record(control, 1, 2)
    await record(control, 1, gateway="gw_2")
    assert await take(tail(control, params={"after": 0}), 2) == ["call_gw_1_1", "call_gw_1_2"]
    again = tail(control, headers={"last-event-id": "2"})
    async with asyncio.TaskGroup() as group:
        rest = group.create_task(take(again, 4))
        group.create_task(record(control, 2, 3, gateway="gw_2"))
        group.create_task(record(control, 3))
    assert sorted(rest.result()) == ["call_gw_1_3", "call_gw_2_1", "call_gw_2_2", "call_gw_2_3"]
    assert rest.result()[0] == "call_gw_2_1"


async def test_a_tail_begins_with_what_is_new_and_takes_filters(control) -> None:
    await record(control, 1)
    calls = tail(control, params={"agent": "writer"})
    async with aclosing(calls):
        assert await anext(calls) == (0, "begun")
        await record(control, 2)
        await record(control, 3, agent_name="writer")
        assert await anext(calls) == (3, "call_gw_1_3")


async def test_a_tail_of_more_than_one_page_is_whole(control) -> None:
    await record(control, *range(1, 451))
    assert len(await take(tail(control, params={"after": 0}), 450)) == 450


@pytest.mark.parametrize("given", [{"headers": {"last-event-id": "x"}}, {"params": {"after": "-1"}}])
async def test_a_wrong_position_is_refused(control, given) -> None:
    assert (await control.client.get("/v1/model_calls/stream", **given)).status_code == 400
    assert (await control.client.get("/v1/model_calls", params={"page": "bm8"})).status_code == 400
