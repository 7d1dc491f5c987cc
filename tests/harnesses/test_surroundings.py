"""Harnesses over every dialect they speak, within limits, and in a sandbox that is none."""

import pytest
from harness_lab import HARNESSES, Lab, calls, said, scripted

from airside.harnesses.contract import TurnEnd
from airside.routing.protocols import ProviderProtocol

OTHERS = [
    pytest.param(name, family, marks=[] if name == "scripted" else [pytest.mark.harness, pytest.mark.timeout(120)])
    for name, adapter in HARNESSES.items()
    for family in adapter.families[1:]
]

STEPS = """
- think: Let me see.
  say: I look.
  calls:
    - bash: echo one
    - bash: echo two; exit 1
- say: Both seen.
"""


@pytest.mark.parametrize(("name", "family"), OTHERS)
async def test_a_turn_with_parallel_calls_goes_over_every_dialect(
    lab: Lab, name: str, family: ProviderProtocol
) -> None:
    talk = await lab.start(name, family=family, system="Be brief about the blue whale.")
    events = await talk.turn(scripted(STEPS))
    assert said(events) == ["I look.", "Both seen."]
    assert sorted(result.is_error for _, result in calls(events)) == [False, True]
    assert events[-1].reason is TurnEnd.END_TURN
    assert {request.dialect for request in lab.models.requests()} == {family}
    assert all(b"blue whale" in request.body for request in lab.models.requests())


@pytest.mark.parametrize("family", HARNESSES["scripted"].families)
async def test_a_refusal_of_the_model_is_told_as_one(lab: Lab, family: ProviderProtocol) -> None:
    talk = await lab.start("scripted", family=family)
    events = await talk.turn(scripted("- say: I would rather not.\n  stop: refusal"))
    assert events[-1].reason is TurnEnd.REFUSAL


@pytest.mark.parametrize("family", HARNESSES["scripted"].families)
@pytest.mark.parametrize("fault", [{"in_stream_error": {}}, {"garbage": "body"}, {"empty": True}, {"reset": True}])
async def test_our_agent_survives_a_broken_stream(lab: Lab, family: ProviderProtocol, fault: dict[str, object]) -> None:
    lab.models.fault(**fault, times=1)
    talk = await lab.start("scripted", family=family)
    events = await talk.turn(scripted("- say: In the end."))
    assert said(events) == ["In the end."]


async def test_a_harness_works_within_limits(lab: Lab, harness: str) -> None:
    limits = {"memory_bytes": 6 << 30, "processes": 1000}
    talk = await lab.start(harness, sandbox=lab.sandbox(harness, **limits))
    events = await talk.turn(scripted("- calls:\n    - bash: ulimit -d; ulimit -u\n- say: Done."))
    [(_, result)] = calls(events)
    assert result.text.split() == [str(6 << 20), "1000"]
    assert said(events) == ["Done."]


async def test_a_harness_works_without_isolation_too(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness, "process")
    events = await talk.turn(scripted("- calls:\n    - bash: pwd; setsid sleep 600 >/dev/null 2>&1 &\n- say: Done."))
    [(_, result)] = calls(events)
    assert str(lab.paths.workspace) in result.text
    assert said(events) == ["Done."]
    await talk.running.close()
    assert not lab.processes()
