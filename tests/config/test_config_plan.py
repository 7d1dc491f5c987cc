"""What a plan shows is what an apply does, and doing it twice changes nothing."""

from __future__ import annotations

from airside.config.export import export_file
from airside.config.file import parse_file
from airside.config.plan import Action, Change, Kind, apply, desired_state, plan, read_current
from airside.config.stores import Stores
from airside.environments.environments import EnvironmentDefinition
from airside.storage.database import Database

FILE = """\
providers:
  anthropic: {protocol: anthropic, credential: env:ANTHROPIC_API_KEY}
models:
  coder: anthropic/claude-opus-5-5
unknown_price: {policy: ceiling, ceiling: {input: 10, output: 50}}
environments:
  sandboxed: {}
agents:
  fixer: {harness: claude-code, model: coder, environment: sandboxed}
budgets:
  - {scope: "agent:fixer", limit_usd: 5}
rate_limits:
  - {scope: "agent:fixer", requests: 60}
"""


async def applied(database: Database, stores: Stores, text: str) -> list[Change]:
    content = parse_file(text, "airside.yaml").content
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        current = await read_current(connection, stores, project)
        changes = plan(current.state, desired_state(content))
        await apply(connection, stores, current, content, changes)
    return changes


async def exported(database: Database, stores: Stores) -> str:
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        return export_file(await read_current(connection, stores, project))


async def test_a_new_file_makes_everything_and_a_second_time_nothing(database: Database, stores: Stores) -> None:
    first = await applied(database, stores, FILE)
    assert {(change.kind, change.action) for change in first} == {(kind, Action.CREATE) for kind in Kind}
    assert await applied(database, stores, FILE) == []


async def test_a_change_shows_what_was_and_what_will_be(database: Database, stores: Stores) -> None:
    await applied(database, stores, FILE)
    (change,) = await applied(database, stores, FILE.replace("harness: claude-code", "harness: opencode"))
    assert (change.kind, change.name, change.action) == (Kind.AGENT, "fixer", Action.UPDATE)
    assert [(one.path, one.before, one.after) for one in change.differences] == [("harness", "claude-code", "opencode")]
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        agent = await stores.agents.named(connection, project.project_id, "fixer")
    assert agent is not None
    assert agent.version == 2


async def test_what_leaves_the_file_goes_and_what_others_made_stays(database: Database, stores: Stores) -> None:
    await applied(database, stores, FILE)
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        await stores.environments.create(connection, project.project_id, "by-hand", EnvironmentDefinition(), "api")
    removed = await applied(database, stores, "")
    assert {change.action for change in removed} == {Action.REMOVE}
    assert "by-hand" in await exported(database, stores)
    assert "fixer" not in await exported(database, stores)


async def test_a_file_takes_over_what_was_made_by_hand(database: Database, stores: Stores) -> None:
    async with database.write() as connection:
        project = await stores.projects.only(connection)
        await stores.environments.create(connection, project.project_id, "sandboxed", EnvironmentDefinition(), "api")
    changes = await applied(database, stores, "environments: {sandboxed: {}}")
    assert [(change.name, change.action) for change in changes] == [("sandboxed", Action.UPDATE)]
    assert [(change.action) for change in await applied(database, stores, "")] == [Action.REMOVE]


async def test_an_export_is_what_apply_leaves_unchanged(database: Database, stores: Stores) -> None:
    await applied(database, stores, FILE)
    text = await exported(database, stores)
    assert await applied(database, stores, text) == []
    assert "env:ANTHROPIC_API_KEY" in text
