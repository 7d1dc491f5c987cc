"""Gemini's generateContent, with Google's own SDK as the client."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types
from simulated_talks import TOOLS, script

from airside.testing.simulated import SimulatedModels

FUNCTIONS: Any = [{"name": name, "parameters_json_schema": schema} for name, schema in TOOLS.items()]
BUSY = script("""
- think: Tests first.
  say: I will run the tests and read the file, in one go.
  calls:
    - bash: pytest -q
    - read: calculator.py
- say: All pass.
""")


@pytest.fixture
async def gemini(models: SimulatedModels) -> AsyncIterator[genai.Client]:
    options = types.HttpOptions(base_url=models.gemini_url("gem"), retry_options=types.HttpRetryOptions(attempts=1))
    with genai.Client(api_key="AIza-test", http_options=options) as client:
        yield client
        await client.aio.aclose()


def config(**more: Any) -> types.GenerateContentConfig:
    """Settings with the tools offered."""
    return types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=FUNCTIONS)],
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        **more,
    )


async def ask(gemini: genai.Client, prompt: Any, model: str = "gemini-simulated", **more: Any) -> Any:
    return await gemini.aio.models.generate_content(model=model, contents=prompt, config=config(**more))


async def test_an_answer_carries_text_and_parallel_calls_and_hides_the_thinking(gemini: genai.Client) -> None:
    answer = await ask(gemini, BUSY)
    parts = answer.candidates[0].content.parts
    assert parts[0].text == "I will run the tests and read the file, in one go."
    assert [(part.function_call.name, part.function_call.args) for part in parts[1:]] == [
        ("bash", {"command": "pytest -q"}),
        ("read", {"path": "calculator.py"}),
    ]
    assert [bool(part.thought_signature) for part in parts] == [False, True, False]
    assert answer.candidates[0].finish_reason == "STOP"
    usage = answer.usage_metadata
    assert usage.thoughts_token_count > 0
    counted = usage.prompt_token_count + usage.candidates_token_count + usage.thoughts_token_count
    assert usage.total_token_count == counted


async def test_thoughts_are_shown_when_asked_for(gemini: genai.Client) -> None:
    answer = await ask(gemini, BUSY, thinking_config=types.ThinkingConfig(include_thoughts=True))
    first, *_ = answer.candidates[0].content.parts
    assert (first.text, first.thought) == ("Tests first.", True)


async def test_a_streamed_answer_adds_up_to_the_same(gemini: genai.Client) -> None:
    whole = await ask(gemini, BUSY)
    stream = await gemini.aio.models.generate_content_stream(model="gemini-simulated", contents=BUSY, config=config())
    chunks = [chunk async for chunk in stream]
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts]
    assert "".join(part.text or "" for part in parts) == whole.candidates[0].content.parts[0].text
    assert [part.function_call.name for part in parts if part.function_call] == ["bash", "read"]
    assert [chunk.candidates[0].finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].candidates[0].finish_reason == "STOP"
    so_far = [chunk.usage_metadata.candidates_token_count for chunk in chunks]
    assert so_far == sorted(so_far)
    assert so_far[-1] == whole.usage_metadata.candidates_token_count


async def test_the_conversation_goes_on_with_the_function_responses(gemini: genai.Client) -> None:
    first = await ask(gemini, BUSY, "gemini-3-simulated")
    done = [types.Part.from_function_response(name=name, response={"output": "ok"}) for name in ("bash", "read")]
    history = [types.UserContent(BUSY), first.candidates[0].content, types.UserContent(done)]
    second = await ask(gemini, history, "gemini-3-simulated")
    assert second.text == "All pass."
    assert second.usage_metadata.cached_content_token_count > 0


@pytest.mark.parametrize(
    ("signature", "complaint"),
    [(None, "missing a thought_signature"), (b"from another vendor", "not valid")],
)
async def test_a_call_without_its_signature_is_refused_by_the_models_that_sign(
    gemini: genai.Client, signature: bytes | None, complaint: str
) -> None:
    call = types.Part(
        function_call=types.FunctionCall(name="bash", args={"command": "pytest -q"}), thought_signature=signature
    )
    done = types.Part.from_function_response(name="bash", response={"output": "ok"})
    history = [types.UserContent("hi"), types.ModelContent([call]), types.UserContent([done])]
    with pytest.raises(errors.ClientError, match=complaint):
        await ask(gemini, history, "gemini-3-simulated")
    assert (await ask(gemini, history, "gemini-2-simulated")).text
    # Only the current turn is looked at: what came before the newest prompt may be anyone's.
    earlier = [*history, types.ModelContent("Well."), types.UserContent("And now?")]
    assert (await ask(gemini, earlier, "gemini-3-simulated")).text


async def test_a_history_of_another_model_may_say_that_it_has_no_signatures(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    call = {"functionCall": {"name": "bash", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}
    returned = {"functionResponse": {"name": "bash", "response": {"output": "ok"}}}
    contents = [
        {"role": "user", "parts": [{"text": "hi"}]},
        {"role": "model", "parts": [call]},
        {"role": "user", "parts": [returned]},
    ]
    assert (await post(models, http, {"contents": contents}, "gemini-3-x:generateContent")).status_code == 200


async def post(
    models: SimulatedModels, http: httpx2.AsyncClient, body: Any, call: str = "m:generateContent"
) -> httpx2.Response:
    url = f"{models.gemini_url()}/v1beta/models/{call}"
    return await http.post(url, headers={"x-goog-api-key": "k"}, json=body)


USER = {"role": "user", "parts": [{"text": "hi"}]}
CALLED = {"role": "model", "parts": [{"functionCall": {"name": "bash", "args": {}}}]}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"contents": []}, "contents is not specified"),
        ({"contents": [USER], "max_tokens": 7}, 'Unknown name "max_tokens"'),
        ({"contents": [{"role": "assistant", "parts": [{"text": "hi"}]}]}, "valid role"),
        ({"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ({"contents": [USER, CALLED, USER]}, "number of function response parts"),
        ({"contents": [USER], "tools": [{"functionDeclarations": [{"name": "a b"}]}]}, "Invalid function name"),
        (
            {
                "contents": [USER],
                "tools": [
                    {
                        "functionDeclarations": [
                            {"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}
                        ]
                    }
                ],
            },
            "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters'",
        ),
        (
            {
                "contents": [USER],
                "generationConfig": {
                    "responseSchema": {"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"const": 1}}}}
                },
            },
            "response_schema.properties[a].items",
        ),
        (
            {"contents": [USER], "generationConfig": {"responseSchema": {"type": ["string", "null"]}}},
            "TYPE_ENUM",
        ),
    ],
)  # fmt: skip
async def test_what_the_vendor_refuses_is_refused_in_its_shape(
    models: SimulatedModels, http: httpx2.AsyncClient, body: Any, complaint: str
) -> None:
    response = await post(models, http, body)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert complaint in error["message"]


async def test_both_spellings_of_a_field_are_read(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    prompt = {"role": "user", "parts": [{"text": script(f"- say: {'word ' * 100}")}]}
    for name, inner in (("generationConfig", "maxOutputTokens"), ("generation_config", "max_output_tokens")):
        response = await post(models, http, {"contents": [prompt], name: {inner: 20}})
        assert response.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


async def test_without_sse_a_stream_is_one_array(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": BUSY}]}]}
    response = await post(models, http, body, "m:streamGenerateContent")
    assert response.headers["content-type"].startswith("application/json")
    chunks = json.loads(response.text)
    assert len(chunks) > 2
    assert chunks[-1]["candidates"][0]["finishReason"] == "STOP"
    models.fault(in_stream_error={"when": "after_content", "status": 503, "message": "Busy."}, times=1)
    *_, failed = json.loads((await post(models, http, body, "m:streamGenerateContent")).text)
    assert failed == {"error": {"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("max_tokens", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("refusal", "PROHIBITED_CONTENT"),
        ("end_turn", "STOP"),
    ],
)  # fmt: skip
async def test_a_scripted_stop_is_said_in_the_vendors_words(gemini: genai.Client, stop: str, reason: str) -> None:
    answer = await ask(gemini, script(f"- say: No.\n  stop: {stop}"))
    assert answer.candidates[0].finish_reason == reason


async def test_structured_output_fits_either_schema(gemini: genai.Client) -> None:
    schema = {"type": "OBJECT", "properties": {"title": {"type": "STRING"}}, "required": ["title"]}
    json_schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    for given in ({"response_schema": schema}, {"response_json_schema": json_schema}):
        asked = types.GenerateContentConfig(response_mime_type="application/json", **given)
        answer = await gemini.aio.models.generate_content(model="m", contents="Fix the tests.", config=asked)
        assert list(json.loads(answer.text)) == ["title"]


async def test_tokens_are_counted_and_models_listed(gemini: genai.Client, models: SimulatedModels) -> None:
    short = await gemini.aio.models.count_tokens(model="m", contents="hi")
    long = await gemini.aio.models.count_tokens(model="m", contents="hi " * 100)
    assert 0 < short.total_tokens < long.total_tokens
    listed = [model.name async for model in await gemini.aio.models.list()]
    assert "models/gemini-simulated" in listed
    assert [request.model for request in models.requests("gem")] == ["m", "m", ""]


async def test_texts_become_vectors_of_the_asked_length(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    content = {"parts": [{"text": "hi"}]}
    one = await post(models, http, {"content": content, "outputDimensionality": 8}, "m:embedContent")
    assert len(one.json()["embedding"]["values"]) == 8
    requests = [{"model": "models/m", "content": {"parts": [{"text": text}]}} for text in ("hi", "ho", "hi")]
    batch = await post(models, http, {"requests": requests}, "m:batchEmbedContents")
    first, second, third = (entry["values"] for entry in batch.json()["embeddings"])
    assert len(first) == 768
    assert first == third != second
    assert sum(number * number for number in first) == pytest.approx(1, abs=1e-3)
    assert (await post(models, http, {"content": {}}, "m:embedContent")).status_code == 400


async def test_no_key_and_a_wrong_key_are_refused_as_the_vendor_does(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    url = f"{models.gemini_url()}/v1beta/models/m:generateContent"
    nobody = await http.post(url, json={"contents": [USER]})
    assert (nobody.status_code, nobody.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    models.demand_key("right")
    wrong = await http.post(f"{url}?key=wrong", json={"contents": [USER]})
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    assert (await http.post(f"{url}?key=right", json={"contents": [USER]})).status_code == 200


async def test_the_sdk_raises_what_it_raises_for_the_vendor(gemini: genai.Client, models: SimulatedModels) -> None:
    models.fault("gem", status=429, message="Quota.", times=1)
    with pytest.raises(errors.ClientError) as refused:
        await ask(gemini, "hi")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
