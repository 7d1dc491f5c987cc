"""What `airside plan` shows to people."""

from __future__ import annotations

from typing import Any

import pytest

from airside.cli.config import _difference


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("coder", "planner", ["at: coder -> planner"]),
        (None, 5, ["at: null -> 5"]),
        (
            [{"when": None, "to": ["a/b"]}],
            [{"when": "true", "to": []}],
            ["at: [{to: [a/b]}] -> [{when: 'true', to: []}]"],
        ),
        (["x" * 60], ["y" * 60], ["at:", f"  - [{'x' * 60}]", f"  + [{'y' * 60}]"]),
    ],
)
def test_a_difference_reads_as_the_file_would(before: Any, after: Any, lines: list[str]) -> None:
    assert _difference({"path": "at", "before": before, "after": after}) == lines
