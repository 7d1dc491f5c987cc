"""Plan and apply: what a file would change in a project, and changing it.

A plan is made and carried out in one transaction, so what was shown is what is done. Only what an earlier `apply` made
is taken away when it leaves the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.projects import Project
from airside.agents.agents import Agent
from airside.agents.definition import AgentDefinition
from airside.config.file import AirsideFile, Known
from airside.config.stores import RECORDING_SETTING, UNKNOWN_PRICE_SETTING, Stores
from airside.environments.environments import Environment, EnvironmentDefinition
from airside.events import JsonObject, JsonValue
from airside.recording.definitions import RecordingDefinition
from airside.routing.definitions import ModelDefinition, ProviderDefinition, UnknownPriceDefinition
from airside.spending.budgets import BudgetDefinition, StoredBudget
from airside.storage.definitions import Origin, StoredDefinition


class Kind(StrEnum):
    """What can be planned; the order is that of applying."""

    PROVIDER = "provider"
    MODEL = "model"
    SETTING = "setting"
    ENVIRONMENT = "environment"
    AGENT = "agent"
    BUDGET = "budget"
    RATE_LIMIT = "rate_limit"


class Action(StrEnum):
    """What happens to one thing."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that changes; None stands for absent."""

    path: str
    before: JsonValue
    after: JsonValue


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes."""

    kind: Kind
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A thing as it stands: its definition as JSON, and who made it."""

    definition: JsonObject
    origin: Origin


_D = TypeVar("_D", bound=BaseModel)

State = Mapping[Kind, Mapping[str, Entry]]


@dataclass(frozen=True, slots=True)
class Current:
    """A project as it stands before a plan."""

    project: Project
    providers: Mapping[str, StoredDefinition]
    models: Mapping[str, StoredDefinition]
    settings: Mapping[str, StoredDefinition]
    environments: Mapping[str, Environment]
    agents: Mapping[str, Agent]
    budgets: Mapping[str, StoredBudget]
    rate_limits: Mapping[str, StoredDefinition]

    @property
    def state(self) -> State:
        """The same as plain definitions."""
        return {
            Kind.PROVIDER: {name: Entry(kept.definition, kept.origin) for name, kept in self.providers.items()},
            Kind.MODEL: {name: Entry(kept.definition, kept.origin) for name, kept in self.models.items()},
            Kind.SETTING: {name: Entry(kept.definition, kept.origin) for name, kept in self.settings.items()},
            Kind.ENVIRONMENT: {
                name: Entry(as_json(kept.definition), kept.origin) for name, kept in self.environments.items()
            },
            Kind.AGENT: {name: Entry(as_json(kept.definition), kept.origin) for name, kept in self.agents.items()},
            Kind.BUDGET: {name: Entry(as_json(kept.definition), kept.origin) for name, kept in self.budgets.items()},
            Kind.RATE_LIMIT: {name: Entry(kept.definition, kept.origin) for name, kept in self.rate_limits.items()},
        }

    def known_with(self, content: AirsideFile) -> Known:
        """What there will be to refer to once the file is applied: its own, and what others made."""
        others = self._made_elsewhere(content)
        return Known(
            providers={**_parsed(ProviderDefinition, others[Kind.PROVIDER]), **content.providers},
            models={**_parsed(ModelDefinition, others[Kind.MODEL]), **content.models},
            environments={**_parsed(EnvironmentDefinition, others[Kind.ENVIRONMENT]), **content.environments},
            agents={**_parsed(AgentDefinition, others[Kind.AGENT]), **content.agents},
        )

    def _made_elsewhere(self, content: AirsideFile) -> Mapping[Kind, Mapping[str, JsonObject]]:
        desired = desired_state(content)
        return {
            kind: {
                name: entry.definition
                for name, entry in entries.items()
                if entry.origin != "file" and name not in desired[kind]
            }
            for kind, entries in self.state.items()
        }


def _parsed(kind: type[_D], kept: Mapping[str, JsonObject]) -> dict[str, _D]:
    return {name: kind.model_validate(definition) for name, definition in kept.items()}


def as_json(definition: BaseModel) -> JsonObject:
    """A definition as it is stored."""
    content: JsonObject = definition.model_dump(mode="json")
    return content


async def read_current(connection: AsyncConnection, stores: Stores, project: Project) -> Current:
    """Everything a project holds. Where names repeat, the newest counts."""
    project_id = project.project_id
    return Current(
        project=project,
        providers=await stores.providers.list(connection, project_id),
        models=await stores.models.list(connection, project_id),
        settings=await stores.settings.list(connection, project_id),
        environments={e.name: e for e in reversed(await stores.environments.list(connection, project_id))},
        agents={a.name: a for a in reversed(await stores.agents.list(connection, project_id))},
        budgets=await stores.budgets.list(connection, project_id),
        rate_limits=await stores.rate_limits.list(connection, project_id),
    )


def desired_state(content: AirsideFile) -> Mapping[Kind, Mapping[str, JsonObject]]:
    """What a file asks for, in the shape of `Current.state`."""
    return {
        Kind.PROVIDER: {name: as_json(definition) for name, definition in content.providers.items()},
        Kind.MODEL: {name: as_json(definition) for name, definition in content.models.items()},
        Kind.SETTING: _settings(content),
        Kind.ENVIRONMENT: {name: as_json(definition) for name, definition in content.environments.items()},
        Kind.AGENT: {name: as_json(definition) for name, definition in content.agents.items()},
        Kind.BUDGET: {budget.key: as_json(budget) for budget in content.budgets},
        Kind.RATE_LIMIT: {limit.key: as_json(limit) for limit in content.rate_limits},
    }


def _settings(content: AirsideFile) -> dict[str, JsonObject]:
    """The settings that are not what they are anyway."""
    given: Mapping[str, tuple[BaseModel, BaseModel]] = {
        UNKNOWN_PRICE_SETTING: (content.unknown_price, UnknownPriceDefinition()),
        RECORDING_SETTING: (content.recording, RecordingDefinition()),
    }
    return {name: as_json(wanted) for name, (wanted, usual) in given.items() if wanted != usual}


def plan(current: State, desired: Mapping[Kind, Mapping[str, JsonObject]]) -> list[Change]:
    """What must change so that `current` says what `desired` says."""
    return [change for kind in Kind for change in _changes(kind, current[kind], desired[kind])]


def _changes(kind: Kind, current: Mapping[str, Entry], desired: Mapping[str, JsonObject]) -> Iterator[Change]:
    for name, wanted in desired.items():
        entry = current.get(name)
        if entry is None:
            yield Change(kind, name, Action.CREATE)
        elif found := tuple(_differences(entry.definition, wanted, "")):
            yield Change(kind, name, Action.UPDATE, found)
        elif entry.origin != "file":
            yield Change(kind, name, Action.UPDATE, (Difference("origin", entry.origin, "file"),))
    for name, entry in current.items():
        if name not in desired and entry.origin == "file":
            yield Change(kind, name, Action.REMOVE)


def _differences(before: JsonValue, after: JsonValue, path: str) -> Iterator[Difference]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from _differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif before != after:
        yield Difference(path, before, after)


async def apply(
    connection: AsyncConnection, stores: Stores, current: Current, content: AirsideFile, changes: list[Change]
) -> None:
    """Carry out a plan made from `current` in the same transaction."""
    for change in changes:
        if change.action is Action.REMOVE:
            await _remove(connection, stores, current, change)
        else:
            await _put(connection, stores, current, content, change)


async def _put(
    connection: AsyncConnection, stores: Stores, current: Current, content: AirsideFile, change: Change
) -> None:
    project_id, name = current.project.project_id, change.name
    match change.kind:
        case Kind.PROVIDER:
            await stores.providers.put(connection, project_id, name, as_json(content.providers[name]), "file")
        case Kind.MODEL:
            await stores.models.put(connection, project_id, name, as_json(content.models[name]), "file")
        case Kind.SETTING:
            await stores.settings.put(connection, project_id, name, _settings(content)[name], "file")
        case Kind.ENVIRONMENT:
            await _put_environment(connection, stores, current, name, content.environments[name])
        case Kind.AGENT:
            await _put_agent(connection, stores, current, name, content.agents[name])
        case Kind.BUDGET:
            await stores.budgets.put(connection, project_id, _budget_of(content, name), "file")
        case Kind.RATE_LIMIT:
            limit = next(limit for limit in content.rate_limits if limit.key == name)
            await stores.rate_limits.put(connection, project_id, name, as_json(limit), "file")


def _budget_of(content: AirsideFile, key: str) -> BudgetDefinition:
    return next(budget for budget in content.budgets if budget.key == key)


async def _put_environment(
    connection: AsyncConnection, stores: Stores, current: Current, name: str, definition: EnvironmentDefinition
) -> None:
    existing = current.environments.get(name)
    if existing is None:
        await stores.environments.create(connection, current.project.project_id, name, definition, "file")
    else:
        await stores.environments.update(
            connection, existing.environment_id, name=name, definition=definition, origin="file"
        )


async def _put_agent(
    connection: AsyncConnection, stores: Stores, current: Current, name: str, definition: AgentDefinition
) -> None:
    existing = current.agents.get(name)
    if existing is None:
        await stores.agents.create(connection, current.project.project_id, name, definition, "file")
    else:
        await stores.agents.update(connection, existing.agent_id, name=name, definition=definition, origin="file")


async def _remove(connection: AsyncConnection, stores: Stores, current: Current, change: Change) -> None:
    project_id, name = current.project.project_id, change.name
    match change.kind:
        case Kind.PROVIDER:
            await stores.providers.remove(connection, project_id, name)
        case Kind.MODEL:
            await stores.models.remove(connection, project_id, name)
        case Kind.SETTING:
            await stores.settings.remove(connection, project_id, name)
        case Kind.ENVIRONMENT:
            await stores.environments.archive(connection, current.environments[name].environment_id)
        case Kind.AGENT:
            await stores.agents.archive(connection, current.agents[name].agent_id)
        case Kind.BUDGET:
            await stores.budgets.remove(connection, project_id, name)
        case Kind.RATE_LIMIT:
            await stores.rate_limits.remove(connection, project_id, name)
