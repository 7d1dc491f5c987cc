"""Routes as people write them, and as the gateway gets them."""

from __future__ import annotations

from datetime import UTC, datetime

import airside_gateway
import pytest

from airside.config.file import parse_file
from airside.dataplanes.compiler import Sources, compile_snapshot
from airside.dataplanes.snapshot import Snapshot, Step, Strategy
from airside.errors import BadConfig

PROVIDERS = """\
providers:
  anthropic:
    protocol: anthropic
    models: {claude-haiku-4-5: {context_window: 1000, capabilities: {images: false}}}
  openai: {protocol: openai-responses}
"""


def compiled(models: str) -> Snapshot:
    content = parse_file(PROVIDERS + models, "airside.yaml").content
    sources = Sources(
        providers=content.providers,
        models=content.models,
        token_key_id="k",
        token_public_key=bytes(32),
    )
    return compile_snapshot(sources, 1, datetime(2026, 1, 1, tzinfo=UTC), {})


def steps(route: str) -> list[Step]:
    snapshot = compiled(f"models:\n  coder:\n    route:\n{route}")
    airside_gateway.validate_snapshot(snapshot.model_dump_json())
    return snapshot.models[0].route


def problem(route: str) -> str:
    with pytest.raises(BadConfig) as raised:
        steps(route)
    return raised.value.message


def test_a_route_of_several_steps_reaches_the_gateway_as_it_was_written() -> None:
    first, second = steps(
        """\
      - when: request.task == "background"
        to: [{target: openai/gpt-5.2, weight: 3}, anthropic/claude-haiku-4-5]
        strategy: weighted
        split: {target: anthropic/claude-sonnet-4-5, percent: 2.5%}
        shadow: anthropic/claude-sonnet-4-5
      - to: anthropic/claude-haiku-4-5
"""
    )
    assert first.when == 'request.task == "background"'
    assert [(target.model, target.weight) for target in first.to] == [("gpt-5.2", 3), ("claude-haiku-4-5", 1)]
    assert first.strategy is Strategy.WEIGHTED
    assert first.split is not None
    assert (first.split.target.model, first.split.basis_points) == ("claude-sonnet-4-5", 250)
    assert first.shadow is not None
    assert first.shadow.basis_points == 10_000
    assert second.when is None
    assert (second.to[0].capabilities.images, second.to[0].capabilities.tools) == (False, None)
    assert second.to[0].max_input_tokens == 1000


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("request.inputtokens > 3", "there is no 'request.inputtokens'; known are request.task, request.input_tokens"),
        ("request.input_tokens >", "cannot be read"),
        ("request.input_tokens", "must be true or false"),
        ("request.task == 'fast'", "there is no task 'fast'; known are main, subagent"),
        ("request.model.matches('a')", "there is no function 'matches'"),
    ],
)
def test_a_condition_that_cannot_work_is_refused_with_its_line(condition: str, said: str) -> None:
    found = problem(f'      - when: "{condition}"\n        to: openai/gpt-5.2\n      - to: openai/gpt-5.2\n')
    assert found.startswith("airside.yaml:9: models.coder.route.0.when: ")
    assert said in found
    assert f"(given: {condition!r})" in found


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (
            "      - to: openai/a\n      - to: openai/b\n",
            "step 1 has no `when`, so the steps after it are never reached",
        ),
        ("      - to: [{target: openai/a, weight: 2}]\n", "weights count in a step with `strategy: weighted` only"),
        ("      - {to: openai/a, split: {target: openai/b, percent: 200}}\n", "percent"),
        ("      - {to: openai/a, shadow: nowhere}\n", "'nowhere' is no target"),
        ("      - {to: openai/a, strategy: best}\n", "'ordered', 'weighted', 'cheapest' or 'fastest'"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused(route: str, said: str) -> None:
    assert said in problem(route)


def test_a_model_may_say_that_it_is_not_for_every_call() -> None:
    models = "models:\n  a: openai/x\n  b: {route: [{when: request.stream, to: openai/x}]}\n"
    content = parse_file(PROVIDERS + models, "airside.yaml").content
    assert [model.is_for_every_call for model in content.models.values()] == [True, False]
