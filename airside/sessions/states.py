"""The state machine of a session and of a turn.

    queued -> provisioning -> running <-> waiting (budget, approval, input)
                                 |-> idle             the turn is over; the next input queues it again
                                 |-> interrupted      paused; `resume` queues it again
    any active -> recovering     its worker is gone; another goes on with it
    any -> cancelled | archived; any active -> failed

The wire knows four statuses, those of the Managed Agents API; `wire_status` maps ours to them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from airside.errors import Conflict


class SessionState(StrEnum):
    """Where a session is in its life."""

    QUEUED = "queued"
    PROVISIONING = "provisioning"
    RUNNING = "running"
    WAITING = "waiting"
    IDLE = "idle"
    INTERRUPTED = "interrupted"
    RECOVERING = "recovering"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ARCHIVED = "archived"


class TurnState(StrEnum):
    """Where a turn is: from an input to idle."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    INTERRUPTED = "interrupted"  # stopped on the way; can go on
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Wanted(StrEnum):
    """What somebody asked of a running session; the worker clears it when it is done."""

    PAUSE = "pause"  # stop now, go on later
    INTERRUPT = "interrupt"  # give this turn up
    STOP = "stop"  # end the session


ACTIVE = frozenset({SessionState.QUEUED, SessionState.PROVISIONING, SessionState.RUNNING, SessionState.RECOVERING})
OVER = frozenset({SessionState.FAILED, SessionState.CANCELLED, SessionState.ARCHIVED})

_S = SessionState
_NEXT: dict[SessionState, frozenset[SessionState]] = {
    _S.QUEUED: frozenset({_S.PROVISIONING, _S.RUNNING, _S.RECOVERING, _S.INTERRUPTED, _S.IDLE, _S.FAILED}),
    _S.PROVISIONING: frozenset({_S.RUNNING, _S.RECOVERING, _S.INTERRUPTED, _S.IDLE, _S.FAILED}),
    _S.RUNNING: frozenset({_S.RUNNING, _S.WAITING, _S.IDLE, _S.INTERRUPTED, _S.RECOVERING, _S.FAILED, _S.QUEUED}),
    _S.WAITING: frozenset({_S.QUEUED, _S.RUNNING, _S.IDLE, _S.INTERRUPTED}),
    _S.IDLE: frozenset({_S.QUEUED, _S.INTERRUPTED}),
    _S.INTERRUPTED: frozenset({_S.QUEUED, _S.IDLE}),
    _S.RECOVERING: frozenset({_S.PROVISIONING, _S.RUNNING, _S.INTERRUPTED, _S.IDLE, _S.FAILED}),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.ARCHIVED: frozenset(),
}

WireStatus = Literal["running", "idle", "rescheduling", "terminated"]


def check_transition(session_id: str, before: SessionState, after: SessionState) -> None:
    """Raise `Conflict` if a session may not go from `before` to `after`. It may always be cancelled or archived."""
    if before in OVER and after is not SessionState.ARCHIVED:
        raise Conflict(f"session {session_id} is {before} and cannot become {after}", code="session_over")
    if after in {SessionState.CANCELLED, SessionState.ARCHIVED} or after in _NEXT[before] or before is after:
        return
    raise Conflict(f"session {session_id} is {before} and cannot become {after}", code="session_state")


def wire_status(state: SessionState) -> WireStatus:
    """The status that clients of the Managed Agents API know."""
    match state:
        case SessionState.QUEUED | SessionState.PROVISIONING | SessionState.RUNNING:
            return "running"
        case SessionState.RECOVERING:
            return "rescheduling"
        case SessionState.IDLE | SessionState.WAITING | SessionState.INTERRUPTED:
            return "idle"
        case SessionState.FAILED | SessionState.CANCELLED | SessionState.ARCHIVED:
            return "terminated"
