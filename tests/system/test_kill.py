"""Any process may die at any time: nothing is lost, nothing is done or billed twice, and the session goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from airside_system import System, kinds, script, until

pytestmark = pytest.mark.timeout(180)

# `mid` is held after the first words of the second answer: the turn is then well under way.
TURN = script(
    {"say": "First.", "calls": [{"bash": "echo one >> log.txt"}]},
    {"say": "Second.", "hold": "mid", "calls": [{"bash": "echo two >> log.txt"}]},
    {"say": "Third.", "calls": [{"bash": "echo three >> log.txt"}]},
    {"say": "All done."},
    said="ORIGINAL-PROMPT: do as the script says.",
)


def log_of(system: System, session: str) -> str:
    return (system.workspace(session) / "log.txt").read_text()


async def mid_turn(system: System, harness: str) -> str:
    session = await system.begin(harness, TURN)
    await system.models.wait_until_held("mid", deadline_s=60)
    return session


async def test_a_killed_worker_is_replaced_and_the_session_goes_on_natively(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    await system.kill_and_wait(system.stack.worker)
    system.models.release("mid")
    await system.stack.worker.start()
    found = await system.at_rest(session)
    assert found["stop_reason"] == {"type": "end_turn"}
    assert (await system.said(session))[-1] == "All done."
    assert log_of(system, session) == "one\ntwo\nthree\n"
    events = await system.events(session)
    (rescheduled,) = [event for event in events if event["type"] == "session.status_rescheduled"]
    (resumed,) = [event for event in events if event["type"] == "session.resumed"]
    assert (rescheduled["reason"], resumed["tier"]) == ("worker_lost", "native")
    assert system.last_conversation().count("ORIGINAL-PROMPT") == 1
    assert kinds(events).count("user.message") == 1
    await system.is_intact(session)


async def test_no_process_of_a_killed_worker_is_left(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    assert processes_of(session)
    await system.kill_and_wait(system.stack.worker)

    async def none_left() -> bool:
        return not processes_of(session)

    await until(none_left, "the harness died with its worker")


def processes_of(session: str) -> list[int]:
    """Processes on this machine that carry the session's mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                marked = session.encode() in (folder / "environ").read_bytes()
            except OSError:
                continue
            if marked:
                found.append(int(folder.name))
    return found


def outermost(pids: list[int]) -> int:
    """The process that none of the others started."""
    (found,) = [
        pid for pid in pids if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) not in pids
    ]
    return found


async def test_without_a_control_plane_the_turn_is_finished_and_its_journal_kept(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    await system.kill_and_wait(system.stack.control)
    system.models.release("mid")
    await system.models.wait_for_request("sim", number=4, deadline_s=60)

    async def answered() -> bool:
        return [request.outcome.value for request in system.models.requests()] == ["completed"] * 4

    await until(answered, "all four calls were answered without a control plane")
    await system.stack.control.start()
    await system.at_rest(session)
    assert log_of(system, session) == "one\ntwo\nthree\n"
    calls = await system.journal_is_complete(session)
    assert [call["outcome"] for call in calls] == ["completed"] * 4
    usage = (await system.session(session))["usage"]
    assert usage["model_calls"] == 4
    assert usage["cost_nanousd"] == sum(call["cost_nanousd"] for call in calls)
    assert "session.status_rescheduled" not in kinds(await system.events(session))
    await system.is_intact(session)


async def test_a_killed_gateway_comes_back_and_nothing_is_billed_twice(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    await system.kill_and_wait(system.stack.gateway)
    system.models.release("mid")
    await system.stack.gateway.start()
    found = await system.at_rest(session)
    assert found["stop_reason"] == {"type": "end_turn"}
    assert log_of(system, session) == "one\ntwo\nthree\n"
    calls = await system.journal_is_complete(session)
    assert [call["outcome"] for call in calls].count("lost") == 1
    assert [call["outcome"] for call in calls].count("completed") == 4
    usage = (await system.session(session))["usage"]
    assert usage["cost_nanousd"] == sum(call["cost_nanousd"] for call in calls)
    assert "session.status_rescheduled" not in kinds(await system.events(session))
    await system.is_intact(session)


async def test_a_killed_harness_is_started_again(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    before = processes_of(session)
    os.kill(outermost(before), signal.SIGKILL)  # the others die with it

    async def all_gone() -> bool:
        return not set(before) & set(processes_of(session))

    # One that is still dying could take the answer, and the command in it would die with the one that runs it.
    await until(all_gone, "the killed harness and its processes are gone")
    system.models.release("mid")
    found = await system.at_rest(session)
    assert found["stop_reason"] == {"type": "end_turn"}
    assert log_of(system, session) == "one\ntwo\nthree\n"
    events = await system.events(session)
    assert [e["reason"] for e in events if e["type"] == "session.status_rescheduled"] == ["harness_died"]
    assert [e["tier"] for e in events if e["type"] == "session.resumed"] == ["native"]
    assert system.last_conversation().count("ORIGINAL-PROMPT") == 1


async def test_everything_killed_at_once_comes_back_by_itself(system: System) -> None:
    session = await mid_turn(system, "scripted")
    for part in system.stack.parts:
        system.kill(part)
    for part in system.stack.parts:
        await system.gone(part)
    system.models.release("mid")
    await system.restart()
    await system.at_rest(session)
    assert log_of(system, session) == "one\ntwo\nthree\n"
    assert (await system.said(session))[-1] == "All done."
    await system.journal_is_complete(session)
    await system.is_intact(session)


async def test_a_worker_that_is_asked_to_end_hands_its_turn_over(system: System, harness: str) -> None:
    session = await mid_turn(system, harness)
    await system.stack.worker.stop()
    assert not processes_of(session)
    assert (await system.session(session))["state"] == "running"
    system.models.release("mid")
    await system.stack.worker.start()
    await system.at_rest(session)
    assert log_of(system, session) == "one\ntwo\nthree\n"
    assert (await system.said(session))[-1] == "All done."
    assert system.last_conversation().count("ORIGINAL-PROMPT") == 1


async def test_a_stopped_worker_that_wakes_up_too_late_changes_nothing(system: System) -> None:
    """It loses its lease while it is stopped; what it writes then is refused by the log."""
    session = await mid_turn(system, "scripted")
    pid = await stopped_between_transactions(system)
    other = await system.second_worker()

    async def taken_over() -> bool:
        return "session.resumed" in kinds(await system.events(session))

    await until(taken_over, "the other worker took over")
    system.models.release("mid")
    await system.in_state(session, "idle")
    os.kill(pid, signal.SIGCONT)
    before = len(await system.events(session))
    await system.send(session, script({"say": "Afterwards."}))
    await system.in_state(session, "idle")
    assert (await system.said(session))[-2:] == ["All done.", "Afterwards."]
    assert len(await system.events(session)) > before
    await system.is_intact(session)
    await other.stop()


async def stopped_between_transactions(system: System) -> int:
    """Stop the worker at a moment when it holds no lock on a database: one that does would stop everybody."""
    pid = system.stack.worker.pid
    assert pid is not None
    while True:
        os.kill(pid, signal.SIGSTOP)
        if all(can_be_written(file) for file in (system.data.control_database, system.data.engine_database)):
            return pid
        os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(0.03)


def can_be_written(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0.5, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        connection.execute("ROLLBACK")
    return True
