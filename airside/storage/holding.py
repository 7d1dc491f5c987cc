"""Holding a file, so that of the processes that must not run twice on one data directory the second is told so.

Not for work that takes turns: whoever is second is refused. The kernel lets go when the holder ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airside.errors import Conflict


class AlreadyUp(Conflict):
    """Another process does on this data directory what only one can do."""

    code = "already_up"


@contextmanager
def hold(file: Path, *, what: str) -> Iterator[None]:
    """Hold a file of the data directory, made if need be, for the block.

    Raises `AlreadyUp` at once if it is held, by another of `what` this process is.
    """
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyUp(
                f"another {what}{_process_written_in(file)} runs on {file.parent}",
                hint="Use it, end it, or give another directory with --data.",
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _process_written_in(file: Path) -> str:
    text = file.read_text().strip()
    return f" (process {text})" if text.isdigit() else ""
