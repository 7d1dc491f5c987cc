"""What an older version stored is there after the schema has changed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from airside.clock import SystemClock
from airside.ids import Ids, ProjectId, SessionId
from airside.sessions.model_calls import CallFilter, list_calls
from airside.sessions.sessions import Sessions
from airside.spending.budgets import Budgets
from airside.storage.database import Database, prepare_database
from airside.storage.migrating import migrate

OLD = json.loads((Path(__file__).parents[1] / "dataplanes/old_records.json").read_text())[0]["record"]
COLUMNS = (
    "gateway_id, sequence, call_id, at, project, front_door, outcome, input_uncached, cache_read, cache_write_5m, "
    "cache_write_1h, output, cost_nanousd, fell_back, record"
)


async def test_old_records_are_numbered_by_age(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    migrate(file, "0001")
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


async def test_a_budget_of_before_keeps_its_window_and_what_was_spent(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    migrate(file, "0002")
    moment = "2026-11-23 17:00:00"
    with sqlite3.connect(file) as connection:
        connection.execute(f"INSERT INTO gateways VALUES ('g', '{moment}', '{moment}', 3, 1)")
        agent = ("agent_1", "proj_1", "fixer", 1, None, "api", moment, moment)
        connection.execute(f"INSERT INTO agents VALUES ({','.join('?' * 8)})", agent)
        for number, (scope, window) in enumerate([("agent:fixer", "day"), ("project", "total")]):
            definition = json.dumps({"scope": scope, "limit_usd": "5", "window": window})
            budget = (f"bdgt_{number}", "proj_1", scope, definition, "file", moment, moment)
            connection.execute(f"INSERT INTO budgets VALUES ({','.join('?' * 7)})", budget)
        for scope in ("agent:agent_1", "project:proj_1"):
            connection.execute("INSERT INTO budget_ledger VALUES (?, 1700000000, 'g', 2000, 1000)", (scope,))
    prepare_database(file)
    database = Database(file)
    async with database.read() as connection:
        found = await Budgets(SystemClock(), Ids(SystemClock())).list(connection, ProjectId("proj_1"))
    await database.close()
    assert {key: budget.budget_id for key, budget in found.items()} == {
        "agent:fixer/day": "bdgt_0",
        "project": "bdgt_1",
    }
    with sqlite3.connect(file) as connection:
        ledger = connection.execute("SELECT scope, settled_nanousd FROM budget_ledger ORDER BY scope").fetchall()
        names = connection.execute("SELECT scope FROM budgets ORDER BY id").fetchall()
    assert ledger == [("agent:agent_1/day", 1000), ("project:proj_1", 1000)]
    assert names == [("agent:fixer/day",), ("project",)]


async def test_a_session_of_before_works_for_nobody_in_particular(tmp_path: Path) -> None:
    file = tmp_path / "control.db"
    migrate(file, "0003")
    moment = "2026-11-23 17:00:00"
    session = {
        "id": "sesn_1",
        "project_id": "proj_1",
        "agent_id": "agent_1",
        "agent_version": 1,
        "environment_id": "env_1",
        "metadata": "{}",
        "resources": "[]",
        "state": "idle",
        "event_count": 0,
        "head_sha256": "0" * 64,
        "fencing_token": 0,
        "active_seconds": 0.0,
        "created_at": moment,
        "updated_at": moment,
    }
    with sqlite3.connect(file) as connection:
        names, values = ",".join(session), ",".join("?" * len(session))
        connection.execute(f"INSERT INTO sessions ({names}) VALUES ({values})", tuple(session.values()))
    prepare_database(file)
    database = Database(file)
    async with database.read() as connection:
        found = await Sessions(SystemClock(), Ids(SystemClock())).get(connection, SessionId("sesn_1"))
    await database.close()
    assert (found.user, found.team) == (None, None)
