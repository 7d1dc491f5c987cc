"""What an agent's own helpers do is on the record like what it does itself, and its turn is over when theirs are."""

import asyncio

import pytest
from harness_lab import DEADLINE_S, Lab, Talk, calls, said, scripted

from airside.harnesses.contract import ToolUse, TurnEnd, TurnEnded
from airside.harnesses.opencode.messages import Turn

pytestmark = [pytest.mark.harness, pytest.mark.timeout(120)]

HELPER = "HELPER, see to it."
# The tool that starts a helper, and what each harness's own takes.
SPAWNING = {
    "claude-code": ("Agent", f'description: help, prompt: "{HELPER}", subagent_type: general-purpose'),
    "codex": ("spawn_agent", f'message: "{HELPER}"'),
    "opencode": ("task", f'description: help, prompt: "{HELPER}", subagent_type: general'),
}


def spawning(harness: str) -> str:
    """A step in which the agent starts a helper."""
    tool, given = SPAWNING[harness]
    return f"- calls:\n    - tool: {{name: {tool}, input: {{{given}}}}}\n"


def uses(events: list[object]) -> list[str]:
    return [str(event.input) for event in events if isinstance(event, ToolUse)]


async def until_helper_works(lab: Lab, talk: Talk) -> list[object]:
    """Everything reported until the helper's command is under way."""
    seen: list[object] = []
    while not any("helper-works" in use for use in uses(seen)):
        seen.append(await talk.next())
    await lab.until((lab.paths.workspace / "helper-works").exists)
    return seen


@pytest.mark.parametrize("spawner", SPAWNING)
async def test_the_calls_of_a_subagent_are_reported_and_its_words_are_not(lab: Lab, spawner: str) -> None:
    lab.models.script("- calls:\n    - bash: echo of the helper\n- say: Helped.", match=HELPER)
    talk = await lab.start(spawner)
    events = await talk.turn(
        scripted(f"{spawning(spawner)}- calls:\n    - bash: sleep 1; echo of the agent\n- say: Done.")
    )
    made = {
        word: result.text
        for use, result in calls(events)
        for word in ("agent", "helper")
        if f"echo of the {word}" in str(use.input)
    }
    assert made.keys() == {"agent", "helper"}
    assert "of the helper" in made["helper"]
    assert said(events) == ["Done."]
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)


async def test_the_turn_is_over_when_the_subagents_are(lab: Lab) -> None:
    lab.models.script(
        "- calls:\n    - bash: touch helper-works; until test -e go; do sleep 0.01; done\n- say: Helped.", match=HELPER
    )
    talk = await lab.start("codex")
    await talk.running.send(scripted(f"{spawning('codex')}- say: Done."))
    seen = await until_helper_works(lab, talk)
    while "Done." not in said(seen):
        seen.append(await talk.next())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            seen.append(await anext(talk.reports))
    (lab.paths.workspace / "go").touch()
    seen += await talk.until(TurnEnded)
    assert seen[-1] == TurnEnded(TurnEnd.END_TURN)
    assert len(calls(seen)) == 2
    assert said(await talk.turn(scripted("- say: Another turn."))) == ["Another turn."]


async def test_an_interrupt_ends_the_subagents_too(lab: Lab) -> None:
    lab.models.script("- calls:\n    - bash: touch helper-works; sleep 600; touch late\n- say: Helped.", match=HELPER)
    talk = await lab.start("codex")
    await talk.running.send(scripted(f"{spawning('codex')}- say: Done."))
    seen = await until_helper_works(lab, talk)
    async with asyncio.timeout(DEADLINE_S):
        await talk.running.interrupt()
        seen += await talk.until(TurnEnded)
    assert seen[-1].reason in {TurnEnd.INTERRUPTED, TurnEnd.END_TURN}
    asked = len(lab.models.requests())
    assert said(await talk.turn(scripted("- say: On we go."))) == ["On we go."]
    assert len(lab.models.requests()) == asked + 1


async def test_a_subagent_that_its_agent_closes_holds_nothing_up(lab: Lab) -> None:
    lab.models.script("- calls:\n    - bash: touch helper-works; sleep 600\n- say: Helped.", match=HELPER)
    first = f"{spawning('codex')}- calls:\n    - bash: until test -e go; do sleep 0.01; done\n"
    lab.models.script(f"{first}- say: Done.", match="BOSS")
    talk = await lab.start("codex")
    await talk.running.send("BOSS, begin.")
    seen = await until_helper_works(lab, talk)
    [helper] = {
        request.headers["thread-id"] for request in lab.models.requests() if "x-openai-subagent" in request.headers
    }
    close = f"- calls:\n    - tool: {{name: close_agent, input: {{target: {helper}}}}}\n"
    lab.models.script(f"{first}{close}- say: Done.", match="BOSS")
    (lab.paths.workspace / "go").touch()
    seen += await talk.until(TurnEnded)
    assert seen[-1] == TurnEnded(TurnEnd.END_TURN)
    assert said(seen) == ["Done."]
    assert any("closeAgent" in use for use in uses(seen))


async def test_what_is_refused_to_a_subagent_ends_the_turn_of_its_agent(lab: Lab) -> None:
    lab.models.script("- calls:\n    - bash: touch helper-works; until test -e go; do sleep 0.01; done", match=HELPER)
    talk = await lab.start("codex")
    await talk.running.send(scripted(f"{spawning('codex')}- say: Done."))
    seen = await until_helper_works(lab, talk)
    while "Done." not in said(seen):
        seen.append(await talk.next())
    lab.models.fault(status=402, body='{"error":{"message":"spent","code":"budget_exceeded"}}')
    (lab.paths.workspace / "go").touch()
    seen += await talk.until(TurnEnded)
    assert seen[-1].reason is TurnEnd.BUDGET_REACHED


async def test_what_is_refused_to_an_agent_ends_its_subagents(lab: Lab) -> None:
    lab.models.script("- calls:\n    - bash: touch helper-works; sleep 600", match=HELPER)
    talk = await lab.start("codex")
    waiting = "- calls:\n    - bash: until test -e go; do sleep 0.01; done\n- say: Done."
    await talk.running.send(scripted(spawning("codex") + waiting))
    seen = await until_helper_works(lab, talk)
    lab.models.fault(status=402, body='{"error":{"message":"spent","code":"budget_exceeded"}}')
    (lab.paths.workspace / "go").touch()
    seen += await talk.until(TurnEnded)
    assert seen[-1].reason is TurnEnd.BUDGET_REACHED


async def test_a_call_of_an_interrupted_subagent_is_not_told_again_in_the_next_turn(lab: Lab) -> None:
    lab.models.script(
        "- calls:\n    - bash: trap '' TERM; touch helper-works; while true; do sleep 0.1; done", match=HELPER
    )
    talk = await lab.start("opencode")
    await talk.running.send(scripted(f"{spawning('opencode')}- say: Done."))
    await until_helper_works(lab, talk)
    await talk.running.interrupt()
    await talk.until(TurnEnded)
    after = await talk.turn(scripted("- calls:\n    - bash: sleep 3; echo of the agent\n- say: On we go."))
    assert len(uses(after)) == 1
    assert "of the agent" in uses(after)[0]


def test_calls_of_one_name_in_two_conversations_are_two() -> None:
    turn = Turn("own", known_inputs=set(), known_calls=set())
    told = []
    for session, part in (("helper", "prt_1"), ("own", "prt_2")):
        piece = {
            "id": part,
            "type": "tool",
            "tool": "bash",
            "callID": "functions.bash:1",
            "state": {"status": "running"},
        }
        event = {"type": "message.part.updated", "properties": {"sessionID": session, "part": piece}}
        told += list(turn.events_of(event))
    assert [use.call_id for use in told] == ["prt_1", "functions.bash:1"]
