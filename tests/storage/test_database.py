"""The database serves several processes, tells when it changed, and refuses files it cannot be sure of."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, func, insert, select

from airside.errors import BadInput
from airside.ids import ProjectId
from airside.storage.database import HEAD_REVISION, Database, prepare_database
from airside.storage.migrating import MIGRATIONS
from airside.storage.sqlite import revision_of
from airside.storage.tables import metadata, projects
from airside.testing.clock import START


async def add_project(database: Database, name: str) -> None:
    async with database.write() as connection:
        await connection.execute(
            insert(projects).values(
                id=ProjectId(name), name=name, stage="experiment", created_at=START, updated_at=START
            )
        )


async def count(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(projects))).scalar_one())


def test_the_migrations_make_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    prepare_database(tmp_path / "control.db")
    with create_engine(f"sqlite:///{tmp_path / 'control.db'}").connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_the_newest_migration_is_the_one_the_code_expects(tmp_path: Path) -> None:
    prepare_database(tmp_path / "control.db")
    assert revision_of(tmp_path / "control.db") == ScriptDirectory(str(MIGRATIONS)).get_current_head() == HEAD_REVISION


def test_preparing_twice_changes_nothing(tmp_path: Path) -> None:
    prepare_database(tmp_path / "control.db")
    prepare_database(tmp_path / "control.db")


async def test_two_processes_write_without_losing_anything(tmp_path: Path) -> None:
    prepare_database(tmp_path / "control.db")
    one, two = Database(tmp_path / "control.db"), Database(tmp_path / "control.db")
    names = [f"p{number}" for number in range(60)]
    await asyncio.gather(*(add_project(one if n % 2 else two, name) for n, name in enumerate(names)))
    assert await count(one) == await count(two) == 60
    await one.close()
    await two.close()


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with database.write() as connection:
            await connection.execute(
                insert(projects).values(id="p", name="p", stage="experiment", created_at=START, updated_at=START)
            )
            _ = 1 / 0
    assert await count(database) == 0


async def test_a_commit_is_seen_by_whoever_watches_and_nothing_else_is(tmp_path: Path) -> None:
    prepare_database(tmp_path / "control.db")
    here, elsewhere = Database(tmp_path / "control.db"), Database(tmp_path / "control.db")
    async with here.watch() as watch:
        assert await watch.has_changed()
        assert not await watch.has_changed()
        await count(here)
        assert not await watch.has_changed()
        await add_project(here, "one")
        assert await watch.has_changed()
        await add_project(elsewhere, "two")
        assert await watch.has_changed()
        assert not await watch.has_changed()
    await here.close()
    await elsewhere.close()


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    file.write_bytes(b"this is not a database, whatever its name says" * 100)
    before = file.read_bytes()
    with pytest.raises(BadInput, match="is damaged") as raised:
        prepare_database(file)
    assert raised.value.code == "database_damaged"
    assert file.read_bytes() == before


async def test_a_database_with_a_damaged_page_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    prepare_database(file)
    database = Database(file)
    for number in range(200):
        await add_project(database, f"project-{number}")
    await database.close()
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'projects'").fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    content = bytearray(file.read_bytes())
    content[(root - 1) * size : (root - 1) * size + 200] = b"\xff" * 200
    file.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        prepare_database(file)
    assert raised.value.code == "database_damaged"


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    prepare_database(file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(BadInput, match="9999") as raised:
        prepare_database(file)
    assert raised.value.code == "data_directory_newer"
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("9999",)
