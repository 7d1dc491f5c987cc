"""What commands print. Everything an agent, a model or a repository wrote is shown as plain text: no markup, no control
characters that could act on a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(highlight=False, soft_wrap=True)
_WIDE = 240  # columns of a table that goes to a file or a program: nothing is broken over lines there


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
    """A table, or a sentence if it has no rows. A column whose name ends in `>` is set flush right; the first, which
    says what a row is about, is never broken.
    """
    rows = list(rows)
    if not rows:
        show(empty, "dim")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column.endswith(">") else "left"
        table.add_column(column.rstrip(">"), justify=justify, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(plain("" if cell is None else cell)) for cell in row))
    console.print(table, width=None if console.is_terminal else _WIDE)


def dollars(nanousd: int) -> str:
    """An amount of money for people, with as many digits as it needs to be more than zero."""
    amount = nanousd / 1_000_000_000
    return f"${amount:.2f}" if amount >= 1 else f"${amount:.6f}".rstrip("0").ljust(5, "0")


def usd(nanousd: int) -> float:
    """An amount of money for programs."""
    return nanousd / 1_000_000_000
