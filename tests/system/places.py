"""Folders where a harness can live."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BESIDE_THE_PROGRAM = Path(__file__).parents[2] / ".cache" / "tests"
_TEMPORARY = Path("/tmp")


@contextmanager
def place_outside_tmp() -> Iterator[Path]:
    """A folder for the block, wherever this checkout is: Codex refuses a home under /tmp when it has no sandbox."""
    is_under_it = _BESIDE_THE_PROGRAM.resolve().is_relative_to(_TEMPORARY)
    root = Path("/var/tmp") if is_under_it else _BESIDE_THE_PROGRAM
    root.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="airside-", dir=root))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
