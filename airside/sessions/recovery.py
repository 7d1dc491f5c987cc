"""The resume ladder: how a session goes on after the process that ran it is gone.

    native   the harness reads its own session files, on this machine or from the last snapshot
    replay   a new harness session is told what the log says
    fresh    nothing had happened yet, so the input is given as if for the first time

Which rung was taken is always in the log. An input that the harness has recorded is never given a second time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.harnesses.contract import Harness
from airside.ids import SessionId
from airside.sessions.log import Event
from airside.sessions.sessions import Session
from airside.sessions.transcript import continuation, open_tool_uses, replay
from airside.sessions.turns import Turn
from airside.storage.tables import model_calls


class Tier(StrEnum):
    """A rung of the ladder."""

    NATIVE = "native"
    REPLAY = "replay"
    FRESH = "fresh"


@dataclass(frozen=True, slots=True)
class Approach:
    """How to begin: what to resume, and what to say. `tier` is None for a first start."""

    resume: str | None
    text: str
    tier: Tier | None
    closes: Sequence[Event] = ()  # tool calls whose outcome nobody will learn any more


WAS_STOPPED = "Your process was stopped in the middle of this turn and has been started again."


def choose_approach(
    harness: Harness, home: Path, session: Session, turn: Turn, events: Sequence[Event], *, anything_called: bool
) -> Approach:
    """The highest rung that this session can stand on. `events`: its whole log; `anything_called`: the gateway saw
    model calls of this turn.
    """
    native = session.native_session_id
    holds = native is not None and harness.holds_session(home, native)
    if turn.sent_at is None:
        return _first_time(native, turn, events, holds=holds)
    unknown = open_tool_uses(events)
    if holds and native is not None:
        recorded = harness.recorded_input(home, native, turn.text)
        text = continuation(unknown, WAS_STOPPED) if recorded else turn.text
        return Approach(native, text, Tier.NATIVE, unknown)
    if not anything_called and not _agent_acted(events, turn):
        return Approach(None, turn.text, Tier.FRESH)
    return Approach(None, replay(events, unknown, WAS_STOPPED), Tier.REPLAY, unknown)


def _first_time(native: str | None, turn: Turn, events: Sequence[Event], *, holds: bool) -> Approach:
    if native is None:
        return Approach(None, turn.text, None)
    if holds:
        return Approach(native, turn.text, Tier.NATIVE)
    earlier = [event for event in events if event.sequence < _input_sequence(events, turn)]
    told = replay(earlier, [], "Your process was started anew.").rpartition("\n")[0]
    return Approach(None, f"{told}\nThe next message of the user:\n{turn.text}", Tier.REPLAY)


def _input_sequence(events: Sequence[Event], turn: Turn) -> int:
    return next(event.sequence for event in events if event.event_id == turn.input_event_id)


def _agent_acted(events: Sequence[Event], turn: Turn) -> bool:
    since = _input_sequence(events, turn)
    return any(event.sequence > since and event.type.startswith("agent.") for event in events)


async def any_model_call(connection: AsyncConnection, session_id: SessionId, turn: Turn) -> bool:
    """True if the journal holds a model call of this session since the turn began."""
    query = select(func.count()).select_from(model_calls).where(model_calls.c.session_id == session_id)
    if turn.started_at is not None:
        query = query.where(model_calls.c.at >= turn.started_at)
    return int((await connection.execute(query)).scalar_one()) > 0
