"""The vendors' own SDKs through the gateway to the simulated providers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import anthropic
import openai
import pytest
from gateway_control_plane import price
from gateway_processes import GatewayProcess

from airside.testing.simulated import SimulatedModels

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]
QUESTION = "Say something.\n```script\n- say: {words}\n```\n"


def target(provider: str) -> dict[str, object]:
    return {"provider": provider, "model": "sim", "price": price()}


@dataclass(frozen=True)
class Stack:
    gateway: GatewayProcess
    models: SimulatedModels


@pytest.fixture
async def stack(start: Callable[..., GatewayProcess], tmp_path: Path) -> AsyncIterator[Stack]:
    async with SimulatedModels() as models:
        protocols = {
            "anthropic": models.anthropic_url("a"),
            "openai-responses": models.openai_url("r"),
            "openai-chat": models.openai_url("c"),
        }
        snapshot = {
            "format": 1,
            "version": 1,
            "compiled_at": "2026-11-23T17:52:28Z",
            "keys": [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}],
            "providers": [
                {"name": name, "protocol": name, "base_url": url, "credential": {"kind": "bearer", "secret": "sk-sim"}}
                for name, url in protocols.items()
            ],
            "models": [
                {
                    "name": "coder",
                    # Each door at its own provider; what is between them is the conformance matrix's business.
                    "route": [
                        {"when": f'request.door.startsWith("{name}")', "to": [target(name)]} for name in protocols
                    ],
                }
            ],
        }
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(snapshot))
        yield Stack(start("--snapshot", str(path)), models)


async def test_anthropics_sdk_calls_streams_counts_and_lists(stack: Stack) -> None:
    async with anthropic.AsyncAnthropic(base_url=stack.gateway.url, api_key=KEY["key"], max_retries=0) as client:
        ask = {
            "model": "coder",
            "max_tokens": 200,
            "messages": [{"role": "user", "content": QUESTION.format(words="hello")}],
        }
        whole = await client.messages.create(**ask)
        assert whole.content[0].text == "hello"
        async with client.messages.stream(**ask) as stream:
            streamed = await stream.get_final_message()
        assert streamed.content[0].text == "hello"
        counted = await client.messages.count_tokens(model="coder", messages=ask["messages"])
        assert counted.input_tokens > 0
        assert [model.id async for model in client.models.list()] == ["coder"]
        with pytest.raises(anthropic.NotFoundError, match="no model 'nope'"):
            await client.messages.create(**{**ask, "model": "nope"})
    first, second, *_ = stack.gateway.records(4)
    for record, message in ((first, whole), (second, streamed)):
        usage = record["usage"]
        assert usage["output"] == message.usage.output_tokens
        assert usage["input_uncached"] == message.usage.input_tokens
        assert record["usage_source"] == "provider"


async def test_openais_sdk_speaks_responses(stack: Stack) -> None:
    async with openai.AsyncOpenAI(base_url=f"{stack.gateway.url}/v1", api_key=KEY["key"], max_retries=0) as client:
        whole = await client.responses.create(model="coder", input=QUESTION.format(words="hello"))
        assert whole.output_text == "hello"
        events = [event.type async for event in await client.responses.create(model="coder", input="hi", stream=True)]
        assert events[0] == "response.created"
        assert events[-1] == "response.completed"
        assert [model.id async for model in client.models.list()] == ["coder"]
        with pytest.raises(openai.AuthenticationError):
            await client.with_options(api_key="sk-wrong").responses.create(model="coder", input="hi")
    record = stack.gateway.records(2)[0]
    assert record["usage"]["output"] == whole.usage.output_tokens
    cached = whole.usage.input_tokens_details.cached_tokens
    assert record["usage"]["input_uncached"] + cached == whole.usage.input_tokens


async def test_openais_sdk_speaks_chat(stack: Stack) -> None:
    messages = [{"role": "user", "content": QUESTION.format(words="hello")}]
    async with openai.AsyncOpenAI(base_url=f"{stack.gateway.url}/v1", api_key=KEY["key"], max_retries=0) as client:
        whole = await client.chat.completions.create(model="coder", messages=messages)
        assert whole.choices[0].message.content == "hello"
        for include_usage in (True, False):
            options = {"stream_options": {"include_usage": True}} if include_usage else {}
            stream = await client.chat.completions.create(model="coder", messages=messages, stream=True, **options)
            text = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
            assert "".join(text) == "hello"
    records = stack.gateway.records(3)
    assert [record["usage_source"] for record in records] == ["provider", "provider", "estimated"]
    assert records[0]["usage"]["output"] == whole.usage.completion_tokens
    assert all(record["cost_nanousd"] > 0 for record in records)


async def test_an_injected_failure_of_the_provider_reaches_the_sdk_as_its_own(stack: Stack) -> None:
    stack.models.fault("a", status=429, headers={"retry-after": "77"}, times=1)
    async with anthropic.AsyncAnthropic(base_url=stack.gateway.url, api_key=KEY["key"], max_retries=0) as client:
        ask = {"model": "coder", "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
        with pytest.raises(anthropic.RateLimitError) as refused:
            await client.messages.create(**ask)
        assert refused.value.response.headers["retry-after"] == "77"
        assert (await client.messages.create(**ask)).content
