"""Moments as people say them: `12h` ago, a day, or a time to the second."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import Annotated

import typer

from airside.clock import SystemClock

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WAYS = "say it as 30m, 12h or 7d (so long ago), today, yesterday, 2026-11-01 or 2026-11-01T08:00:00Z"


def moment(said: str, now: datetime) -> datetime:
    """The moment that is meant at `now`. A day begins at midnight, and a time without a zone is, where this machine is.

    Raises:
        ValueError: It is no moment.
        OverflowError: It is before the first year.
    """
    here = now.astimezone()
    if ago := _AGO.fullmatch(said):
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    days_ago = {"today": 0, "yesterday": 1}.get(said)
    if days_ago is not None:
        return datetime.combine(here.date() - timedelta(days=days_ago), time()).astimezone()
    return datetime.fromisoformat(said).astimezone()


def _parsed(said: str) -> str:
    try:
        return moment(said.strip(), SystemClock().now()).isoformat()
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"'{said}' is no time; {_WAYS}") from error


SinceOption = Annotated[
    str | None,
    typer.Option(
        parser=_parsed,
        metavar="TIME",
        help="From this time on: 12h (ago), today, yesterday, 2026-11-01 or 2026-11-01T08:00:00Z.",
    ),
]
UntilOption = Annotated[
    str | None, typer.Option(parser=_parsed, metavar="TIME", help="Before this time, said the same way.")
]
