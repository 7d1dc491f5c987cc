"""OpenCode's own record of its sessions: one SQLite file, with a log of changes that are not in it yet.

The file may be anything: whoever runs inside the sandbox can write it. It is copied, never opened in place, and read
with everything off that a database can bring along.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from airside.harnesses.home_files import read_file

_DATABASE = ".local/share/opencode/opencode.db"
# A process that was killed leaves what it wrote last in the log. The third file, `-shm`, is made anew from it.
SESSION_FILES = (_DATABASE, f"{_DATABASE}-wal")


def _rows(home: Path, query: str, session_id: str) -> Iterator[tuple[object, ...]]:
    main = read_file(home, _DATABASE)
    if main is None:
        return
    with tempfile.TemporaryDirectory(prefix="airside-") as folder:
        copy = Path(folder) / "copy.db"
        copy.write_bytes(main)
        (Path(folder) / "copy.db-wal").write_bytes(read_file(home, SESSION_FILES[1]) or b"")
        try:
            with closing(sqlite3.connect(copy)) as database:
                database.execute("PRAGMA trusted_schema = OFF")
                yield from database.execute(query, (session_id,)).fetchall()
        except sqlite3.Error:
            return


def holds_session(home: Path, session_id: str) -> bool:
    """True if the session is in the database."""
    return any(True for _ in _rows(home, "SELECT 1 FROM session WHERE id = ?", session_id))


def holds_input(home: Path, session_id: str, given: str) -> bool:
    """True if a user message with this text is in the session."""
    query = """
        SELECT message.data, part.data FROM part JOIN message ON message.id = part.message_id
        WHERE part.session_id = ?
    """
    return any(
        _value(message).get("role") == "user" and _value(piece).get("text") == given
        for message, piece in _rows(home, query, session_id)
    )


def _value(column: object) -> dict[str, object]:
    try:
        value = json.loads(column) if isinstance(column, str | bytes) else None
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}
