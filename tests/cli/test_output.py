"""What commands print for people, on a terminal of the usual width and into a file."""

from __future__ import annotations

from datetime import UTC, datetime
from io import StringIO

import pytest
from rich.console import Console

from airside.cli import output

SESSION = "sess_01M8C5Y6JP6T5SNJKQ6A4X7S3W"


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-11-26T12:00:00Z", "0s"),
        ("2026-11-26T11:59:01Z", "59s"),
        ("2026-11-26T11:00:01Z", "59m"),
        ("2026-11-25T12:00:01Z", "23h"),
        ("2026-09-26T12:00:00Z", "61d"),
        ("2026-11-26T12:00:09Z", "0s"),
    ],
)
def test_an_age_is_told_in_its_largest_unit(moment: str, said: str) -> None:
    assert output.age(moment, datetime(2026, 11, 26, 12, tzinfo=UTC)) == said


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_row_is_one_line(monkeypatch: pytest.MonkeyPatch, is_terminal: bool) -> None:
    written = StringIO()
    width = 80 if is_terminal else 240
    terminal = Console(file=written, force_terminal=is_terminal, width=width, no_color=True, soft_wrap=True)
    monkeypatch.setattr(output, "console", terminal)
    title = "Find out why the nightly job deletes what it has just written, and mend it"
    columns = ["session", "agent", "state", "calls>", "cost>", "age>", "title~"]
    output.show_table(columns, [(SESSION, "claude-code", "idle", 1234, "$0.123456", "59m", title)], empty="")
    lines = written.getvalue().splitlines()
    assert len(lines) == 2
    for cell in (SESSION, "claude-code", "idle", "1234", "$0.123456", "59m", "Fi"):
        assert cell in lines[1]
    assert ("…" in lines[1]) == is_terminal
    assert (title in lines[1]) != is_terminal
