"""What is sent to a session is written down once, in order, and takes effect only where it may."""

from __future__ import annotations

import pytest

from airside.errors import Conflict
from airside.sessions.states import SessionState, TurnState, Wanted


async def turns(desk, session_id, *states: TurnState) -> list[str]:
    async with desk.database.read() as connection:
        return [turn.text for turn in await desk.turns.of_session(connection, session_id, *states)]


async def do(desk, action, session_id):
    async with desk.database.write() as connection:
        return await action(connection, session_id)


async def become(desk, session_id, *states: SessionState) -> None:
    async with desk.database.write() as connection:
        for state in states:
            await desk.sessions.move(connection, session_id, state)


async def test_a_message_queues_a_turn_and_the_session(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    await desk.say(session_id, "two")
    assert await turns(desk, session_id) == ["one", "two"]
    assert (await desk.session(session_id)).state is SessionState.QUEUED
    assert [event.type for event in await desk.events(session_id)] == ["user.message", "user.message"]


async def test_the_same_key_sends_a_message_once(desk) -> None:
    session_id = await desk.new_session()
    first = await desk.say(session_id, "one", key="k")
    again = await desk.say(session_id, "one", key="k")
    assert [event.event_id for event in first] == [event.event_id for event in again]
    assert await turns(desk, session_id) == ["one"]
    with pytest.raises(Conflict, match="used for other events"):
        await desk.say(session_id, "another", key="k")


async def test_pausing_an_idle_session_holds_back_what_is_sent(desk) -> None:
    session_id = await desk.new_session()
    await do(desk, desk.inputs.pause, session_id)
    await desk.say(session_id, "later")
    assert (await desk.session(session_id)).state is SessionState.INTERRUPTED
    resumed = await do(desk, desk.inputs.resume, session_id)
    assert resumed.state is SessionState.QUEUED
    assert await do(desk, desk.inputs.resume, session_id) == resumed


async def test_pausing_a_running_session_asks_its_worker_and_resuming_takes_it_back(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    await become(desk, session_id, SessionState.PROVISIONING, SessionState.RUNNING)
    assert (await do(desk, desk.inputs.pause, session_id)).wanted is Wanted.PAUSE
    assert (await do(desk, desk.inputs.resume, session_id)).wanted is None


async def test_an_end_that_was_asked_for_is_not_taken_back_by_a_pause(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    await do(desk, desk.inputs.stop, session_id)
    assert (await do(desk, desk.inputs.pause, session_id)).wanted is Wanted.STOP


async def test_a_message_wakes_a_session_that_waits_for_its_budget(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    await become(desk, session_id, SessionState.PROVISIONING, SessionState.RUNNING, SessionState.WAITING)
    await desk.say(session_id, "go on")
    assert (await desk.session(session_id)).state is SessionState.QUEUED


async def test_a_session_that_is_over_takes_nothing_more(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    await become(desk, session_id, SessionState.PROVISIONING, SessionState.RUNNING, SessionState.IDLE)
    stopped = await do(desk, desk.inputs.stop, session_id)
    assert stopped.state is SessionState.CANCELLED
    assert await turns(desk, session_id, TurnState.QUEUED) == []
    assert (await desk.events(session_id))[-1].type == "session.status_terminated"
    for action in (desk.inputs.pause, desk.inputs.resume):
        with pytest.raises(Conflict):
            await do(desk, action, session_id)
    with pytest.raises(Conflict):
        await desk.say(session_id, "more")
    assert (await do(desk, desk.inputs.stop, session_id)).state is SessionState.CANCELLED
    assert (await do(desk, desk.inputs.archive, session_id)).state is SessionState.ARCHIVED


async def test_a_running_session_is_not_archived(desk) -> None:
    session_id = await desk.new_session()
    await desk.say(session_id, "one")
    with pytest.raises(Conflict) as raised:
        await do(desk, desk.inputs.archive, session_id)
    assert raised.value.hint == "Stop it first, then archive it."
