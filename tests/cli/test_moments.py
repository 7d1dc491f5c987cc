"""Moments as people say them on the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from airside.cli.commands import app
from airside.cli.moments import moment

NOW = datetime(2026, 11, 27, 3, 30, tzinfo=UTC)


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine where it is still yesterday, five hours behind."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("90s", "2026-11-27T03:28:30Z"),
        ("30m", "2026-11-27T03:00:00Z"),
        ("12h", "2026-11-26T15:30:00Z"),
        ("7d", "2026-11-20T03:30:00Z"),
        ("2w", "2026-11-13T03:30:00Z"),
        ("today", "2026-11-26T05:00:00Z"),
        ("yesterday", "2026-11-25T05:00:00Z"),
        ("2026-11-01", "2026-11-01T04:00:00Z"),
        ("2026-11-02T08:00", "2026-11-02T13:00:00Z"),
        ("2026-11-02T08:00:00Z", "2026-11-02T08:00:00Z"),
        ("2026-11-02T08:00:00+01:00", "2026-11-02T07:00:00Z"),
    ],
)
def test_a_moment_is_the_one_that_is_meant_here_and_now(said: str, meant: str) -> None:
    assert moment(said, NOW) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("said", ["", "soon", "12", "12x", "-3h", "999999w", "2026-13-01"])
@pytest.mark.parametrize("command", [["usage"], ["calls", "list"]])
def test_what_is_no_moment_is_bad_usage_and_says_what_is_one(command: list[str], said: str) -> None:
    outcome = CliRunner().invoke(app, [*command, f"--since={said}"])
    assert outcome.exit_code == 2
    assert "is no time" in outcome.output
    assert "yesterday" in outcome.output
