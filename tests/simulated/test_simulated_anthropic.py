"""Anthropic Messages, with Anthropic's own SDK as the client."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import pytest
from simulated_talks import TOOLS, script

from airside.testing.simulated import SimulatedModels

TOOL_PARAMS: Any = [{"name": name, "input_schema": schema} for name, schema in TOOLS.items()]
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
    return {"model": "claude-simulated", "max_tokens": 4000, "messages": messages, "tools": TOOL_PARAMS, **more}


async def test_an_answer_carries_thinking_text_and_parallel_calls(claude: anthropic.AsyncAnthropic) -> None:
    message = await claude.messages.create(**ask(BUSY))
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.content[0].thinking == "Tests first."
    assert message.content[0].signature
    assert [(block.name, block.input) for block in message.content[2:]] == [
        ("bash", {"command": "pytest -q"}),
        ("read", {"path": "calculator.py"}),
    ]
    assert (message.model, message.stop_reason) == ("claude-simulated", "tool_use")


async def test_a_streamed_answer_adds_up_to_the_same_message(claude: anthropic.AsyncAnthropic) -> None:
    whole = await claude.messages.create(**ask(BUSY))
    async with claude.messages.stream(**ask(BUSY)) as stream:
        streamed = await stream.get_final_message()
    unlike = {"id", "parsed_output"}
    assert [block.model_dump(exclude=unlike) for block in streamed.content] == [
        block.model_dump(exclude=unlike) for block in whole.content
    ]
    assert (streamed.stop_reason, streamed.usage.output_tokens) == (whole.stop_reason, whole.usage.output_tokens)
    assert streamed.usage.input_tokens == whole.usage.input_tokens


async def test_the_conversation_goes_on_with_the_tool_results(claude: anthropic.AsyncAnthropic) -> None:
    first = await claude.messages.create(**ask(BUSY))
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages = [
        {"role": "user", "content": BUSY},
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": results},
    ]
    second = await claude.messages.create(**ask(BUSY, messages=messages))
    assert (second.content[0].text, second.stop_reason) == ("All pass.", "end_turn")


async def test_the_events_come_in_the_vendors_order(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    response = await http.post(
        f"{models.anthropic_url('claude')}/v1/messages?beta=true",
        headers={"x-api-key": "k", "anthropic-version": "2023-06-01"},
        json=ask(BUSY, stream=True),
    )
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = [event.split("\n") for event in response.text.strip().split("\n\n")]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert [lines[0] for lines in events] == [f"event: {event['type']}" for event in data]
    told = [(event["type"], event.get("index")) for event in data if event["type"] != "ping"]
    assert list(dict.fromkeys(told)) == [
        ("message_start", None),
        ("content_block_start", 0),
        ("content_block_delta", 0),
        ("content_block_stop", 0),
        ("content_block_start", 1),
        ("content_block_delta", 1),
        ("content_block_stop", 1),
        ("content_block_start", 2),
        ("content_block_delta", 2),
        ("content_block_stop", 2),
        ("content_block_start", 3),
        ("content_block_delta", 3),
        ("content_block_stop", 3),
        ("message_delta", None),
        ("message_stop", None),
    ]
    thinking = [event["delta"]["type"] for event in data if event.get("index") == 0 and "delta" in event]
    assert thinking == ["thinking_delta", "signature_delta"]
    start = next(event["message"] for event in data if event["type"] == "message_start")
    assert (start["content"], start["stop_reason"], start["usage"]["output_tokens"]) == ([], None, 1)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("max_tokens", "max_tokens"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("pause_turn", "pause_turn"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
    ],
)
async def test_a_scripted_stop_is_said_in_the_vendors_words(
    claude: anthropic.AsyncAnthropic, stop: str, reason: str
) -> None:
    message = await claude.messages.create(**ask(script(f"- say: No.\n  stop: {stop}")))
    assert message.stop_reason == reason
    assert (message.stop_details is not None) == (reason == "refusal")


async def test_a_stop_sequence_names_one_that_was_asked_for(claude: anthropic.AsyncAnthropic) -> None:
    message = await claude.messages.create(**ask(script("- say: No.\n  stop: stop_sequence"), stop_sequences=["END"]))
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")


async def test_output_beyond_the_limit_is_cut_off(claude: anthropic.AsyncAnthropic) -> None:
    message = await claude.messages.create(**ask(script(f"- say: {'word ' * 100}"), max_tokens=20))
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 20
    assert len(message.content[0].text) == 80


async def test_tokens_are_counted_as_an_answer_would_bill_them(claude: anthropic.AsyncAnthropic) -> None:
    request = ask(BUSY)
    counted = await claude.messages.count_tokens(
        model=request["model"], messages=request["messages"], tools=TOOL_PARAMS
    )
    message = await claude.messages.create(**request)
    assert counted.input_tokens == message.usage.input_tokens > 0


async def test_models_are_listed_in_the_vendors_shape(claude: anthropic.AsyncAnthropic) -> None:
    models = await claude.models.list()
    assert "claude-simulated" in [model.id for model in models.data]


async def test_a_missing_field_is_refused_in_the_vendors_shape(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    response = await http.post(
        f"{models.anthropic_url()}/v1/messages",
        headers={"x-api-key": "k", "anthropic-version": "2023-06-01"},
        json={"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    )
    assert response.status_code == 400
    assert response.json() == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "max_tokens: Field required"},
        "request_id": response.headers["request-id"],
    }


async def test_the_version_header_is_insisted_on(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    url = f"{models.anthropic_url()}/v1/messages"
    response = await http.post(url, headers={"x-api-key": "k"}, json=ask("hi"))
    assert (response.status_code, response.json()["error"]["message"]) == (
        400,
        "anthropic-version: header is required",
    )


async def test_a_bearer_key_is_as_good_as_an_api_key(models: SimulatedModels, claude: anthropic.AsyncAnthropic) -> None:
    models.demand_key("token-1", "claude")
    bearer = claude.with_options(api_key=None, auth_token="token-1")
    message = await bearer.messages.create(**ask(script("- say: In.")))
    assert message.content[0].text == "In."
    with pytest.raises(anthropic.AuthenticationError):
        await claude.messages.create(**ask(script("- say: In.")))
