"""How to start this program again, in another role."""

from __future__ import annotations

import sys
from pathlib import Path


def airside_command(*arguments: str) -> list[str]:
    """The command line of `airside` with these arguments, such that a process list shows its role."""
    script = Path(sys.executable).with_name("airside")
    program = [str(script)] if script.exists() else ["-m", "airside"]
    return [sys.executable, *program, *arguments]
