"""Agents, environments, keys and configuration over HTTP: what is asked for is what is there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from conftest import CONFIG

from airside.ids import GatewayId


async def snapshot(control) -> dict:
    answer = await control.client.get(
        "/internal/v1/snapshot",
        params={"gateway_id": "g1", "after": 0, "wait_s": 1},
        headers={"authorization": f"Bearer {control.services.gateway_token}"},
    )
    answer.raise_for_status()
    return answer.json()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "a"}, "needs a name and a model"),
        ({"name": "a", "model": "nobody"}, "models known here: coder, thinker"),
        ({"name": "a", "model": "coder", "harness": "cursor"}, "'claude-code', 'codex', 'opencode' or 'scripted'"),
        ({"name": "a", "model": "coder", "tool": []}, "tool: Extra inputs are not permitted"),
        ({"name": "a", "model": "coder", "mcp_servers": [{"name": "x"}]}, "mcp_servers"),
        ({"name": "a", "model": {"id": "coder", "speed": "fast"}}, "speed"),
        (
            {
                "name": "a",
                "model": "coder",
                "tools": [
                    {"type": "agent_toolset_20260401", "default_config": {"permission_policy": {"type": "always_ask"}}}
                ],
            },
            "needs approvals",
        ),
    ],
)
async def test_an_agent_that_cannot_work_is_refused_with_the_reason(configured, body: dict, said: str) -> None:
    answer = await configured.client.post("/v1/agents", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert said in answer.json()["error"]["message"]


async def test_a_change_makes_a_version_and_no_change_makes_none(configured) -> None:
    client = configured.client
    agent = (await client.post("/v1/agents", json={"name": "a", "model": "coder"})).json()
    assert (agent["version"], agent["harness"]) == (1, "claude-code")
    changed = (await client.post(f"/v1/agents/{agent['id']}", json={"system": "Be brief.", "version": 1})).json()
    assert (changed["version"], changed["system"]) == (2, "Be brief.")
    same = (await client.post(f"/v1/agents/{agent['id']}", json={"system": "Be brief."})).json()
    assert same["version"] == 2
    stale = await client.post(f"/v1/agents/{agent['id']}", json={"system": "x", "version": 1})
    assert stale.status_code == 409
    versions = (await client.get(f"/v1/agents/{agent['id']}/versions")).json()["data"]
    assert [one["version"] for one in versions] == [2, 1]
    first = (await client.get(f"/v1/agents/{agent['id']}", params={"version": 1})).json()
    assert first["system"] is None


async def test_pages_show_everything_once(configured) -> None:
    for number in range(7):
        await configured.client.post("/v1/agents", json={"name": f"a{number}", "model": "coder"})
    seen, page = [], None
    while True:
        got = (
            await configured.client.get("/v1/agents", params={"limit": 3, **({"page": page} if page else {})})
        ).json()
        seen += [agent["name"] for agent in got["data"]]
        page = got["next_page"]
        if page is None:
            break
    assert seen == ["a6", "a5", "a4", "a3", "a2", "a1", "a0", "fixer"]
    bad = await configured.client.get("/v1/agents", params={"page": "!!"})
    assert bad.status_code == 400


async def test_an_environment_says_what_is_really_granted(configured) -> None:
    made = await configured.client.post(
        "/v1/environments", json={"name": "e", "config": {"type": "cloud", "networking": {"type": "unrestricted"}}}
    )
    assert made.json()["config"]["networking"]["type"] == "limited"
    assert made.json()["sandbox"] == "bubblewrap"
    for config in (
        {"type": "cloud", "networking": {"type": "limited", "allowed_hosts": ["example.com"]}},
        {"type": "cloud", "packages": {"pip": ["requests"]}},
    ):
        refused = await configured.client.post("/v1/environments", json={"name": "e", "config": config})
        assert refused.status_code == 400


async def test_a_key_reaches_the_snapshot_as_a_hash_and_leaves_it_when_revoked(configured) -> None:
    made = (await configured.client.post("/v1/keys", json={"agent": "fixer", "name": "laptop"})).json()
    held = await snapshot(configured)
    assert [key["key_id"] for key in held["keys"]] == [made["id"]]
    assert made["key"] not in json.dumps(held)
    listed = (await configured.client.get("/v1/keys")).text
    assert made["key"] not in listed
    await configured.client.post(f"/v1/keys/{made['id']}/revoke")
    assert (await snapshot(configured))["keys"] == []
    unknown = await configured.client.post("/v1/keys", json={"agent": "nobody"})
    assert "agents known here: fixer" in unknown.json()["error"]["message"]


async def test_a_plan_changes_nothing_and_an_apply_what_it_showed(control) -> None:
    plan = (await control.client.post("/v1/config/plan", json={"source": CONFIG})).json()
    assert not plan["applied"]
    assert (await control.client.get("/v1/agents")).json()["data"] == []
    applied = (await control.apply(CONFIG)).json()
    assert applied["applied"]
    assert applied["changes"] == plan["changes"]
    assert (await control.apply(CONFIG)).json()["changes"] == []
    exported = (await control.client.get("/v1/config")).json()["source"]
    assert (await control.apply(exported)).json()["changes"] == []


async def test_an_export_says_what_a_file_cannot_hold(configured) -> None:
    agents = (await configured.client.get("/v1/agents")).json()["data"]
    again = {name: agents[0][name] for name in ("name", "model", "harness")}
    newer = (await configured.client.post("/v1/agents", json=again)).json()
    exported = (await configured.client.get("/v1/config")).json()
    assert exported["warnings"] == [
        f"agent {agents[0]['id']} is left out: {newer['id']}, which is newer, has the name {again['name']!r} too"
    ]


async def test_credentials_go_to_the_gateway_and_nowhere_else(configured) -> None:
    held = await snapshot(configured)
    south = next(provider for provider in held["providers"] if provider["name"] == "south")
    (key,) = south["credentials"]
    assert (key["key_id"], key["kind"], key["secret"]) == ("env:SOUTH_KEY", "bearer", "sk-south-secret")
    for path in ("/v1/config", "/v1/agents", "/v1/environments", "/v1/keys", "/v1/usage"):
        assert "sk-south-secret" not in (await configured.client.get(path)).text


async def test_what_is_missing_is_warned_about(control) -> None:
    source = CONFIG.replace("SOUTH_KEY", "NORTH_KEY").replace("gpt-5.2", "no-such-model")
    warnings = (await control.client.post("/v1/config/plan", json={"source": source})).json()["warnings"]
    assert len(warnings) == 2
    assert "NORTH_KEY" in warnings[0]
    assert "south/no-such-model" in warnings[1]


async def test_a_file_with_a_mistake_changes_nothing(configured) -> None:
    before = (await configured.client.get("/v1/config")).json()
    answer = await configured.apply(CONFIG.replace("model: coder", "model: codr"))
    assert answer.status_code == 400
    assert "airside.yaml:10: agent 'fixer' uses model 'codr'" in answer.json()["error"]["message"]
    assert (await configured.client.get("/v1/config")).json() == before


async def test_the_project_gets_its_name_once(control) -> None:
    assert (await control.apply("project: payments\n" + CONFIG)).json()["project"] == "payments"
    other = await control.apply("project: billing\n" + CONFIG)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "other_project")


async def test_a_gateway_that_polls_is_woken_by_a_change(configured) -> None:
    version = (await snapshot(configured))["version"]
    feed = configured.services.feed
    assert await feed.next_after(version, GatewayId("g1"), 0.05) is None
    await configured.apply(CONFIG.replace("claude-sonnet-4-5", "claude-haiku-4-5"))
    newer = await feed.next_after(version, GatewayId("g1"), 5)
    assert newer is not None
    assert newer.version == version + 1
    assert newer.models[0].route[0].to[0].price is not None


@pytest.mark.parametrize("body", ["", "{", "[]", '{"name": 1}', "\x00", '{"name": "' + "x" * 300 + '"}'])
async def test_garbage_is_answered_in_the_dialect(configured, body: str) -> None:
    answer = await configured.client.post("/v1/agents", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "error"
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("blocks", [[""], [" \n"], [" ", "\t"]])
async def test_a_message_that_says_nothing_is_refused(configured, blocks: list[str]) -> None:
    message = {"type": "user.message", "content": [{"type": "text", "text": text} for text in blocks]}
    begun = await configured.client.post("/v1/sessions", json={"agent": "fixer", "initial_events": [message]})
    assert (begun.status_code, begun.json()["error"]["code"]) == (400, "bad_input")
    session = (await configured.client.post("/v1/sessions", json={"agent": "fixer"})).json()["id"]
    sent = await configured.client.post(f"/v1/sessions/{session}/events", json={"events": [message]})
    assert (sent.status_code, sent.json()["error"]["code"]) == (400, "bad_input")


async def test_what_is_not_there_is_not_found(configured) -> None:
    for path in ("/v1/agents/agent_x", "/v1/environments/env_x", "/v1/sessions/sesn_x", "/v1/nothing"):
        answer = await configured.client.get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
    wrong_method = await configured.client.delete("/v1/agents")
    assert wrong_method.status_code == 405


async def test_a_body_that_is_no_json_is_told_where(configured) -> None:
    sent = '{"name": "a",\n  "model": coder}'
    answer = await configured.client.post("/v1/agents", content=sent, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "the body is no JSON: Expecting value, line 2, column 12"


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_beyond_the_limit_is_refused(configured, is_chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(33):
            yield b"x" * (1024 * 1024)

    content = pieces() if is_chunked else b"x" * (33 * 1024 * 1024)
    answer = await configured.client.post("/v1/agents", content=content)
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")
    assert answer.json()["error"]["code"] == "too_large"
    assert (await configured.client.get("/v1/agents")).status_code == 200


async def test_a_body_that_will_be_too_large_is_refused_before_it_comes(configured) -> None:
    address = urlsplit(configured.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"POST /v1/agents HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 33554433\r\n\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_a_repository_url_with_a_password_is_refused_without_being_stored_or_shown(configured) -> None:
    resource = {"type": "git_repository", "url": "http://bob:s3cretpw@127.0.0.1:7841/pub.git"}
    answer = await configured.client.post("/v1/sessions", json={"agent": "fixer", "resources": [resource]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "credential_in_address")
    assert "s3cretpw" not in answer.text
    assert (await configured.client.get("/v1/sessions")).json()["data"] == []


async def test_a_password_that_was_stored_with_a_repository_is_not_shown(configured) -> None:
    resource = {"type": "git_repository", "url": "http://127.0.0.1:7841/pub.git"}
    made = (await configured.client.post("/v1/sessions", json={"agent": "fixer", "resources": [resource]})).json()
    stored = [{"url": "http://bob:s3cretpw@127.0.0.1:7841/pub.git", "branch": None, "commit": None}]
    async with configured.services.database.write() as connection:
        await configured.services.sessions.change(connection, made["id"], resources=stored)
    shown = await configured.client.get(f"/v1/sessions/{made['id']}")
    listed = await configured.client.get("/v1/sessions")
    assert shown.json()["resources"][0]["url"] == resource["url"]
    assert "s3cretpw" not in shown.text + listed.text
