"""Export: a project as a file that `apply` would leave unchanged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import yaml
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.config.file import AirsideFile
from airside.config.plan import Current
from airside.config.stores import RECORDING_SETTING, UNKNOWN_PRICE_SETTING, Stores
from airside.ids import ProjectId
from airside.recording.definitions import RecordingDefinition
from airside.routing.definitions import ModelDefinition, ProviderDefinition, UnknownPriceDefinition
from airside.spending.rate_limits import RateLimitDefinition


def export_file(current: Current) -> str:
    """YAML of everything the project holds. Credentials are references, as they were given."""
    unknown_price = current.settings.get(UNKNOWN_PRICE_SETTING)
    recording = current.settings.get(RECORDING_SETTING)
    content = AirsideFile(
        project=current.project.name,
        providers={
            name: ProviderDefinition.model_validate(kept.definition) for name, kept in current.providers.items()
        },
        models={name: ModelDefinition.model_validate(kept.definition) for name, kept in current.models.items()},
        unknown_price=UnknownPriceDefinition.model_validate(unknown_price.definition)
        if unknown_price
        else UnknownPriceDefinition(),
        recording=RecordingDefinition.model_validate(recording.definition) if recording else RecordingDefinition(),
        environments={name: kept.definition for name, kept in sorted(current.environments.items())},
        agents={name: kept.definition for name, kept in sorted(current.agents.items())},
        budgets=[kept.definition for kept in current.budgets.values()],
        rate_limits=[RateLimitDefinition.model_validate(kept.definition) for kept in current.rate_limits.values()],
    )
    plain = content.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump({"project": content.project, **plain}, sort_keys=False, allow_unicode=True, width=120)


async def left_out(connection: AsyncConnection, stores: Stores, project_id: ProjectId) -> Sequence[str]:
    """What a file cannot hold of a project, a sentence each: the older ones of a name, which only the API can make."""
    agents = [(a.name, a.agent_id) for a in await stores.agents.list(connection, project_id)]
    environments = [(e.name, e.environment_id) for e in await stores.environments.list(connection, project_id)]
    return [*_hidden("agent", agents), *_hidden("environment", environments)]


def _hidden(kind: str, newest_first: Sequence[tuple[str, str]]) -> Iterator[str]:
    newest: dict[str, str] = {}
    for name, one in newest_first:
        if newest.setdefault(name, one) != one:
            yield f"{kind} {one} is left out: {newest[name]}, which is newer, has the name {name!r} too"
