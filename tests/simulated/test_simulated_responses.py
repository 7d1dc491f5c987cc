"""OpenAI Responses, with OpenAI's own SDK as the client."""

from __future__ import annotations

from typing import Any

import httpx2
import openai
import pytest
from simulated_talks import TOOLS, ResponsesTalk, script

from airside.testing.simulated import SimulatedModels

TOOL_PARAMS: Any = ResponsesTalk().tools()
BUSY = script("""
- think: Tests first.
  say: I will run the tests and read the file, in one go.
  calls:
    - bash: pytest -q
    - read: calculator.py
- say: All pass.
""")


async def test_an_answer_carries_reasoning_text_and_parallel_calls(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.create(model="gpt-simulated", input=BUSY, tools=TOOL_PARAMS)
    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert response.output[0].summary[0].text == "Tests first."
    assert response.output_text == "I will run the tests and read the file, in one go."
    assert [(item.name, item.arguments) for item in response.output[2:]] == [
        ("bash", '{"command":"pytest -q"}'),
        ("read", '{"path":"calculator.py"}'),
    ]
    assert (response.model, response.status) == ("gpt-simulated", "completed")


async def test_a_streamed_answer_adds_up_to_the_same_response(gpt: openai.AsyncOpenAI) -> None:
    whole = await gpt.responses.create(model="m", input=BUSY, tools=TOOL_PARAMS)
    async with gpt.responses.stream(model="m", input=BUSY, tools=TOOL_PARAMS) as stream:
        pieces = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        streamed = await stream.get_final_response()
    assert "".join(pieces) == whole.output_text == streamed.output_text
    assert len(pieces) > 1
    assert [item.type for item in streamed.output] == [item.type for item in whole.output]
    assert streamed.usage is not None
    assert whole.usage is not None
    assert streamed.usage.input_tokens == whole.usage.input_tokens
    assert streamed.usage.output_tokens == whole.usage.output_tokens


async def test_the_conversation_goes_on_with_the_tool_results(gpt: openai.AsyncOpenAI) -> None:
    first = await gpt.responses.create(model="m", input=BUSY, tools=TOOL_PARAMS)
    kept: Any = [{"role": "user", "content": BUSY}, *(item.model_dump(exclude_none=True) for item in first.output)]
    kept += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "ok"}
        for item in first.output
        if item.type == "function_call"
    ]
    second = await gpt.responses.create(model="m", input=kept, tools=TOOL_PARAMS)
    assert second.output_text == "All pass."


async def test_the_events_come_in_the_vendors_order(gpt: openai.AsyncOpenAI) -> None:
    stream = await gpt.responses.create(model="m", input=BUSY, tools=TOOL_PARAMS, stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    call = [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert [event.type for event in events] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        *call,
        *call,
        "response.completed",
    ]
    positions = [event.output_index for event in events if hasattr(event, "output_index")]
    assert positions == sorted(positions)
    assert set(positions) == {0, 1, 2, 3}
    assert events[0].response.usage is None
    assert events[-1].response.usage.total_tokens > 0


async def test_a_custom_tool_is_called_with_free_text(gpt: openai.AsyncOpenAI) -> None:
    tools: Any = [{"type": "custom", "name": "apply_patch", "description": "Edits files."}]
    prompt = script("- calls: [{edit: {path: a.py, old: x, new: y}}]")
    stream = await gpt.responses.create(model="m", input=prompt, tools=tools, stream=True)
    events = [event async for event in stream]
    written = "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta")
    (item,) = events[-1].response.output
    assert (item.type, item.name, item.input) == ("custom_tool_call", "apply_patch", written)
    assert written == "*** Begin Patch\n*** Update File: a.py\n@@\n-x\n+y\n*** End Patch\n"


async def test_the_local_shell_is_called_with_words(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.create(
        model="m", input=script("- calls: [{bash: ls -l}]"), tools=[{"type": "local_shell"}]
    )
    (item,) = response.output
    assert item.type == "local_shell_call"
    assert item.action.command == ["bash", "-lc", "ls -l"]


async def test_a_tool_of_a_namespace_is_called_in_it(gpt: openai.AsyncOpenAI) -> None:
    tools: Any = [{"type": "namespace", "name": "mcp__tickets", "tools": [{"type": "function", "name": "get_ticket"}]}]
    prompt = script("- calls: [{tool: {name: mcp__tickets__get_ticket, input: {id: 7}}}]")
    response = await gpt.responses.create(model="m", input=prompt, tools=tools)
    (item,) = response.output
    assert (item.namespace, item.name, item.arguments) == ("mcp__tickets", "get_ticket", '{"id":7}')


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("end_turn", "completed", None),
    ],
)
async def test_a_scripted_stop_is_said_in_the_vendors_words(
    gpt: openai.AsyncOpenAI, stop: str, status: str, reason: str | None
) -> None:
    stream = await gpt.responses.create(model="m", input=script(f"- say: No.\n  stop: {stop}"), stream=True)
    events = [event async for event in stream]
    assert events[-1].type == f"response.{status}"
    details = events[-1].response.incomplete_details
    assert (details.reason if details else None) == reason


async def test_a_refusal_is_a_part_of_its_own(gpt: openai.AsyncOpenAI) -> None:
    stream = await gpt.responses.create(model="m", input=script("- say: I won't.\n  stop: refusal"), stream=True)
    events = [event async for event in stream]
    assert "response.refusal.delta" in [event.type for event in events]
    assert events[-1].response.output[0].content[0].refusal == "I won't."


async def test_reasoning_is_sealed_for_a_client_that_keeps_it(gpt: openai.AsyncOpenAI) -> None:
    asked: Any = {"model": "m", "input": script("- think: Hm.\n  say: Yes.")}
    sealed = await gpt.responses.create(**asked, include=["reasoning.encrypted_content"])
    plain = await gpt.responses.create(**asked)
    assert sealed.output[0].encrypted_content
    assert plain.output[0].encrypted_content is None


async def test_a_response_repeats_what_it_was_asked_with(gpt: openai.AsyncOpenAI) -> None:
    response = await gpt.responses.create(
        model="m", input="hi", instructions="Be brief.", metadata={"a": "b"}, max_output_tokens=500, tools=TOOL_PARAMS
    )
    assert (response.instructions, response.metadata, response.max_output_tokens) == ("Be brief.", {"a": "b"}, 500)
    assert len(response.tools) == len(TOOL_PARAMS)


async def test_an_earlier_response_is_not_stored(gpt: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await gpt.responses.create(model="m", input="hi", previous_response_id="resp_1")
    assert refused.value.code == "previous_response_not_found"


async def test_a_websocket_is_answered_with_426_at_once(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    response = await http.get(
        f"{models.openai_url()}/responses",
        headers={
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            "authorization": "Bearer k",
        },
    )
    assert response.status_code == 426
    assert response.json()["error"]["code"] == "upgrade_required"


async def test_models_are_listed_in_the_vendors_shape(gpt: openai.AsyncOpenAI) -> None:
    assert "gpt-simulated" in [model.id async for model in gpt.models.list()]


def test_every_tool_shape_is_understood() -> None:
    assert [tool.name for tool in ResponsesTalk().dialect.read(ResponsesTalk().request()).tools] == list(TOOLS)
