"""Budgets and rate limits over the API: made, shown, changed and lifted, and what they cannot be."""

from __future__ import annotations

import pytest

from airside.dataplanes.snapshot import Snapshot

TEAM = {"scope": "team:core", "limit_usd": "10", "window": "month", "warn_at": "80%", "timezone": "Europe/Berlin"}


async def snapshot(control) -> Snapshot:
    found = await control.services.feed.refresh()
    assert isinstance(found, Snapshot)
    return found


async def test_a_budget_is_made_shown_changed_and_lifted(configured) -> None:
    client = configured.client
    made = (await client.post("/v1/budgets", json=TEAM)).json()
    assert (made["scope"], made["limit_nanousd"], made["origin"]) == ("team:core", 10 * 10**9, "api")
    (position,) = made["positions"]
    assert (position["spent_nanousd"], position["left_nanousd"]) == (0, 10 * 10**9)
    assert (await client.get(f"/v1/budgets/{made['id']}")).json() == made
    (compiled,) = (await snapshot(configured)).budgets
    assert (compiled.scope, compiled.scope_id, compiled.warn_at_nanousd) == ("team", "core", 8 * 10**9)
    changed = await client.put(f"/v1/budgets/{made['id']}", json={**TEAM, "limit_usd": "20"})
    assert changed.json()["limit_nanousd"] == 20 * 10**9
    assert [one["id"] for one in (await client.get("/v1/budgets")).json()["data"]] == [made["id"]]
    assert (await client.delete(f"/v1/budgets/{made['id']}")).json()["id"] == made["id"]
    assert (await client.get("/v1/budgets")).json()["data"] == []
    assert (await client.get(f"/v1/budgets/{made['id']}")).status_code == 404


async def test_a_scope_has_one_budget_in_each_window(configured) -> None:
    client = configured.client
    assert (await client.post("/v1/budgets", json=TEAM)).status_code == 200
    again = await client.post("/v1/budgets", json=TEAM)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "budget_exists")
    assert (await client.post("/v1/budgets", json={**TEAM, "window": "day"})).status_code == 200
    (day, _) = (await client.get("/v1/budgets")).json()["data"]
    moved = await client.put(f"/v1/budgets/{day['id']}", json={**TEAM, "window": "week"})
    assert moved.status_code == 400


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"scope": "agent:nobody", "limit_usd": 1}, "there is no agent 'nobody'"),
        ({"scope": "model:nothing", "limit_usd": 1}, "there is no model 'nothing'"),
        (
            {"scope": "project", "limit_usd": 1, "on_limit": "downgrade", "downgrade_to": "tiny"},
            "there is no model 'tiny'",
        ),
        ({"scope": "everyone", "limit_usd": 1}, "scope"),
        ({"scope": "project", "limit_usd": 1, "on_limit": "downgrade"}, "go together"),
    ],
)
async def test_a_budget_that_cannot_be_kept_is_refused(configured, budget: dict, said: str) -> None:
    answer = await configured.client.post("/v1/budgets", json=budget)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]
    assert "Value error" not in answer.text


async def test_what_a_living_gateway_holds_is_not_written_off(configured) -> None:
    made = (await configured.client.post("/v1/budgets", json=TEAM)).json()
    answer = await configured.client.post(f"/v1/budgets/{made['id']}/write_off", params={"gateway_id": "gw_1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "gateway_alive")


async def test_every_kind_of_scope_reaches_the_gateways(configured) -> None:
    client = configured.client
    for scope in ["project", "user:*", "agent:fixer", "deployment:nightly", "model:coder", "provider:north", "session"]:
        assert (await client.post("/v1/budgets", json={"scope": scope, "limit_usd": 1})).status_code == 200, scope
    agent = (await client.get("/v1/agents")).json()["data"][0]["id"]
    found = {(one.scope, one.scope_id) for one in (await snapshot(configured)).budgets}
    assert found == {
        ("project", "*"),
        ("user", "*"),
        ("agent", agent),
        ("deployment", "nightly"),
        ("model", "coder"),
        ("provider", "north"),
    }, "a session's cap is in its token"


async def test_a_rate_limit_is_put_and_lifted(configured) -> None:
    client = configured.client
    put = await client.put("/v1/rate_limits", json={"scope": "team:core", "requests": 60, "concurrent": 4})
    assert put.json()["origin"] == "api"
    (compiled,) = (await snapshot(configured)).rate_limits
    assert (compiled.scope_id, compiled.window, compiled.requests, compiled.tokens) == ("core", "minute", 60, None)
    assert len((await client.get("/v1/rate_limits")).json()["data"]) == 1
    assert (await client.delete("/v1/rate_limits/team:core/minute")).status_code == 200
    assert (await client.delete("/v1/rate_limits/team:core/minute")).status_code == 404
    assert (await snapshot(configured)).rate_limits == []


async def test_a_key_says_whose_it_is(configured) -> None:
    made = await configured.client.post("/v1/keys", json={"agent": "fixer", "user": "ann", "team": "core"})
    assert (made.json()["user"], made.json()["team"]) == ("ann", "core")
    (compiled,) = (await snapshot(configured)).keys
    assert (compiled.user, compiled.team) == ("ann", "core")
    refused = await configured.client.post("/v1/keys", json={"agent": "fixer", "user": "*"})
    assert refused.status_code == 400
