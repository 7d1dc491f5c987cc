"""Transactions on the control plane's database.

One writer at a time, decided by the database itself (`BEGIN IMMEDIATE`), so that several processes can share a file;
readers never wait for it (WAL). Not for queries: those live with their nouns.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from airside.errors import BadInput, Unavailable

BUSY_TIMEOUT_MS = 30_000
HEAD_REVISION = "0001"  # the newest file in migrations/versions


class Watch:
    """Tells whether the database has changed since it was last asked."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self._seen: int | None = None

    async def has_changed(self) -> bool:
        """True if anybody has committed since the last call; true at the first call."""
        # The number moves only for other connections' commits, and never within a transaction: this one has neither.
        async with self._connection.execute("PRAGMA data_version") as rows:
            row = await rows.fetchone()
        current = row[0] if row else None
        changed, self._seen = current != self._seen, current
        return changed


class Database:
    """The open database of one process.

    `write` transactions of one process queue behind each other before they reach the file, so that a busy process does
    not starve in SQLite's own polling.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readers = _engine(path, begin="BEGIN")
        self._writer = _engine(path, begin="BEGIN IMMEDIATE")
        self._turn_to_write = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A consistent view for the length of the block."""
        try:
            async with self._readers.connect() as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            raise _explained(error, self._path) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back if it raises."""
        try:
            async with self._turn_to_write, self._writer.connect() as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            raise _explained(error, self._path) from error

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Watch]:
        """A way to see, without reading any table, that something was committed; by whichever process."""
        async with aiosqlite.connect(self._path, isolation_level=None) as connection:
            yield Watch(connection)

    async def close(self) -> None:
        await self._readers.dispose()
        await self._writer.dispose()


def prepare_database(path: Path) -> None:
    """Bring the database file to this program's schema; makes it if it is missing.

    Raises `BadInput`, with nothing changed, if the file is no database, is damaged, or was written by a newer program.
    """
    if revision_of(path) != HEAD_REVISION:
        # Imported here: a second of every start, for something that happens once a release.
        from airside.storage.migrating import migrate

        try:
            migrate(path)
        except DatabaseError as error:
            raise _explained(error, path) from error


def revision_of(path: Path) -> str | None:
    """The schema that the file holds; None for a file that is not there or holds none yet.

    Raises `BadInput` if it is no database, or a damaged one.
    """
    if not path.exists():
        return None
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            table = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
        except sqlite3.DatabaseError as error:
            raise _damaged(path, str(error)) from error
    if verdict != "ok":
        raise _damaged(path, str(verdict))
    return str(row[0]) if row else None


def _damaged(path: Path, detail: str) -> BadInput:
    return BadInput(
        f"the database {path} is damaged: {detail}",
        code="database_damaged",
        hint="Nothing was changed. Restore the data directory from a backup, or move it aside and start afresh.",
    )


def _explained(error: DatabaseError, path: Path) -> BadInput | Unavailable:
    """SQLite's own words with our code and a next step."""
    cause = error.orig
    detail = str(cause)
    damaged = isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
    if damaged:
        return _damaged(path, detail)
    full = isinstance(cause, sqlite3.DatabaseError) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL
    if full:
        return Unavailable(
            f"the disk that holds {path} is full", code="disk_full", hint="Free some space; no restart is needed."
        )
    return Unavailable(f"the database {path} did not take this: {detail}", code="database_unavailable")


def _engine(path: Path, *, begin: str) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=8, max_overflow=8)
    event.listen(engine.sync_engine, "connect", configure_connection)

    def emit_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "begin", emit_begin)
    return engine


def configure_connection(connection: Any, _record: object) -> None:
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
