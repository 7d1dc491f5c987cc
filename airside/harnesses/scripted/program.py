"""The agent as a program: part of this package, and always there."""

from __future__ import annotations

from pathlib import Path

import airside
from airside.harnesses.installation.programs import Program

PROGRAM = Program(
    name="scripted",
    pinned=airside.__version__,
    floor=airside.__version__,
    executable="main.py",
    bundled=Path(__file__).parent / "agent",
)
