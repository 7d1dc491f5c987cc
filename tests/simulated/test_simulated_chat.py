"""OpenAI Chat Completions, with OpenAI's own SDK as the client."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
import pytest
from simulated_talks import ChatTalk, script

from airside.testing.simulated import SimulatedModels

TOOL_PARAMS: Any = ChatTalk().tools()
BUSY = script("""
- think: Tests first.
  say: I will run the tests and read the file, in one go.
  calls:
    - bash: pytest -q
    - read: calculator.py
- say: All pass.
""")


def ask(prompt: str, **more: Any) -> dict[str, Any]:
    """A request's parameters."""
    messages = [{"role": "user", "content": prompt}]
    return {"model": "gpt-simulated", "messages": messages, "tools": TOOL_PARAMS, **more}


async def test_an_answer_carries_text_and_parallel_calls_and_hides_the_thinking(gpt: openai.AsyncOpenAI) -> None:
    completion = await gpt.chat.completions.create(**ask(BUSY))
    (choice,) = completion.choices
    assert choice.message.content == "I will run the tests and read the file, in one go."
    assert [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls] == [
        ("bash", {"command": "pytest -q"}),
        ("read", {"path": "calculator.py"}),
    ]
    assert choice.finish_reason == "tool_calls"
    assert completion.usage.completion_tokens_details.reasoning_tokens > 0


async def test_a_streamed_answer_adds_up_to_the_same_completion(gpt: openai.AsyncOpenAI) -> None:
    whole = await gpt.chat.completions.create(**ask(BUSY))
    async with gpt.chat.completions.stream(**ask(BUSY), stream_options={"include_usage": True}) as stream:
        streamed = await stream.get_final_completion()
    assert streamed.choices[0].message.content == whole.choices[0].message.content
    calls = [call.function.arguments for call in streamed.choices[0].message.tool_calls]
    assert calls == [call.function.arguments for call in whole.choices[0].message.tool_calls]
    assert streamed.choices[0].finish_reason == whole.choices[0].finish_reason
    assert streamed.usage.completion_tokens == whole.usage.completion_tokens


async def test_the_conversation_goes_on_with_the_tool_results(gpt: openai.AsyncOpenAI) -> None:
    first = await gpt.chat.completions.create(**ask(BUSY))
    message = first.choices[0].message
    messages = [
        {"role": "user", "content": [{"type": "text", "text": BUSY}]},
        message.model_dump(exclude_none=True),
        *({"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in message.tool_calls),
    ]
    second = await gpt.chat.completions.create(**ask(BUSY, messages=messages))
    assert second.choices[0].message.content == "All pass."


async def sent(models: SimulatedModels, http: httpx2.AsyncClient, body: dict[str, Any]) -> list[Any]:
    """The chunks of a stream, without its end mark, which must be there."""
    response = await http.post(
        f"{models.openai_url()}/chat/completions", headers={"authorization": "Bearer k"}, json=body
    )
    *chunks, end = response.text.strip().split("\n\n")
    assert end == "data: [DONE]"
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]


async def test_the_chunks_come_in_the_vendors_order(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    chunks = await sent(models, http, ask(BUSY, stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
    assert [sorted(delta) for delta in deltas[1:]] == [["content"]] * 2 + [["tool_calls"]] * 4 + [[]]
    calls = [delta["tool_calls"][0] for delta in deltas if "tool_calls" in delta]
    assert [(call["index"], "id" in call) for call in calls] == [(0, True), (0, False), (1, True), (1, False)]
    assert calls[0]["type"] == "function"
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 7 + ["tool_calls"]
    assert all("usage" not in chunk for chunk in chunks)


async def test_usage_comes_in_a_chunk_of_its_own_when_asked_for(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    chunks = await sent(models, http, ask(BUSY, stream=True, stream_options={"include_usage": True}))
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0


@pytest.mark.parametrize(
    ("stop", "reason"),
    [("max_tokens", "length"), ("content_filter", "content_filter"), ("stop_sequence", "stop"), ("refusal", "stop")],
)
async def test_a_scripted_stop_is_said_in_the_vendors_words(gpt: openai.AsyncOpenAI, stop: str, reason: str) -> None:
    completion = await gpt.chat.completions.create(**ask(script(f"- say: No.\n  stop: {stop}")))
    assert completion.choices[0].finish_reason == reason


async def test_a_refusal_is_a_field_of_its_own(gpt: openai.AsyncOpenAI) -> None:
    asked = ask(script("- say: I won't.\n  stop: refusal"))
    completion = await gpt.chat.completions.create(**asked)
    assert (completion.choices[0].message.content, completion.choices[0].message.refusal) == (None, "I won't.")
    stream = await gpt.chat.completions.create(**asked, stream=True)
    assert "".join([chunk.choices[0].delta.refusal or "" async for chunk in stream]) == "I won't."


async def test_a_missing_field_is_refused_in_the_vendors_shape(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    response = await http.post(
        f"{models.openai_url()}/chat/completions", headers={"authorization": "Bearer k"}, json={"model": "m"}
    )
    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": "Missing required parameter: 'messages'.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": None,
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'{"model": NaN}', b"[" * 100_000, b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused(
    models: SimulatedModels, http: httpx2.AsyncClient, body: bytes
) -> None:
    headers = {"authorization": "Bearer k", "content-type": "application/json"}
    response = await http.post(f"{models.openai_url()}/chat/completions", headers=headers, content=body)
    assert (response.status_code, response.json()["error"]["type"]) == (400, "invalid_request_error")


async def test_no_key_and_a_wrong_key_are_refused(
    models: SimulatedModels, http: httpx2.AsyncClient, gpt: openai.AsyncOpenAI
) -> None:
    url = f"{models.openai_url()}/chat/completions"
    assert (await http.post(url, json=ask("hi"))).status_code == 401
    models.demand_key("sk-other", "gpt")
    with pytest.raises(openai.AuthenticationError) as refused:
        await gpt.chat.completions.create(**ask("hi"))
    assert refused.value.code == "invalid_api_key"
    models.demand_key(None, "gpt")
    assert (await gpt.chat.completions.create(**ask("hi"))).choices


async def test_a_step_can_demand_a_key(gpt: openai.AsyncOpenAI) -> None:
    asked = ask(script("- say: In.\n  demand_key: sk-other"))
    with pytest.raises(openai.AuthenticationError):
        await gpt.chat.completions.create(**asked)
    completion = await gpt.with_options(api_key="sk-other").chat.completions.create(**asked)
    assert completion.choices[0].message.content == "In."


async def test_texts_become_vectors_in_both_encodings(gpt: openai.AsyncOpenAI) -> None:
    texts = ["one", "two", "one"]
    numbers = await gpt.embeddings.create(model="e", input=texts, dimensions=8, encoding_format="float")
    first, second, third = (entry.embedding for entry in numbers.data)
    assert (len(first), first == third, first == second) == (8, True, False)
    packed = await gpt.embeddings.create(model="e", input="one", dimensions=8)
    assert packed.data[0].embedding == pytest.approx(first, abs=1e-6)
    assert numbers.usage.total_tokens >= 3
    with pytest.raises(openai.BadRequestError):
        await gpt.embeddings.create(model="e", input="")


async def test_a_path_nobody_serves_is_404_in_shape(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    plain = await http.post(f"{models.url}/v1/batches", json={})
    assert (plain.status_code, plain.json()["error"]["type"]) == (404, "invalid_request_error")
    versioned = await http.post(f"{models.url}/v1/batches", json={}, headers={"anthropic-version": "2023-06-01"})
    assert (versioned.status_code, versioned.json()["error"]["type"]) == (404, "not_found_error")
