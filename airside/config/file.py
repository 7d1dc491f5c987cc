"""The model of `airside.yaml`, and the checks that need more than one of its parts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field, ValidationError
from pydantic_core import ErrorDetails

from airside.agents.definition import AgentDefinition
from airside.config.source import SEE_REFERENCE, ConfigProblem, Source, read_source, refuse
from airside.environments.environments import EnvironmentDefinition
from airside.recording.definitions import RecordingDefinition
from airside.routing.definitions import (
    Definition,
    ModelDefinition,
    Name,
    ProviderDefinition,
    UnknownPriceDefinition,
)
from airside.routing.prices import is_price_list
from airside.spending.budgets import BudgetDefinition
from airside.spending.rate_limits import RateLimitDefinition
from airside.spending.scopes import ANY, ScopeKind, split_scope


class AirsideFile(Definition):
    """Everything one file can say. What a project has beyond it, made in the UI or by API, is left alone."""

    project: Name | None = Field(default=None, description="The project's name; it keeps the one it has unless given.")
    providers: dict[Name, ProviderDefinition] = Field(default_factory=dict)
    models: dict[Name, ModelDefinition] = Field(default_factory=dict)
    unknown_price: UnknownPriceDefinition = UnknownPriceDefinition()
    recording: RecordingDefinition = RecordingDefinition()
    environments: dict[Name, EnvironmentDefinition] = Field(default_factory=dict)
    agents: dict[Name, AgentDefinition] = Field(default_factory=dict)
    budgets: list[BudgetDefinition] = Field(default_factory=list)
    rate_limits: list[RateLimitDefinition] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file whose parts are each well-formed, with the places of everything in it."""

    content: AirsideFile
    source: Source


def parse_file(text: str, file: str) -> ParsedFile:
    """Read `airside.yaml`. Raises `BadConfig` that names file, line, value and next step of every problem found."""
    source = read_source(text, file)
    value = {} if source.value is None else source.value
    if not isinstance(value, dict):
        said, hint = "the file is no mapping", "Begin it with lines such as `providers:`."
        raise refuse([source.problem((), said, f"{hint} {SEE_REFERENCE}")])
    try:
        return ParsedFile(AirsideFile.model_validate(value), source)
    except ValidationError as error:
        raise refuse([_problem(source, detail) for detail in error.errors(include_url=False)]) from error


def _problem(source: Source, detail: ErrorDetails) -> ConfigProblem:
    # Pydantic puts marks such as "[key]" or a union member's name into the path; the file has none of them.
    path = tuple(part for part in detail["loc"] if part != "[key]")
    where = ".".join(str(part) for part in path) or "the file"
    if detail["type"] == "extra_forbidden":
        known = _fields_at(path[:-1])
        hint = _known_names(str(path[-1]), known, "fields") or SEE_REFERENCE
        return source.problem(path, f"{where}: there is no such field", hint)
    message = detail["msg"].removeprefix("Value error, ")
    given = detail["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) and "credential" not in path else ""
    return source.problem(path, f"{where}: {message[0].lower()}{message[1:]}{shown}", SEE_REFERENCE)


def _fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The fields that the schema knows at a path."""
    schema = AirsideFile.model_json_schema()
    node: Mapping[str, object] = schema
    for part in path:
        node = _resolved(schema, _child(node, part))
    properties = node.get("properties")
    return sorted(properties) if isinstance(properties, Mapping) else []


def _child(node: Mapping[str, object], part: str | int) -> Mapping[str, object]:
    properties = node.get("properties")
    if isinstance(properties, Mapping) and part in properties:
        found = properties[part]
    else:
        patterned = node.get("patternProperties")
        inner = next(iter(patterned.values())) if isinstance(patterned, Mapping) and patterned else None
        found = inner or node.get("additionalProperties") or node.get("items") or {}
    return found if isinstance(found, Mapping) else {}


def _resolved(schema: Mapping[str, object], node: Mapping[str, object]) -> Mapping[str, object]:
    options = node.get("anyOf")
    if isinstance(options, list):
        node = next((option for option in options if "$ref" in option), node)
    reference = node.get("$ref")
    definitions = schema.get("$defs")
    if isinstance(reference, str) and isinstance(definitions, Mapping):
        resolved = definitions[reference.rpartition("/")[2]]
        return resolved if isinstance(resolved, Mapping) else {}
    return node


def _known_names(given: str, known: Iterable[str], what: str) -> str | None:
    names = sorted(known)
    if not names:
        return None
    close = difflib.get_close_matches(given, names, n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}{what.capitalize()} known here: {', '.join(names)}."


@dataclass(frozen=True, slots=True)
class Known:
    """What a project will hold once the file is applied: the file's own, and what others made."""

    providers: Mapping[str, ProviderDefinition]
    models: Mapping[str, ModelDefinition]
    environments: Mapping[str, EnvironmentDefinition]
    agents: Mapping[str, AgentDefinition]


def check_references(parsed: ParsedFile, known: Known) -> None:
    """Check that everything named exists and fits, in the file and in what others made and the file would leave.

    Raises `BadConfig` with every problem found.
    """
    problems = [
        *_check_providers(parsed),
        *_check_models(parsed, known),
        *_check_agents(parsed, known),
        *_check_budgets(parsed, known),
        *_check_rate_limits(parsed, known),
    ]
    if problems:
        raise refuse(problems)


def _check_providers(parsed: ParsedFile) -> Iterator[ConfigProblem]:
    for name, provider in parsed.content.providers.items():
        if provider.price_list is not None and not is_price_list(provider.price_list):
            yield parsed.source.problem(
                ("providers", name, "price_list"),
                f"provider {name!r} takes its prices from {provider.price_list!r}, which the price list does not know",
                "Vendors it knows: anthropic, aws, azure, deepseek, google, groq, mistral, openai, openrouter, ...",
            )


def _problem_of(parsed: ParsedFile, path: tuple[str, str, str], what: str, hint: str) -> ConfigProblem:
    """A problem of what a path names, which stands in the file or was made by API and in no line of it."""
    section, name, _ = path
    noun = section.removesuffix("s")
    if parsed.source.has(path[:2]):
        return parsed.source.problem(path, f"{noun} {name!r} {what}", hint)
    said = f"{noun} {name!r}, which was made by API and not by this file, {what}"
    return ConfigProblem(parsed.source.file, None, said, f"{hint} Or change the {noun} by API first.")


def _check_models(parsed: ParsedFile, known: Known) -> Iterator[ConfigProblem]:
    for name, model in known.models.items():
        for provider, target in model.targets:
            if provider not in known.providers:
                yield _problem_of(
                    parsed,
                    ("models", name, "route"),
                    f"goes to {provider}/{target}, but there is no provider {provider!r}",
                    _known_names(provider, known.providers, "providers") or "Define it under `providers:`.",
                )


def _check_agents(parsed: ParsedFile, known: Known) -> Iterator[ConfigProblem]:
    for name, agent in known.agents.items():
        if agent.model not in known.models:
            yield _problem_of(
                parsed,
                ("agents", name, "model"),
                f"uses model {agent.model!r}, which is not defined",
                _known_names(agent.model, known.models, "models") or "Define it under `models:`.",
            )
        if agent.environment is not None and agent.environment not in known.environments:
            yield _problem_of(
                parsed,
                ("agents", name, "environment"),
                f"runs in environment {agent.environment!r}, which is not defined",
                _known_names(agent.environment, known.environments, "environments")
                or "Define it under `environments:`.",
            )


def _check_budgets(parsed: ParsedFile, known: Known) -> Iterator[ConfigProblem]:
    seen: set[str] = set()
    for index, budget in enumerate(parsed.content.budgets):
        path = ("budgets", index, "scope")
        if budget.key in seen:
            yield parsed.source.problem(
                path, f"{budget.scope!r} has a second budget in the same window", "Give it another `window`."
            )
        seen.add(budget.key)
        yield from _check_scope(parsed, path, budget.scope, "a budget limits", known)
        if budget.downgrade_to is not None and budget.downgrade_to not in known.models:
            yield parsed.source.problem(
                ("budgets", index, "downgrade_to"),
                f"a budget downgrades to model {budget.downgrade_to!r}, which is not defined",
                _known_names(budget.downgrade_to, known.models, "models") or "Define it under `models:`.",
            )


def _check_rate_limits(parsed: ParsedFile, known: Known) -> Iterator[ConfigProblem]:
    seen: set[str] = set()
    for index, limit in enumerate(parsed.content.rate_limits):
        path = ("rate_limits", index, "scope")
        if limit.key in seen:
            said = f"{limit.scope!r} has a second rate limit per {limit.window}"
            yield parsed.source.problem(path, said, "Give it another `window`, or keep one of them.")
        seen.add(limit.key)
        yield from _check_scope(parsed, path, limit.scope, "a rate limit is on", known)


def _check_scope(
    parsed: ParsedFile, path: tuple[str | int, ...], scope: str, what: str, known: Known
) -> Iterator[ConfigProblem]:
    """Check that what a scope names exists, where it is something that this file defines."""
    kind, name = split_scope(scope)
    defined: Mapping[ScopeKind, tuple[str, Iterable[str]]] = {
        ScopeKind.AGENT: ("agents", known.agents),
        ScopeKind.MODEL: ("models", known.models),
        ScopeKind.PROVIDER: ("providers", known.providers),
    }
    if kind not in defined or name is None or name == ANY:
        return
    nouns, names = defined[kind]
    if name not in names:
        yield parsed.source.problem(
            path,
            f"{what} {kind} {name!r}, which is not defined",
            _known_names(name, names, nouns) or f"Define it under `{nouns}:`.",
        )
