"""The state machine refuses what the design does not draw, and the wire knows only four words."""

from __future__ import annotations

import itertools

import pytest

from airside.errors import Conflict
from airside.sessions.states import OVER, SessionState, check_transition, wire_status

ALLOWED = {
    "queued": "provisioning running recovering interrupted idle failed",
    "provisioning": "running recovering interrupted idle failed",
    "running": "waiting idle interrupted recovering failed queued",
    "waiting": "queued running idle interrupted",
    "idle": "queued interrupted",
    "interrupted": "queued idle",
    "recovering": "provisioning running interrupted idle failed",
    "failed": "",
    "cancelled": "",
}


@pytest.mark.parametrize(("before", "after"), list(itertools.permutations(SessionState, 2)))
def test_only_the_drawn_transitions_are_allowed(before: SessionState, after: SessionState) -> None:
    drawn = set(ALLOWED.get(before, "").split())
    if before not in OVER:
        drawn |= {"cancelled"}
    if before is not SessionState.ARCHIVED:
        drawn |= {"archived"}
    if after in drawn:
        check_transition("sesn_1", before, after)
    else:
        with pytest.raises(Conflict):
            check_transition("sesn_1", before, after)


def test_every_state_has_a_word_on_the_wire() -> None:
    assert {state: wire_status(state) for state in SessionState} == {
        SessionState.QUEUED: "running",
        SessionState.PROVISIONING: "running",
        SessionState.RUNNING: "running",
        SessionState.WAITING: "idle",
        SessionState.IDLE: "idle",
        SessionState.INTERRUPTED: "idle",
        SessionState.RECOVERING: "rescheduling",
        SessionState.FAILED: "terminated",
        SessionState.CANCELLED: "terminated",
        SessionState.ARCHIVED: "terminated",
    }
