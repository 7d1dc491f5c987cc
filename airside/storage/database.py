"""Transactions on the control plane's database.

One writer at a time, decided by the database itself (`BEGIN IMMEDIATE`), so that several processes can share a file;
readers never wait for it (WAL). Not for queries: those live with their nouns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from airside.storage.sqlite import configure_connection, explained, revision_of

HEAD_REVISION = "0004"  # the newest file in migrations/versions


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
            raise explained(error, self._path) from error

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction: committed at the end of the block, rolled back if it raises."""
        try:
            async with self._turn_to_write, self._writer.connect() as connection, connection.begin():
                yield connection
        except DatabaseError as error:
            raise explained(error, self._path) from error

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
            raise explained(error, path) from error


def _engine(path: Path, *, begin: str) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=8, max_overflow=8)
    event.listen(engine.sync_engine, "connect", configure_connection)

    def emit_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "begin", emit_begin)
    return engine
