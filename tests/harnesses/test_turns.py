"""What every harness promises about its turns, shown by the real programs."""

import os
import signal

from harness_lab import MODEL, Lab, calls, said, scripted

from airside.harnesses.contract import (
    Message,
    MessageDelta,
    Thinking,
    ToolResult,
    ToolUse,
    TurnEnd,
    TurnEnded,
)


async def test_a_turn_is_reported_from_start_to_end(lab: Lab, harness: str) -> None:
    talk, started = await lab.started(harness)
    assert started.version == lab.installation(harness).version
    assert not started.resumed
    steps = "- think: I weigh it.\n  say: I look.\n  calls:\n    - bash: echo seen >made; echo heard\n- say: All done."
    events = await talk.turn(scripted(steps))
    assert said(events) == ["I look.", "All done."]
    assert [event.text for event in events if isinstance(event, Thinking)] == ["I weigh it."]
    assert "".join(event.text for event in events if isinstance(event, MessageDelta)) == "I look.All done."
    [(use, result)] = calls(events)
    assert "echo heard" in str(use.input)
    assert "heard" in result.text
    assert not result.is_error
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)
    told = [event for event in events if isinstance(event, Message | ToolUse | ToolResult)]
    assert told == [Message("I look."), use, result, Message("All done.")]
    assert (lab.paths.workspace / "made").read_text() == "seen\n"
    await talk.running.close()
    await talk.running.close()
    assert not lab.processes()


async def test_files_are_written_read_and_changed(lab: Lab, harness: str) -> None:
    (lab.paths.workspace / "sum.py").write_text("total = a - b\n")
    talk = await lab.start(harness)
    events = await talk.turn(
        scripted(
            "- calls:\n    - read: sum.py\n"
            "- calls:\n    - edit: {path: sum.py, old: total = a - b, new: total = a + b}\n"
            "    - write: {path: new.txt, content: fresh}\n"
            "- say: Changed."
        )
    )
    pairs = calls(events)
    assert len(pairs) == 3
    assert not any(result.is_error for _, result in pairs)
    assert "total = a - b" in pairs[0][1].text
    assert (lab.paths.workspace / "sum.py").read_text() == "total = a + b\n"
    assert (lab.paths.workspace / "new.txt").read_text().strip() == "fresh"
    assert said(events) == ["Changed."]


async def test_files_are_removed_by_force_and_every_call_is_reported(lab: Lab, harness: str) -> None:
    for name in ("one", "two", "three"):
        (lab.paths.workspace / name / "below").mkdir(parents=True)
    talk = await lab.start(harness)
    commands = ("rm -rf one", "rm -f missing && rm -rf ./two", "bash -c 'rm -rf three'")
    called = "".join(f'- calls:\n    - bash: "{command}"\n' for command in commands)
    events = await talk.turn(scripted(f"{called}- say: Removed."))
    pairs = calls(events)
    assert len(pairs) == len(commands)
    assert not any(result.is_error for _, result in pairs)
    assert list(lab.paths.workspace.iterdir()) == []
    assert said(events) == ["Removed."]


async def test_calls_made_side_by_side_each_get_their_result_and_a_failed_one_is_an_error(
    lab: Lab, harness: str
) -> None:
    talk = await lab.start(harness)
    events = await talk.turn(
        scripted("- calls:\n    - bash: echo first\n    - bash: echo second; exit 3\n- say: Seen.")
    )
    results = {("first" if "echo first" in str(use.input) else "second"): result for use, result in calls(events)}
    assert not results["first"].is_error
    assert "first" in results["first"].text
    assert results["second"].is_error
    assert "second" in results["second"].text
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)


async def test_the_model_is_called_by_its_alias_with_the_session_token_and_for_nothing_else(
    lab: Lab, harness: str
) -> None:
    talk = await lab.start(harness, system="Always be brief about the blue whale.")
    await talk.turn(scripted("- calls:\n    - bash: echo hello\n- say: Done."))
    await talk.running.close()
    requests = lab.models.requests()
    assert [request.step for request in requests] == [0, 1]
    assert {request.model for request in requests} == {MODEL}
    assert {request.headers["authorization"] for request in requests if "authorization" in request.headers} <= {
        "Bearer air_session_token"
    }
    assert {request.key for request in requests} == {"air_session_token"}
    assert all(b"blue whale" in request.body for request in requests)


async def test_an_interrupt_ends_the_turn_while_the_model_speaks(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    await talk.running.send(scripted("- say: A long story that is never told to its end.\n  hold: {name: speech}"))
    await lab.models.wait_until_held("speech", deadline_s=30)
    await talk.running.interrupt()
    assert (await talk.until(TurnEnded))[-1] == TurnEnded(TurnEnd.INTERRUPTED)
    lab.models.release("speech")
    assert (await talk.turn("Tell another one."))[-1] == TurnEnded(TurnEnd.END_TURN)
    assert b"Tell another one." in lab.models.requests()[-1].body


async def test_an_interrupt_ends_the_turn_while_a_tool_runs(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    await talk.running.send(scripted("- calls:\n    - bash: sleep 600\n- say: Never said."))
    await talk.until(ToolUse)
    await talk.running.interrupt()
    assert (await talk.until(TurnEnded))[-1].reason is TurnEnd.INTERRUPTED
    assert (await talk.turn("On we go."))[-1].reason is TurnEnd.END_TURN
    assert b"sleep 600" in lab.models.requests()[-1].body
    assert b"On we go." in lab.models.requests()[-1].body


async def test_an_interrupt_right_after_the_message_still_ends_the_turn(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    await talk.running.send(scripted("- say: A long story.\n  hold: {name: speech}"))
    await talk.running.interrupt()
    assert (await talk.until(TurnEnded))[-1].reason is TurnEnd.INTERRUPTED


async def test_one_turn_follows_another_and_an_interrupt_between_them_does_nothing(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    assert said(await talk.turn(scripted("- say: One."))) == ["One."]
    await talk.running.interrupt()
    assert said(await talk.turn(scripted("- say: Two."))) == ["Two."]
    assert b"One." in lab.models.requests()[-1].body


async def test_a_killed_process_ends_the_turn_and_the_reports(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    await talk.running.send(scripted("- calls:\n    - bash: sleep 600\n- say: Never said."))
    await talk.until(ToolUse)
    os.killpg(talk.running.process_group, signal.SIGKILL)
    ended = (await talk.until(TurnEnded))[-1]
    assert ended.reason is TurnEnd.DIED
    assert "was killed by signal 9" in ended.detail
    assert [event async for event in talk.reports] == []


async def test_closing_in_mid_turn_ends_the_process_and_its_tools(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness)
    await talk.running.send(scripted("- calls:\n    - bash: sleep 600\n- say: Never said."))
    await talk.until(ToolUse)
    await talk.running.close()
    assert not lab.processes()
