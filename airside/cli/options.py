"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirectoryOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="AIRSIDE_DATA",
        help="Data directory of the server on this machine (default ~/.airside).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of text for people.")]
