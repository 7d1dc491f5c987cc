"""Keys can be told apart from garbage by looking, and only their hash is kept."""

from __future__ import annotations

from sqlalchemy import text

from airside.access.keys import is_well_formed, new_key, sha256_of
from airside.agents.definition import AgentDefinition
from airside.agents.harness_name import HarnessName
from airside.config.stores import Stores
from airside.storage.database import Database


def test_a_new_key_has_the_documented_shape() -> None:
    key = new_key("live")
    assert key.startswith("air_live_")
    assert len(key) == len("air_live_") + 43 + 6
    assert is_well_formed(key)


def test_a_mistyped_key_is_told_from_a_whole_one() -> None:
    key = new_key()
    for position in (9, 20, len(key) - 1):
        wrong = "A" if key[position] != "A" else "B"
        assert not is_well_formed(key[:position] + wrong + key[position + 1 :])
    assert not is_well_formed(key[:-1])
    assert not is_well_formed("' OR '1'='1")


def test_two_keys_differ() -> None:
    assert new_key() != new_key()


async def test_the_database_holds_no_usable_key(database: Database, stores: Stores) -> None:
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        agent = await stores.agents.create(
            connection, project.project_id, "fixer", AgentDefinition(harness=HarnessName.CODEX, model="coder"), "api"
        )
        stored, secret = await stores.keys.create(
            connection, project.project_id, agent.agent_id, name="laptop", expires_at=None
        )
    assert stored.sha256 == sha256_of(secret)
    async with database.read() as connection:
        rows = (await connection.execute(text("SELECT * FROM keys"))).all()
    assert secret not in str(rows)
    assert secret[13:-4] not in str(rows)


async def test_revoking_twice_keeps_the_first_time(database: Database, stores: Stores, clock) -> None:
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        agent = await stores.agents.create(
            connection, project.project_id, "fixer", AgentDefinition(harness=HarnessName.CODEX, model="coder"), "api"
        )
        stored, _ = await stores.keys.create(connection, project.project_id, agent.agent_id, name=None, expires_at=None)
        first = await stores.keys.revoke(connection, stored.key_id)
        clock.advance(60)
        second = await stores.keys.revoke(connection, stored.key_id)
    assert first.revoked_at == second.revoked_at
