"""What every harness makes of a gateway that refuses, stumbles or goes away."""

import pytest
from harness_lab import Lab, said, scripted

from airside.harnesses.contract import Retrying, TurnEnd, TurnEnded


def refusal(message: str) -> dict[str, object]:
    """An error's body that every dialect understands, and without an id.

    OpenCode asks again for up to a minute when three digits such as 500 are anywhere in the body, and a random id holds
    them now and then.
    """
    return {"type": "error", "error": {"type": "invalid_request_error", "code": "refused", "message": message}}


async def test_a_spent_budget_ends_the_turn_at_once_and_the_next_can_go_on(lab: Lab, harness: str) -> None:
    lab.models.fault(status=402, body=refusal("The budget of the agent is spent."))
    talk = await lab.start(harness)
    ended = (await talk.turn(scripted("- say: Hello.")))[-1]
    assert ended.reason is TurnEnd.BUDGET_REACHED
    assert "The budget of the agent is spent." in ended.detail
    assert len(lab.models.requests()) <= 2
    lab.models.clear_faults()
    assert said(await talk.turn(scripted("- say: Paid again."))) == ["Paid again."]


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_ends_the_turn_with_what_the_gateway_said(lab: Lab, harness: str, status: int) -> None:
    lab.models.fault(status=status, body=refusal("The key was revoked on Monday."))
    talk = await lab.start(harness)
    ended = (await talk.turn(scripted("- say: Hello.")))[-1]
    assert ended.reason is TurnEnd.FAILED
    assert "The key was revoked on Monday." in ended.detail or str(status) in ended.detail
    assert len(lab.models.requests()) <= 4


async def test_a_rate_limit_is_waited_out_as_long_as_the_gateway_says(lab: Lab, harness: str) -> None:
    lab.models.fault(status=429, headers={"retry-after": "1"}, times=1)
    talk = await lab.start(harness)
    events = await talk.turn(scripted("- say: Patience."))
    assert said(events) == ["Patience."]
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)
    assert [event.attempt for event in events if isinstance(event, Retrying)] == [1]
    first, second = lab.models.requests()
    assert (second.began_at - first.began_at).total_seconds() >= 1


async def test_an_error_and_then_a_stream_that_breaks_off_are_survived(lab: Lab, harness: str) -> None:
    lab.models.fault(status=500, times=1)
    lab.models.fault(cut_after_bytes=300, times=1)
    talk = await lab.start(harness)
    events = await talk.turn(scripted("- say: Whole in the end."))
    assert said(events)[-1] == "Whole in the end."
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)


async def test_a_gateway_that_is_started_again_is_waited_for(lab: Lab, harness: str) -> None:
    """The gateway goes away in mid-turn and comes back once the harness has asked in vain."""
    talk = await lab.start(harness)
    await talk.running.send(
        scripted(
            "- say: Before.\n  calls:\n    - bash: touch gone; while test -e gone; do sleep 0.02; done\n- say: After."
        )
    )
    await lab.until((lab.paths.workspace / "gone").exists)
    await lab.relay.close()
    (lab.paths.workspace / "gone").unlink()
    events = await talk.until(Retrying)
    await lab.relay.open()
    events += await talk.until(TurnEnded)
    assert said(events) == ["Before.", "After."]
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)
