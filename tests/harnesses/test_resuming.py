"""What every harness promises about going on from its own session files."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
from harness_lab import HARNESSES, Lab, said, scripted

from airside.harnesses.contract import NativeSessionLost, ToolUse, TurnEnd, TurnEnded


async def test_a_session_goes_on_under_a_fresh_home_with_its_files_alone(lab: Lab, harness: str) -> None:
    first, started = await lab.started(harness)
    prompt = scripted("- say: I remember the blue whale.")
    await first.turn(prompt)
    await first.running.close()
    lab.move_to_a_fresh_home(harness)
    adapter = HARNESSES[harness]
    assert adapter.holds_session(lab.paths.home, started.native_session_id)
    assert adapter.recorded_input(lab.paths.home, started.native_session_id, prompt)
    assert not adapter.recorded_input(lab.paths.home, started.native_session_id, "never said")

    second, resumed = await lab.started(harness, resume=started.native_session_id)
    assert resumed.resumed
    assert resumed.native_session_id == started.native_session_id
    assert said(await second.turn(scripted("- say: So do I."))) == ["So do I."]
    assert b"I remember the blue whale." in lab.models.requests()[-1].body


async def test_a_process_killed_while_a_tool_runs_is_followed_by_one_that_knows_of_the_call(
    lab: Lab, harness: str
) -> None:
    first, started = await lab.started(harness)
    prompt = scripted("- say: First.\n  calls:\n    - bash: echo one\n- calls:\n    - bash: sleep 600\n- say: Third.")
    await first.running.send(prompt)
    await first.until(ToolUse)
    [*_, call] = await first.until(ToolUse)
    await lab.until(lambda: call.call_id.encode() in everything_under(lab.paths.home))
    os.killpg(first.running.process_group, signal.SIGKILL)
    await first.until(TurnEnded)
    await first.running.close()
    lab.move_to_a_fresh_home(harness)
    assert HARNESSES[harness].holds_session(lab.paths.home, started.native_session_id)
    assert HARNESSES[harness].recorded_input(lab.paths.home, started.native_session_id, prompt)

    second, _ = await lab.started(harness, resume=started.native_session_id)
    events = await second.turn("Your process was stopped. Go on with what you were doing.")
    assert events[-1] == TurnEnded(TurnEnd.END_TURN)
    assert said(events) == ["Third."]
    assert b"sleep 600" in lab.models.requests()[-1].body


def everything_under(folder: Path) -> bytes:
    """The content of all files; those that a running program removes meanwhile have none."""
    whole = bytearray()
    for place in folder.rglob("*"):
        with contextlib.suppress(OSError):
            whole += place.read_bytes()
    return bytes(whole)


async def test_a_process_killed_while_the_model_speaks_is_followed_by_one_that_goes_on(lab: Lab, harness: str) -> None:
    first, started = await lab.started(harness)
    await first.turn(scripted("- say: The first turn."))
    await first.running.send(scripted("- say: A sentence that is never finished.\n  hold: {name: speech}"))
    await lab.models.wait_until_held("speech", deadline_s=30)
    os.killpg(first.running.process_group, signal.SIGKILL)
    await first.until(TurnEnded)
    await first.running.close()
    lab.move_to_a_fresh_home(harness)
    second, _ = await lab.started(harness, resume=started.native_session_id)
    assert said(await second.turn(scripted("- say: Anew."))) == ["Anew."]
    assert b"The first turn." in lab.models.requests()[-1].body


async def test_a_line_that_was_cut_off_does_not_lose_the_session(lab: Lab, harness: str) -> None:
    if harness == "opencode":
        pytest.skip("its files are not lines")
    first, started = await lab.started(harness)
    await first.turn(scripted("- say: The first turn."))
    await first.running.close()
    [transcript] = [place for place in lab.paths.home.rglob("*.jsonl") if started.native_session_id in place.name]
    transcript.write_bytes(transcript.read_bytes() + b'{"type":"user","mess')
    assert HARNESSES[harness].holds_session(lab.paths.home, started.native_session_id)
    second, _ = await lab.started(harness, resume=started.native_session_id)
    assert said(await second.turn(scripted("- say: Whole."))) == ["Whole."]
    assert b"The first turn." in lab.models.requests()[-1].body


async def test_a_session_that_its_files_do_not_hold_is_lost(lab: Lab, harness: str) -> None:
    first, started = await lab.started(harness)
    await first.turn(scripted("- say: Gone."))
    await first.running.close()
    shutil.rmtree(lab.paths.home)
    lab.paths.home.mkdir()
    assert not HARNESSES[harness].holds_session(lab.paths.home, started.native_session_id)
    assert not HARNESSES[harness].recorded_input(lab.paths.home, started.native_session_id, "x")
    with pytest.raises(NativeSessionLost):
        await lab.start(harness, resume=started.native_session_id)
    assert not lab.processes()


def hostile_homes() -> dict[str, str]:
    """Where each harness keeps its sessions, for somebody who puts something else there."""
    return {
        "claude-code": ".claude/projects/-workspace/S.jsonl",
        "codex": ".codex/sessions/2026/01/01/rollout-2026-S.jsonl",
        "opencode": ".local/share/opencode/opencode.db",
        "scripted": ".airside/sessions/S.jsonl",
    }


@pytest.mark.parametrize("name", HARNESSES)
def test_a_link_a_pipe_and_garbage_in_place_of_the_files_hold_no_session(name: str, tmp_path: Path) -> None:
    place = tmp_path / "home" / hostile_homes()[name]
    place.parent.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.write_bytes(b'{"type":"user","payload":{},"role":"user","text":"secret"}\n')
    for put in (
        lambda: place.symlink_to(outside),
        lambda: os.mkfifo(place),
        place.mkdir,
        lambda: place.write_bytes(b"\x00garbage\xff" * 1000),
        lambda: place.write_bytes(b"[" * 200_000 + b"\n"),
    ):
        put()
        assert not HARNESSES[name].holds_session(tmp_path / "home", "S")
        assert not HARNESSES[name].recorded_input(tmp_path / "home", "S", "secret")
        place.rmdir() if place.is_dir() and not place.is_symlink() else place.unlink()
