"""The official SDK, with base URL and key changed, works against this server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anthropic
import pytest

from airside.ids import SessionId


@pytest.fixture
async def sdk(configured) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=configured.url, api_key=configured.services.admin_token, max_retries=0
    ) as client:
        yield client


def message(text: str) -> dict:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


async def new_session(sdk: anthropic.AsyncAnthropic, **more):
    agent = await sdk.beta.agents.create(
        name="sdk", model="coder", system="Be brief.", extra_body={"harness": "opencode"}
    )
    environment = await sdk.beta.environments.create(name="box", config={"type": "cloud"})
    return await sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id, **more)


async def test_agents_are_created_read_changed_listed_and_archived(sdk) -> None:
    agent = await sdk.beta.agents.create(
        name="sdk",
        model="coder",
        tools=[{"type": "agent_toolset_20260401", "configs": [{"name": "bash", "enabled": False}]}],
        metadata={"team": "payments"},
    )
    assert (agent.type, agent.version, agent.model.id, agent.metadata) == ("agent", 1, "coder", {"team": "payments"})
    assert {config.name for config in agent.tools[0].configs if not config.enabled} == {"bash"}
    assert (await sdk.beta.agents.retrieve(agent.id)).name == "sdk"
    changed = await sdk.beta.agents.update(agent.id, version=1, system="Think first.", metadata={"team": None})
    assert (changed.version, changed.system, changed.metadata) == (2, "Think first.", {})
    assert [one.version async for one in sdk.beta.agents.versions.list(agent.id)] == [2, 1]
    assert "sdk" in [one.name async for one in sdk.beta.agents.list()]
    archived = await sdk.beta.agents.archive(agent.id)
    assert archived.archived_at is not None
    assert "sdk" not in [one.name async for one in sdk.beta.agents.list()]


async def test_environments_are_created_read_and_listed(sdk) -> None:
    made = await sdk.beta.environments.create(
        name="box", config={"type": "cloud", "networking": {"type": "unrestricted"}}, description="a box"
    )
    assert made.type == "environment"
    assert (await sdk.beta.environments.retrieve(made.id)).description == "a box"
    assert made.id in [one.id async for one in sdk.beta.environments.list()]
    assert (await sdk.beta.environments.update(made.id, name="bigger")).name == "bigger"


async def test_a_session_begins_idle_and_keeps_what_it_was_made_with(sdk) -> None:
    session = await new_session(
        sdk,
        title="Mend it",
        metadata={"ticket": "7"},
        budget={"type": "limit", "max_list_cost": {"amount": "250", "currency": "USD"}},
        resources=[
            {
                "type": "github_repository",
                "url": "https://example.com/x.git",
                "checkout": {"type": "branch", "name": "dev"},
            }
        ],
    )
    assert (session.type, session.status, session.title) == ("session", "idle", "Mend it")
    assert session.budget is not None
    assert session.budget.max_list_cost.amount == "250"
    assert session.agent.version == 1
    assert session.resources[0].url == "https://example.com/x.git"
    assert session.resources[0].checkout.name == "dev"
    again = await sdk.beta.sessions.retrieve(session.id)
    assert again.metadata == {"ticket": "7"}
    assert again.usage.output_tokens == 0
    renamed = await sdk.beta.sessions.update(session.id, title="Mended")
    assert renamed.title == "Mended"


async def test_a_message_is_stored_and_listed_with_everything_that_followed(sdk, configured) -> None:
    session = await new_session(sdk)
    sent = await sdk.beta.sessions.events.send(session.id, events=[message("one"), message("two")])
    assert [event.content[0].text for event in sent.data] == ["one", "two"]
    assert (await sdk.beta.sessions.retrieve(session.id)).status == "running"
    listed = [event async for event in sdk.beta.sessions.events.list(session.id)]
    assert [event.id for event in listed] == [event.id for event in sent.data]
    newest = [event async for event in sdk.beta.sessions.events.list(session.id, order="desc", limit=1)]
    assert [event.content[0].text for event in newest] == ["two", "one"]
    interrupts = sdk.beta.sessions.events.list(session.id, types=["user.interrupt"])
    assert [event async for event in interrupts] == []


async def test_a_stream_gives_what_happens_until_idle(sdk, configured) -> None:
    session = await new_session(sdk)
    await sdk.beta.sessions.events.send(session.id, events=[message("one")])
    seen = []
    async with await sdk.beta.sessions.events.stream(session.id) as stream:
        async for event in stream:
            seen.append(event.type)
            if event.type == "user.message":
                async with configured.services.database.write() as connection:
                    log = configured.services.log
                    for kind, payload in (
                        ("session.status_running", {}),
                        ("agent.message", {"content": [{"type": "text", "text": "hello"}]}),
                        ("session.status_idle", {"stop_reason": {"type": "end_turn"}}),
                    ):
                        await log.append(connection, SessionId(session.id), kind, payload)
            if event.type == "session.status_idle":
                assert event.stop_reason.type == "end_turn"
                break
    assert seen == ["user.message", "session.status_running", "agent.message", "session.status_idle"]


async def test_sessions_are_listed_by_agent_and_status(sdk) -> None:
    one = await new_session(sdk)
    two = await new_session(sdk)
    await sdk.beta.sessions.events.send(two.id, events=[message("go")])
    assert [s.id async for s in sdk.beta.sessions.list(agent_id=one.agent.id)] == [one.id]
    assert [s.id async for s in sdk.beta.sessions.list(statuses=["running"])] == [two.id]
    assert [s.id async for s in sdk.beta.sessions.list(statuses=["idle", "running"])] == [two.id, one.id]
    assert [s.id async for s in sdk.beta.sessions.list(order="asc", limit=1)] == [one.id, two.id]
    await sdk.beta.sessions.archive(one.id)
    assert [s.id async for s in sdk.beta.sessions.list()] == [two.id]


async def test_the_sdk_gets_its_own_error_classes(sdk) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await sdk.beta.sessions.retrieve("sesn_nobody")
    with pytest.raises(anthropic.BadRequestError, match="models known here"):
        await sdk.beta.agents.create(name="x", model="nobody")
    session = await new_session(sdk)
    await sdk.beta.sessions.events.send(session.id, events=[message("go")])
    with pytest.raises(anthropic.ConflictError, match="is queued"):
        await sdk.beta.sessions.archive(session.id)
    with pytest.raises(anthropic.BadRequestError):
        await sdk.beta.sessions.events.send(
            session.id,
            events=[{"type": "user.message", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}],
        )
    wrong = sdk.with_options(api_key="nobody")
    with pytest.raises(anthropic.AuthenticationError):
        await wrong.beta.agents.retrieve("agent_1")
