"""Every cloud through the gateway: the vendors' own SDKs in front, simulated clouds that check signatures behind."""

from __future__ import annotations

import json
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from gateway_clouds import CLAUDES, ENVIRONMENT, defined, provider, snapshot_of
from gateway_processes import GatewayProcess, until
from google import genai
from google.genai import errors as google_errors

from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.dialects.aws_signing import SECRET_ACCESS_KEY

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]
SAY = "Say something.\n```script\n- say: hello\n```\n"
CALL = "Look.\n```script\n- say: I look.\n  calls:\n    - tool: {name: look, input: {where: 'here & there'}}\n```\n"
LOOK = {"type": "object", "properties": {"where": {"type": "string"}}, "required": ["where"]}


@dataclass(frozen=True)
class Clouds:
    gateway: GatewayProcess
    models: SimulatedModels


@pytest.fixture
async def clouds(start: Callable[..., GatewayProcess], tmp_path: Path) -> AsyncIterator[Clouds]:
    async with SimulatedModels() as models:
        providers = defined(models, tmp_path)
        snapshot = snapshot_of(providers, ENVIRONMENT)
        snapshot["keys"] = [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}]
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(snapshot))
        yield Clouds(start("--snapshot", str(path)), models)


def claude(clouds: Clouds) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=clouds.gateway.url, api_key=KEY["key"], max_retries=0)


def costs(record: Mapping[str, Any]) -> int:
    """What the record's tokens cost by `PRICES`; writing to a cache costs what plain input costs."""
    usage = record["usage"]
    plain = usage["input_uncached"] + usage["cache_write_5m"] + usage["cache_write_1h"]
    return int(plain * 1000 + usage["cache_read"] * 100 + usage["output"] * 2000)


@pytest.mark.parametrize("name", CLAUDES)
async def test_anthropics_sdk_reaches_every_cloud(clouds: Clouds, name: str) -> None:
    mark = {"type": "ephemeral"} if name in {"converse", "foundry"} else {"type": "ephemeral", "scope": "global"}
    system: Any = [{"type": "text", "text": "You are brief.", "cache_control": mark}]
    tools: Any = [{"name": "look", "description": "Looks.", "input_schema": LOOK}]
    async with claude(clouds) as client:
        headers = {"anthropic-beta": "context-1m-2025-08-07,files-api-2025-04-14"}
        whole = await client.messages.create(
            model=name,
            max_tokens=200,
            system=system,
            messages=[{"role": "user", "content": SAY}],
            extra_headers=headers,
        )
        assert next(block.to_dict() for block in whole.content if block.type == "text")["text"] == "hello"
        asked: Any = {"model": name, "max_tokens": 200, "tools": tools, "system": system}
        messages: Any = [{"role": "user", "content": CALL}]
        async with client.messages.stream(messages=messages, **asked) as stream:
            called = await stream.get_final_message()
        *_, call = called.content
        assert (call.type, called.stop_reason) == ("tool_use", "tool_use")
        assert call.input == {"where": "here & there"}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": "seen"}
        messages += [
            {"role": "assistant", "content": [block.to_dict() for block in called.content]},
            {"role": "user", "content": [result]},
        ]
        assert (await client.messages.create(messages=messages, **asked)).content
    first, second, third = clouds.gateway.records(3)
    assert [record["usage_source"] for record in (first, second, third)] == ["provider"] * 3
    assert first["usage"]["output"] == whole.usage.output_tokens
    assert second["usage"]["output"] == called.usage.output_tokens
    for record in (first, second, third):
        assert (record["provider"], record["provider_model"]) == (name, CLAUDES[name])
        assert record["cost_nanousd"] == costs(record) > 0


async def test_what_converse_cannot_be_told_is_said(clouds: Clouds) -> None:
    tools: Any = [{"type": "web_search_20250305", "name": "web_search"}]
    async with claude(clouds) as client:
        answer = await client.messages.with_raw_response.create(
            model="converse",
            max_tokens=20,
            tools=tools,
            metadata={"user_id": "u"},
            messages=[{"role": "user", "content": SAY}],
            extra_headers={"anthropic-beta": "context-1m-2025-08-07"},
        )
    lost = ["anthropic_beta", "metadata", "server_tool"]
    assert answer.headers["x-airside-dropped"] == ",".join(lost)
    (record,) = clouds.gateway.records(1)
    assert [loss["field"] for loss in record["translation"]["losses"]] == lost


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        (
            "bedrock",
            (
                "anthropic_beta cache_control.scope container eager_input_streaming mcp_servers server_tool "
                "service_tier speed x-anthropic-billing-header"
            ),
        ),
        ("vertex-claude", "anthropic_beta cache_control.scope container mcp_servers output_format server_tool speed"),
    ],
)
async def test_flags_and_fields_that_a_cloud_does_not_know_go_together_and_are_said(
    clouds: Clouds, name: str, lost: str
) -> None:
    mark = {"type": "ephemeral", "scope": "global"}
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2"}
    system: Any = [billing, {"type": "text", "text": "You are brief.", "cache_control": mark}]
    fetch = {"type": "web_fetch_20250910", "name": "web_fetch"}
    tools: Any = [{"name": "look", "input_schema": LOOK, "eager_input_streaming": True}, fetch]
    fields: Any = {"speed": "fast", "mcp_servers": [], "container": "c", "service_tier": "auto"}
    if name != "bedrock":
        fields["output_format"] = {"type": "json_schema", "schema": LOOK}
    async with claude(clouds) as client:
        answer = await client.messages.with_raw_response.create(
            model=name,
            max_tokens=20,
            system=system,
            tools=tools,
            messages=[{"role": "user", "content": SAY}],
            extra_headers={
                "anthropic-beta": "fast-mode-2026-02-01,mcp-client-2025-11-20,structured-outputs-2025-11-13"
            },
            extra_body=fields,
        )
    assert answer.headers["x-airside-dropped"].split(",") == lost.split()
    (record,) = clouds.gateway.records(1)
    assert [loss["field"] for loss in record["translation"]["losses"]] == lost.split()
    assert record["cost_nanousd"] == costs(record) > 0


@pytest.mark.parametrize("name", ["bedrock", "converse"])
async def test_a_place_where_data_must_stay_is_refused_by_bedrock(clouds: Clouds, name: str) -> None:
    async with claude(clouds) as client:
        with pytest.raises(anthropic.BadRequestError, match="inference_geo"):
            await client.messages.create(
                model=name,
                max_tokens=20,
                messages=[{"role": "user", "content": SAY}],
                extra_body={"inference_geo": "eu"},
            )


@pytest.mark.parametrize(("name", "place"), [("bedrock", "aws"), ("converse", "aws"), ("vertex-claude", "google")])
async def test_a_clouds_refusal_is_said_as_claude_would(clouds: Clouds, name: str, place: str) -> None:
    ask: Any = {"model": name, "max_tokens": 20, "messages": [{"role": "user", "content": "hi"}]}
    async with claude(clouds) as client:
        clouds.models.fault(place, status=400, message="prompt is too long", times=1)
        with pytest.raises(anthropic.BadRequestError) as refused:
            await client.messages.create(**ask)
        body: Any = refused.value.body
        assert (body["type"], body["error"]["message"]) == ("error", "prompt is too long")
        clouds.models.fault(place, status=429, headers={"retry-after": "77"}, times=1)
        with pytest.raises(anthropic.RateLimitError) as limited:
            await client.messages.create(**ask)
        assert limited.value.response.headers["retry-after"] == "77"
    assert [record["cost_nanousd"] for record in clouds.gateway.records(2)] == [0, 0]


@pytest.mark.parametrize("name", ["bedrock", "converse"])
async def test_an_exception_in_the_middle_of_bedrocks_stream_reaches_the_caller(clouds: Clouds, name: str) -> None:
    broken = {"status": 429, "message": "Too many tokens", "when": "after_content"}
    clouds.models.fault("aws", in_stream_error=broken, times=1)
    ask: Any = {"model": name, "max_tokens": 200, "messages": [{"role": "user", "content": SAY}]}
    async with claude(clouds) as client:
        with pytest.raises(anthropic.APIStatusError, match="Too many tokens"):
            async with client.messages.stream(**ask) as stream:
                await stream.get_final_message()
    (record,) = clouds.gateway.records(1)
    assert record["outcome"] == "cut"
    assert record["cost_nanousd"] > 0


async def test_tokens_are_counted_by_the_cloud_that_answers(clouds: Clouds) -> None:
    messages: Any = [{"role": "user", "content": "count me"}]
    async with claude(clouds) as client:
        for name in ("bedrock", "vertex-claude"):
            counted = await client.messages.count_tokens(model=name, messages=messages)
            assert counted.input_tokens > 0, name
    assert [record["cost_nanousd"] for record in clouds.gateway.records(2)] == [0, 0]


async def test_a_wrong_signature_is_never_the_callers_fault(clouds: Clouds) -> None:
    clouds.models.demand_key("OTHER:secret", "aws")
    async with claude(clouds) as client:
        with pytest.raises(anthropic.APIStatusError, match="does not accept the gateway's credential") as refused:
            await client.messages.create(model="bedrock", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
    assert refused.value.status_code == 502
    log = clouds.gateway.log()
    assert SECRET_ACCESS_KEY not in log
    assert SECRET_ACCESS_KEY not in str(refused.value.body)


@pytest.mark.parametrize("name", ["azure", "openrouter"])
async def test_openais_sdk_speaks_chat_to_every_cloud(clouds: Clouds, name: str) -> None:
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": LOOK}}]
    async with openai.AsyncOpenAI(base_url=f"{clouds.gateway.url}/v1", api_key=KEY["key"], max_retries=0) as client:
        whole = await client.chat.completions.create(model=name, messages=[{"role": "user", "content": SAY}])
        assert whole.choices[0].message.content == "hello"
        stream = await client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": CALL}],
            tools=tools,
            stream=True,
            stream_options={"include_usage": True},
        )
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
        calls = [call for delta in deltas for call in delta.tool_calls or []]
        arguments = "".join(call.function.arguments or "" for call in calls if call.function)
        assert json.loads(arguments) == {"where": "here & there"}
        clouds.models.fault("azure" if name == "azure" else "router", status=400, message="no such thing", times=1)
        with pytest.raises(openai.BadRequestError, match="no such thing"):
            await client.chat.completions.create(model=name, messages=[{"role": "user", "content": "hi"}])
    first, second, _ = clouds.gateway.records(3)
    assert first["cost_nanousd"] == costs(first) > 0
    assert second["cost_nanousd"] == costs(second) > 0


async def test_openais_sdk_speaks_responses_to_azure(clouds: Clouds) -> None:
    async with openai.AsyncOpenAI(base_url=f"{clouds.gateway.url}/v1", api_key=KEY["key"], max_retries=0) as client:
        whole = await client.responses.create(model="azure-v1", input=SAY)
        assert whole.output_text == "hello"
    (request,) = clouds.models.requests("azure")
    assert (request.path, request.headers["api-key"]) == ("/azure/openai/v1/responses", "k")
    (record,) = clouds.gateway.records(1)
    assert record["cost_nanousd"] == costs(record) > 0


@pytest.mark.parametrize(("name", "place"), [("gemini", "gemini"), ("vertex-gemini", "google")])
async def test_googles_sdk_reaches_gemini_wherever_it_is(clouds: Clouds, name: str, place: str) -> None:
    declaration: Any = {"name": "look", "parameters_json_schema": LOOK}
    config: Any = {"tools": [{"function_declarations": [declaration]}]}
    options: Any = {"base_url": clouds.gateway.url}
    async with genai.Client(api_key=KEY["key"], http_options=options).aio as client:
        asking = client.models
        whole = await asking.generate_content(model=name, contents=SAY)
        assert whole.text == "hello"
        pieces = [
            piece async for piece in await asking.generate_content_stream(model=name, contents=CALL, config=config)
        ]
        calls = [call for piece in pieces for call in piece.function_calls or []]
        assert [(call.name, call.args) for call in calls] == [("look", {"where": "here & there"})]
        if name == "gemini":
            assert ((await asking.count_tokens(model=name, contents="count me")).total_tokens or 0) > 0
        clouds.models.fault(place, status=400, message="no such thing", times=1)
        with pytest.raises(google_errors.ClientError, match="no such thing"):
            await asking.generate_content(model=name, contents="hi")
        with pytest.raises(google_errors.ClientError, match="no model 'nope'"):
            await asking.generate_content(model="nope", contents="hi")
    first, second, *_ = clouds.gateway.records(5 if name == "gemini" else 4)
    assert whole.usage_metadata is not None
    assert first["usage"]["output"] >= (whole.usage_metadata.candidates_token_count or 0) > 0
    for record in (first, second):
        assert (record["front_door"], record["usage_source"]) == ("gemini-generate-content", "provider")
        assert record["cost_nanousd"] == costs(record) > 0


async def test_a_credential_that_cannot_be_had_leaves_the_call_to_another(
    start: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    async with SimulatedModels() as models:
        secret = tmp_path / "secret"
        first = provider("anthropic", f"{models.url}/first", "m", credential=f"file:{secret}")
        second = provider("anthropic", f"{models.url}/second", "m", credential="env:SECOND")
        snapshot = snapshot_of({"first": (first, "m"), "second": (second, "m")}, {"SECOND": "k"})
        snapshot["keys"] = [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}]
        chain = [step for model in snapshot["models"] for step in model["route"][0]["to"]]
        snapshot["models"] = [{"name": "m", "route": [{"to": chain}]}]
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(snapshot))
        gateway = start("--snapshot", str(path))

        async def ask() -> int:
            body = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
            version = {"anthropic-version": "2023-06-01"}
            answer = await to_thread(gateway.request, "POST", "/v1/messages", body, key=KEY["key"], headers=version)
            return answer.status

        assert await ask() == 200
        assert (len(models.requests("first")), len(models.requests("second"))) == (0, 1)
        await to_thread(until, lambda: f"file {secret}" in gateway.log(), "the reason in the log")
        secret.write_text("sk-in-a-file\n")
        while not models.requests("first"):
            assert await ask() == 200
        assert models.requests("first")[0].headers["x-api-key"] == "sk-in-a-file"
        assert "sk-in-a-file" not in gateway.log()
