"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        help="Data directory of the server on this machine (default AIRSIDE_DATA, or else ~/.airside).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text for people.")]
