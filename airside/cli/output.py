"""What commands print. Everything an agent, a model or a repository wrote is shown as plain text: no markup, no control
characters that could act on a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDE = 240  # columns of what goes to a file or a program: nothing is broken over lines there
console = Console(highlight=False, soft_wrap=True)
if not console.is_terminal:
    console.width = _WIDE


def plain(text: object, most: int | None = None) -> str:
    """Text without control characters but line breaks and tabs, cut to `most` characters."""
    clean = "".join(character for character in str(text) if character in "\n\t" or character.isprintable())
    return clean if most is None or len(clean) <= most else clean[: most - 1] + "…"


def show(text: object, style: str = "") -> None:
    """One piece of text for people."""
    console.print(Text(plain(text), style=style))


def show_json(value: Any) -> None:
    """One line of JSON for programs."""
    print(json.dumps(value, ensure_ascii=False, default=str))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A table, or a sentence if it has no rows. A column whose name ends in `>` is set flush right; one whose name ends
    in `~` is cut where the line ends; the first, which says what a row is about, is never broken.
    """
    rows = list(rows)
    if not rows:
        show(empty, "dim")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    one_is_cut = any(column.endswith("~") for column in columns)
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column.endswith(">") else "left"
        # Where one column is to be cut it is the only one that may be narrowed.
        is_whole = number == 0 or (one_is_cut and not column.endswith("~"))
        name = Text(column.rstrip(">~"), no_wrap=True)
        table.add_column(name, justify=justify, overflow="fold", no_wrap=is_whole)
    for row in rows:
        table.add_row(*(_cell(column, cell) for column, cell in zip(columns, row, strict=True)))
    console.print(table, soft_wrap=False)


def _cell(column: str, cell: object) -> Text:
    text = plain("" if cell is None else cell)
    return Text(text, no_wrap=True, overflow="ellipsis") if column.endswith("~") else Text(text)


def age(moment: str, now: datetime) -> str:
    """How long ago an ISO 8601 moment was, in its largest whole unit: 12s, 5m, 3h, 2d."""
    seconds = max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def dollars(nanousd: int) -> str:
    """An amount of money for people, with as many digits as it needs to be more than zero."""
    amount = nanousd / 1_000_000_000
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.6f}".rstrip("0").ljust(5, "0")


def usd(nanousd: int) -> float:
    """An amount of money for programs."""
    return nanousd / 1_000_000_000
