"""What a test can see of the requests, and hold in the middle."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from simulated_talks import script

from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.records import Outcome

HELD = script("""
- say: The beginning of this answer is sent at once, the rest of it after the gate was opened.
  pace: {chunk_chars: 10}
  hold: gate
""")


def asked(prompt: str) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]}


async def test_a_request_is_recorded_to_the_byte_with_its_key(
    models: SimulatedModels, http: httpx2.AsyncClient
) -> None:
    body = b'{"model": "m",  "messages":[{"role":"user","content":"caf\\u00e9"}], "unknown": 1.50}'
    url = f"{models.openai_url('vendor')}/chat/completions?x=1"
    await http.post(url, content=body, headers={"authorization": "Bearer secret-7", "X-Tag": "Blue"})
    (request,) = models.requests("vendor")
    assert (request.method, request.path) == ("POST", "/vendor/v1/chat/completions?x=1")
    assert request.body == body
    assert request.json["unknown"] == 1.5
    assert (request.key, request.headers["authorization"]) == ("secret-7", "Bearer secret-7")
    assert request.headers["x-tag"] == "Blue"
    assert (request.model, request.status, request.outcome) == ("m", 200, Outcome.COMPLETED)
    assert request.ended_at is not None
    assert request.began_at <= request.ended_at


async def test_providers_are_kept_apart_and_a_path_without_one_is_the_default(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI, http: httpx2.AsyncClient
) -> None:
    models.fault("gpt", status=500)
    await claude.messages.create(**asked("hi"))
    with pytest.raises(openai.InternalServerError):
        await gpt.responses.create(model="m", input="hi")
    bare = anthropic.AsyncAnthropic(base_url=models.url, api_key="k", http_client=http)
    await bare.messages.create(**asked("hi"))
    assert [request.provider for request in models.requests()] == ["claude", "gpt", "default"]
    assert [len(models.requests(name)) for name in ("claude", "gpt", "default", "nobody")] == [1, 1, 1, 0]


async def test_a_script_can_be_for_one_provider_only(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    models.script([{"say": "For Claude."}], provider="claude")
    models.script("- say: For whoever greets.", match="hello")
    said = await claude.messages.create(**asked("hi"))
    assert said.content[0].text == "For Claude."
    assert (await gpt.responses.create(model="m", input="oh, hello")).output_text == "For whoever greets."


async def test_an_answer_is_held_after_its_first_content_until_it_is_released(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic
) -> None:
    async with claude.messages.stream(**asked(HELD)) as stream:
        pieces = stream.text_stream
        assert await anext(pieces) == "The beginn"
        await models.wait_until_held("gate")
        assert models.requests("claude")[0].outcome is Outcome.UNDER_WAY
        models.release("gate")
        rest = "".join([piece async for piece in pieces])
    assert rest.endswith("the gate was opened.")


@pytest.mark.parametrize(("after_chars", "seen"), [(0, ""), (25, "The beginning of this answer i")])
async def test_an_answer_is_held_after_as_much_as_the_script_says(
    models: SimulatedModels, gpt: openai.AsyncOpenAI, after_chars: int, seen: str
) -> None:
    prompt = HELD.replace("hold: gate", f"hold: {{name: gate, after_chars: {after_chars}}}")
    stream = await gpt.responses.create(model="m", input=prompt, stream=True)
    received = ""
    async for event in stream:
        if event.type == "response.output_text.delta":
            received += event.delta
        if received == seen and event.type in {"response.content_part.added", "response.output_text.delta"}:
            break
    await models.wait_until_held("gate")
    await stream.close()
    assert await models.requests("gpt")[0].wait_ended() is Outcome.CLIENT_CLOSED


async def test_an_answer_that_is_not_streamed_is_held_whole(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic
) -> None:
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(claude.messages.create(**asked(HELD)))
        await models.wait_until_held("gate")
        models.release("gate")
    assert answer.result().content[0].text.startswith("The beginning")


async def test_a_client_that_goes_away_is_noticed_and_its_answer_stops(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic
) -> None:
    async with claude.messages.stream(**asked(HELD)) as stream:
        await anext(stream.text_stream)
        await models.wait_until_held("gate")
    (request,) = models.requests("claude")
    assert await request.wait_ended() is Outcome.CLIENT_CLOSED
    assert models.gates.held("gate") == 0


async def test_a_gate_stays_open_for_whoever_comes_later(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic
) -> None:
    models.release("gate")
    assert (await claude.messages.create(**asked(HELD))).content[0].text.endswith("opened.")
    models.reset()
    with pytest.raises(TimeoutError, match="no answer was held at 'gate'"):
        await models.wait_until_held("gate", deadline_s=0.01)


async def test_a_test_can_wait_for_a_request(models: SimulatedModels, claude: anthropic.AsyncAnthropic) -> None:
    async with asyncio.TaskGroup() as tasks:
        second = tasks.create_task(
            models.wait_for_request("claude", number=2, matching=lambda request: b"ping" in request.body)
        )
        for prompt in ("ping one", "other", "ping two"):
            await claude.messages.create(**asked(prompt))
    assert b"ping two" in second.result().body


async def test_waiting_in_vain_says_what_did_arrive(models: SimulatedModels, claude: anthropic.AsyncAnthropic) -> None:
    await claude.messages.create(**asked("hi"))
    with pytest.raises(
        TimeoutError, match="fewer than 2 matching requests arrived; received: POST /claude/v1/messages"
    ):
        await models.wait_for_request(number=2, deadline_s=0.01)


async def test_after_a_reset_nothing_is_left_of_before(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic
) -> None:
    models.script("- say: Scripted.")
    models.demand_key("other", "claude")
    models.fault("claude", status=500)
    models.reset()
    assert "simulated model" in (await claude.messages.create(**asked("hi"))).content[0].text
    assert len(models.requests()) == 1


async def test_only_the_newest_requests_are_kept(http: httpx2.AsyncClient) -> None:
    async with SimulatedModels(keep_requests=3) as models:
        for number in range(5):
            await http.post(f"{models.openai_url()}/responses", json={"input": str(number)})
        assert [json.loads(request.body)["input"] for request in models.requests()] == ["2", "3", "4"]


async def test_hundreds_of_answers_at_once_are_each_their_own(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    async def from_claude(number: int) -> str:
        async with claude.messages.stream(**asked(script(f"- say: Claude {number}.\n  hold: all"))) as stream:
            return await stream.get_final_text()

    async def from_gpt(number: int) -> str:
        prompt = script(f"- say: GPT {number}.\n  hold: all")
        async with gpt.responses.stream(model="m", input=prompt) as stream:
            return (await stream.get_final_response()).output_text

    async with asyncio.TaskGroup() as tasks:
        answers = [tasks.create_task(ask(number)) for number in range(50) for ask in (from_claude, from_gpt)]
        await models.wait_for_request(number=100)
        models.release("all")
    expected = [f"{name} {number}." for number in range(50) for name in ("Claude", "GPT")]
    assert [answer.result() for answer in answers] == expected
    assert len({request.id for request in models.requests()}) == 100
