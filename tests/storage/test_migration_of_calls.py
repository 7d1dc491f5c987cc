"""Records of calls that an older version stored keep their order and load."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, event

from airside.sessions.model_calls import CallFilter, list_calls
from airside.storage.database import Database, prepare_database
from airside.storage.migrating import MIGRATIONS
from airside.storage.sqlite import configure_connection

OLD = json.loads((Path(__file__).parents[1] / "dataplanes/old_records.json").read_text())[0]["record"]
COLUMNS = (
    "gateway_id, sequence, call_id, at, project, front_door, outcome, input_uncached, cache_read, cache_write_5m, "
    "cache_write_1h, output, cost_nanousd, fell_back, record"
)


def first_schema(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    event.listen(engine, "connect", configure_connection)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()


async def test_old_records_are_numbered_by_age(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    first_schema(file)
    with sqlite3.connect(file) as connection:
        connection.execute("INSERT INTO gateways VALUES ('g', '2026-11-23', '2026-11-23', 3, 1)")
        for sequence, minute in [(1, 30), (2, 10), (3, 20)]:
            row = ("g", sequence, f"call_{sequence}", f"2026-11-23 17:{minute}:00", "proj_1", "anthropic-messages")
            values = (*row, "completed", 0, 0, 0, 0, 0, 0, 0, json.dumps({**OLD, "sequence": sequence}))
            connection.execute(f"INSERT INTO model_calls ({COLUMNS}) VALUES ({','.join('?' * 15)})", values)
    prepare_database(file)
    database = Database(file)
    async with database.read() as connection:
        found = await list_calls(connection, "proj_1", CallFilter(), before=None, limit=10)
    await database.close()
    assert [(call.position, call.record.sequence) for call in found] == [(3, 1), (2, 3), (1, 2)]
