"""One SQLite file: how a connection to it is set up, which schema it holds, what its errors mean.

Not for transactions: those are `storage.database`'s.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DatabaseError

from airside.errors import BadInput, Unavailable

BUSY_TIMEOUT_MS = 30_000
_RESTORE = "Nothing was changed. Restore the data directory from a backup, or move it aside and start afresh."


def configure_connection(connection: Any, _record: object) -> None:
    """Give a new connection its pragmas; a listener of SQLAlchemy's `connect`."""
    # The driver's own transaction control is switched off: it would begin late, and a late writer can deadlock.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def revision_of(path: Path) -> str | None:
    """The schema that the file holds; None for a file that is not there or holds none yet.

    Raises `BadInput` if it is no database, or a damaged one.
    """
    if not path.exists():
        return None
    refuse_damaged(path)
    with closing(_reader(path)) as connection:
        table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
    return str(row[0]) if row else None


def refuse_damaged(path: Path, hint: str = _RESTORE) -> None:
    """Raise `BadInput` with this hint if there is a file and it is no database, or a damaged one. Changes nothing."""
    if not path.exists():
        return
    with closing(_reader(path)) as connection:
        try:
            verdict = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            raise _damaged(path, str(error), hint) from error
    if verdict != "ok":
        raise _damaged(path, verdict, hint)


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def explained(error: DatabaseError, path: Path) -> BadInput | Unavailable:
    """SQLite's own words with our code and a next step; for the caller to raise."""
    cause = error.orig
    detail = str(cause)
    damaged = isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
    if damaged:
        return _damaged(path, detail, _RESTORE)
    full = isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL
    if full:
        return Unavailable(
            f"the disk that holds {path} is full", code="disk_full", hint="Free some space; no restart is needed."
        )
    return Unavailable(f"the database {path} did not take this: {detail}", code="database_unavailable")


def _damaged(path: Path, detail: str, hint: str) -> BadInput:
    return BadInput(f"the database {path} is damaged: {detail}", code="database_damaged", hint=hint)
