"""`airside usage`: tokens and money, from the gateway's journal."""

from __future__ import annotations

from typing import Annotated

import typer

from airside.cli.failures import reported
from airside.cli.moments import SinceOption, UntilOption
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import dollars, show_json, show_table, usd
from airside.cli.target import connected
from airside.spending.usage_by import UsageBy


def usage(
    by: Annotated[UsageBy, typer.Option(help="What to sum over.")] = UsageBy.AGENT,
    since: SinceOption = None,
    until: UntilOption = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what was used and what it cost."""
    with reported(as_json=as_json), connected(data) as api:
        rows = api.get("/v1/usage", by=by, since=since, until=until)["data"]
    if as_json:
        show_json([{**row, "cost_usd": usd(row["cost_nanousd"])} for row in rows])
        return
    show_table(
        [by, "calls>", "fallbacks>", "input>", "cache read>", "cache write>", "output>", "cost>"],
        [
            (
                row["key"] or "-",
                row["model_calls"],
                row["fallbacks"],
                row["input_uncached"],
                row["cache_read"],
                row["cache_write_5m"] + row["cache_write_1h"],
                row["output"],
                dollars(row["cost_nanousd"]),
            )
            for row in rows
        ],
        empty="Nothing was used in that time." if since or until else "Nothing has been used yet.",
    )
