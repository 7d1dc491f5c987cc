"""What an agent's own helpers do is on the record like what it does itself, and its turn is over when theirs are."""

import asyncio

import pytest
from harness_lab import DEADLINE_S, Lab, Talk, calls, said, scripted

from airside.harnesses.contract import ToolUse, TurnEnd, TurnEnded

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
