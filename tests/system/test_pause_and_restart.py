"""A session that rests: paused over a restart of everything, or parked at its budget; then it goes on where it was."""

from __future__ import annotations

import pytest
from airside_system import System, kinds, make_repository, script

pytestmark = pytest.mark.timeout(180)

TURN = script(
    {"say": "First.", "calls": [{"bash": "echo one >> log.txt"}]},
    {"say": "Second.", "hold": "mid", "calls": [{"bash": "echo two >> log.txt"}]},
    {"say": "All done."},
    said="ORIGINAL-PROMPT: do as the script says.",
)


async def test_a_session_paused_before_a_restart_goes_on_after_it(system: System, harness: str) -> None:
    repository = make_repository(system.place / "repository", {"kept.txt": "kept\n"})
    session = await system.begin(harness, TURN, repository)
    await system.models.wait_until_held("mid", deadline_s=60)
    await system.post(f"/v1/sessions/{session}/pause")
    paused = await system.in_state(session, "interrupted")
    assert paused["status"] == "idle"
    system.models.release("mid")
    await system.restart()
    assert (await system.session(session))["state"] == "interrupted"
    asked_before = len(system.models.requests())
    await system.post(f"/v1/sessions/{session}/resume")
    found = await system.at_rest(session)
    assert (found["state"], found["stop_reason"]) == ("idle", {"type": "end_turn"})
    assert (await system.said(session))[-1] == "All done."
    assert len(system.models.requests()) > asked_before
    assert system.last_conversation().count("ORIGINAL-PROMPT") == 1
    log = (system.workspace(session) / "log.txt").read_text().split()
    assert log[0] == "one"
    assert log.count("one") == 1
    assert log[-1] == "two"
    assert (system.workspace(session) / "kept.txt").read_text() == "kept\n"
    events = await system.events(session)
    assert [event["tier"] for event in events if event["type"] == "session.resumed"] == ["native"]
    assert kinds(events).count("user.message") == 1
    await system.is_intact(session)


async def test_an_idle_session_takes_another_message_after_a_restart(system: System, harness: str) -> None:
    session = await system.begin(harness, script({"say": "The word is marmalade."}, said="FIRST-PROMPT"))
    await system.at_rest(session)
    await system.restart()
    await system.send(session, script({"say": "It was marmalade."}, said="SECOND-PROMPT"))
    await system.at_rest(session)
    assert await system.said(session) == ["The word is marmalade.", "It was marmalade."]
    assert system.last_conversation().count("FIRST-PROMPT") == 1
    assert "The word is marmalade." in system.last_conversation()


async def test_a_spent_budget_parks_the_session_and_a_raised_one_lets_it_go_on(system: System, harness: str) -> None:
    def capped(limit_usd: float) -> dict[str, object]:
        budget = {"scope": f"agent:{harness}", "limit_usd": limit_usd, "window": "total"}
        return system.configuration(budgets=[budget])

    await system.apply(capped(0.001))  # below what any first call could cost
    session = await system.begin(harness, script({"say": "At last."}, said="ORIGINAL-PROMPT"))
    parked = await system.in_state(session, "waiting")
    assert parked["stop_reason"]["type"] == "budget_reached"
    assert system.models.requests() == []
    await system.apply(capped(100))
    await system.post(f"/v1/sessions/{session}/resume")
    found = await system.at_rest(session)
    assert (found["state"], found["stop_reason"]) == ("idle", {"type": "end_turn"})
    assert (await system.said(session))[-1] == "At last."
    assert system.last_conversation().count("ORIGINAL-PROMPT") == 1
    assert kinds(await system.events(session)).count("user.message") == 1


async def test_a_vendor_that_rate_limits_is_followed_by_the_next(system: System, harness: str) -> None:
    protocol = {"claude-code": "anthropic", "codex": "openai-responses"}.get(harness, "openai-chat")
    model = "claude-sonnet-4-5" if protocol == "anthropic" else "gpt-5.2"
    path = "" if protocol == "anthropic" else "/v1"
    providers = {
        vendor: {
            "protocol": protocol,
            "base_url": f"{system.models.url}/{vendor}{path}",
            "headers": {"authorization": "Bearer simulated"},
        }
        for vendor in ("first", "second")
    }
    chain = [f"{vendor}/{model}" for vendor in providers]
    agents = {harness: {"harness": harness, "model": "coder"}}
    await system.apply(system.configuration(providers=providers, models={"coder": chain}, agents=agents))
    system.models.fault("first", status=429, headers={"retry-after": "30"})
    session = await system.begin(harness, script({"say": "From the second."}))
    await system.at_rest(session)
    assert (await system.said(session))[-1] == "From the second."
    calls = await system.journal_is_complete(session)
    assert [(one["provider"], one["outcome"]) for one in calls[0]["attempts"]] == [
        ("first", "failed"),
        ("second", "answered"),
    ]
    assert calls[-1]["provider"] == "second"
