"""Budget windows tile time: no gap, no overlap, whatever the clocks of a zone do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airside.spending.budgets import Bounds, BudgetDefinition, Window, window_at

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"]


@given(
    window=st.sampled_from([window for window in Window if window is not Window.TOTAL]),
    zone=st.sampled_from(ZONES),
    seconds=st.integers(min_value=1_700_000_000, max_value=1_900_000_000),
)
def test_every_moment_is_in_the_window_that_is_said_to_hold_it(window: Window, zone: str, seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    bounds = window_at(window, zone, moment)
    assert bounds.end is not None
    assert bounds.start <= seconds < bounds.end
    assert window_at(window, zone, datetime.fromtimestamp(bounds.start, UTC)) == bounds
    assert window_at(window, zone, datetime.fromtimestamp(bounds.end - 1, UTC)) == bounds
    assert window_at(window, zone, datetime.fromtimestamp(bounds.end, UTC)).start == bounds.end


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_on_which_the_clocks_change_is_one_day(date: str, hours: int) -> None:
    noon = datetime.fromisoformat(f"{date}T12:00:00+01:00")
    bounds = window_at(Window.DAY, "Europe/Berlin", noon)
    assert bounds.end is not None
    assert bounds.end - bounds.start == hours * 3600


def test_a_total_never_ends() -> None:
    assert window_at(Window.TOTAL, "UTC", datetime.now(UTC) + timedelta(days=9)) == Bounds(0, None)


def test_a_limit_is_never_more_than_was_written() -> None:
    assert BudgetDefinition(scope="agent:a", limit_usd="0.0000000019").limit_nanousd == 1
    assert BudgetDefinition(scope="agent:a", limit_usd=5).limit_nanousd == 5_000_000_000


def test_a_budget_is_known_by_its_scope_and_window() -> None:
    budget = BudgetDefinition(scope="team:core", limit_usd=10, window="month", warn_at="80%")
    assert (budget.key, budget.kind, budget.name) == ("team:core/month", "team", "core")
    assert budget.warn_at_nanousd == 8_000_000_000
    assert BudgetDefinition(scope="project", limit_usd=1).key == "project"


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "agent:", "limit_usd": 1},
        {"scope": "everyone", "limit_usd": 1},
        {"scope": "agent:a", "limit_usd": -1},
        {"scope": "agent:a", "limit_usd": "NaN"},
        {"scope": "agent:a", "limit_usd": 1, "timezone": "Mars/Olympus"},
        {"scope": "session", "limit_usd": 1, "window": "day"},
        {"scope": "session", "limit_usd": 1, "warn_at": "80%"},
        {"scope": "team:a/b", "limit_usd": 1},
        {"scope": "project:x", "limit_usd": 1},
        {"scope": "team:a", "limit_usd": 1, "warn_at": "80"},
        {"scope": "team:a", "limit_usd": 1, "downgrade_to": "small"},
        {"scope": "model:small", "limit_usd": 1, "on_limit": "downgrade", "downgrade_to": "small"},
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        BudgetDefinition.model_validate(wrong)
