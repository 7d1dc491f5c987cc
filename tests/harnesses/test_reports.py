"""What readers of a harness's events may rely on, even when the harness does not keep to it."""

import pytest

from airside.errors import Conflict
from airside.harnesses.contract import HarnessEvent, Message, Started, ToolResult, ToolUse, TurnEnd, TurnEnded
from airside.harnesses.reports import Reports, describe_death

STARTED = Started("native", "1.0", resumed=False)
USE = ToolUse("c1", "bash", {"command": "true"})
RESULT = ToolResult("c1", "", is_error=False)
END = TurnEnded(TurnEnd.END_TURN)


def reports_of(*pulls: list[HarnessEvent]) -> Reports:
    """Reports of a harness that says this, one list a reading."""
    waiting = list(pulls)

    async def pull() -> bool:
        for event in waiting.pop(0) if waiting else []:
            reports.add(event)
        return bool(waiting)

    reports = Reports(STARTED, pull)
    reports.begin_turn()
    return reports


async def test_the_first_report_is_that_it_has_started() -> None:
    assert await anext(reports_of()) == STARTED


async def test_each_use_has_at_most_one_result_and_no_result_comes_without_its_use() -> None:
    stray = ToolResult("c9", "", is_error=False)
    reports = reports_of([stray, USE, USE, RESULT, RESULT, END], [])
    assert [event async for event in reports] == [STARTED, USE, RESULT, END]


async def test_a_turn_ends_once_and_nothing_is_reported_between_turns() -> None:
    late = Message("late")
    reports = reports_of([END, END, late], [late], [])
    assert [event async for event in reports] == [STARTED, END]


async def test_a_message_while_a_turn_is_under_way_is_refused() -> None:
    reports = reports_of([END], [], [])
    with pytest.raises(Conflict):
        reports.begin_turn()
    await anext(reports)
    await anext(reports)
    reports.begin_turn()


async def test_the_iteration_can_be_left_and_taken_up_again() -> None:
    reports = reports_of([USE], [RESULT, END], [])
    async for event in reports:
        if event == USE:
            break
    assert [event async for event in reports] == [RESULT, END]


@pytest.mark.parametrize(
    ("code", "stderr", "sentence"),
    [
        (3, " no such model \n", "Codex ended with exit code 3: no such model"),
        (-9, "", "Codex was killed by signal 9, and said nothing"),
    ],
)
def test_a_death_is_told_in_a_sentence(code: int, stderr: str, sentence: str) -> None:
    assert describe_death("Codex", code, stderr) == sentence
