"""The features of the matrix: each a conversation, and what must be true of it on both sides of the gateway."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from conformance_clients import PAPER, PICTURE, Ask, Client, Refused, Said

from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.records import ReceivedRequest

YES = "yes"


def scripted(steps: str) -> str:
    """A prompt that tells the simulated model what to answer."""
    return f"Please answer.\n```script\n{steps.strip()}\n```\n"


@dataclass(frozen=True)
class Trial:
    """One client in front of one provider."""

    client: Client
    model: str
    family: str  # whose words the provider takes
    provider: str  # its name among the simulated ones
    models: SimulatedModels
    losses: Callable[[], list[str]]  # of the newest call

    async def ask(self, steps: str, **fields: Any) -> Said:
        """Ask with a script for the model to follow."""
        return await self.client.ask(Ask(model=self.model, prompt=scripted(steps), **fields))

    def received(self) -> ReceivedRequest:
        """What the provider got last."""
        return self.models.requests(self.provider)[-1]

    def outcome(self) -> str:
        """`yes`, and what the newest call lost on its way."""
        losses = self.losses()
        return f"{YES}, without {', '.join(losses)}" if losses else YES


Feature = Callable[[Trial], Awaitable[str]]

STOPS = {"end_turn", "completed", "stop", "STOP"}
TOOL_STOPS = {"tool_use", "completed", "tool_calls", "STOP"}
LENGTH_STOPS = {"max_tokens", "max_output_tokens", "length", "MAX_TOKENS"}
CALL = "- calls:\n    - tool: {name: get_weather, input: {city: Zürich}}\n- say: It rains."
TWO_CALLS = (
    "- say: Two at once.\n  calls:\n    - tool: {name: get_weather, input: {city: Bern}}\n"
    "    - tool: {name: get_weather, input: {city: Oslo}}\n- say: Both rain."
)


async def text(trial: Trial) -> str:
    said = await trial.ask("- say: Grüezi, \\o/ you.")
    assert said.text == "Grüezi, \\o/ you."
    assert said.stop in STOPS
    assert said.model  # the alias, or, where nothing was touched, the name the provider gave
    assert said.input_tokens > 0
    assert said.output_tokens > 0
    return trial.outcome()


async def streamed_text(trial: Trial) -> str:
    words = "One two three four five six seven eight nine ten."
    said = await trial.ask(f"- say: {words}\n  pace: {{chunk_chars: 5}}", stream=True)
    assert said.text == words
    assert said.stop in STOPS
    assert said.output_tokens > 0
    return trial.outcome()


async def system_prompt(trial: Trial) -> str:
    await trial.ask("- say: yes", system="You are terse.")
    received = trial.received().json
    place = {
        "anthropic": received.get("system"),
        "bedrock-converse": received.get("system"),
        "openai-responses": received.get("instructions") or received.get("input", [{}])[0],
        "openai-chat": received.get("messages", [{}])[0],
        "gemini": received.get("systemInstruction") or received.get("system_instruction"),
    }[trial.family]
    assert "You are terse." in json.dumps(place)
    assert "script" not in json.dumps(place)
    return trial.outcome()


async def _tools(trial: Trial, steps: str, end: str, *, stream: bool) -> str:
    first = await trial.ask(steps, tools=True, stream=stream)
    assert [name for _, name, _ in first.calls] == ["get_weather"] * len(first.calls)
    assert first.stop in TOOL_STOPS
    results = {id_: f"rain in {given['city']}" for id_, _, given in first.calls}
    second = await trial.ask(steps, tools=True, stream=stream, before=[(first, results)])
    assert second.text == end
    sent = json.dumps(trial.received().json, ensure_ascii=False)
    assert all(result in sent for result in results.values())
    return f"{[given['city'] for _, _, given in first.calls]}"


async def tool_call(trial: Trial) -> str:
    assert await _tools(trial, CALL, "It rains.", stream=False) == "['Zürich']"
    return trial.outcome()


async def streamed_tool_call(trial: Trial) -> str:
    assert await _tools(trial, CALL, "It rains.", stream=True) == "['Zürich']"
    return trial.outcome()


async def parallel_tool_calls(trial: Trial) -> str:
    for stream in (False, True):
        assert await _tools(trial, TWO_CALLS, "Both rain.", stream=stream) == "['Bern', 'Oslo']"
    return trial.outcome()


def _carries(received: ReceivedRequest, content: bytes) -> bool:
    """True if the provider got these bytes, in either alphabet of base64."""
    sent = received.body.decode().replace("-", "+").replace("_", "/")
    return base64.b64encode(content).decode() in sent


async def picture(trial: Trial) -> str:
    said = await trial.ask("- say: a dot", picture=True)
    assert said.text == "a dot"
    assert _carries(trial.received(), PICTURE)
    return trial.outcome()


async def document(trial: Trial) -> str:
    said = await trial.ask("- say: a page", paper=True)
    assert said.text == "a page"
    assert _carries(trial.received(), PAPER)
    return trial.outcome()


async def thinking(trial: Trial) -> str:
    steps = (
        f"- think: Umbrella first.\n  calls:\n    - tool: {{name: get_weather, input: {{city: Bern}}}}\n{CALL[-16:]}"
    )
    for stream in (False, True):
        first = await trial.ask(steps, tools=True, thinks=True, stream=stream, max_tokens=8000)
        assert [given for _, _, given in first.calls] == [{"city": "Bern"}]
        shown = first.thinking
        results = {id_: "rain" for id_, _, _ in first.calls}
        # The provider refuses its own calls when what it signed does not come back to it.
        second = await trial.ask(
            steps, tools=True, thinks=True, stream=stream, max_tokens=8000, before=[(first, results)]
        )
        assert second.text == "It rains."
    outcome = trial.outcome()
    return outcome if "Umbrella first." in shown else f"{outcome}; not shown"


async def structured_output(trial: Trial) -> str:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    said = await trial.client.ask(Ask(model=trial.model, prompt="Where, for how long?", schema=schema))
    assert said.stop in STOPS
    if not said.text.startswith("{"):
        # Not every model that is sold there takes a form: what is not asked for must be named as lost.
        assert trial.losses()
        return f"no: plain text, without {', '.join(trial.losses())}"
    assert set(json.loads(said.text)) == {"city", "days"}
    return trial.outcome()


async def output_limit(trial: Trial) -> str:
    said = await trial.ask("- say: cut off\n  stop: max_tokens", max_tokens=50)
    assert said.stop in LENGTH_STOPS
    limits = {"max_tokens", "max_output_tokens", "max_completion_tokens", "maxOutputTokens", "maxTokens"}
    received = trial.received().json
    settings = {**received, **received.get("generationConfig", {}), **received.get("inferenceConfig", {})}
    assert [settings[name] for name in limits if name in settings] == [50]
    return trial.outcome()


async def usage_with_cache(trial: Trial) -> str:
    for stream in (False, True):
        said = await trial.ask(
            "- say: counted\n  usage: {input: 100, cache_read: 900, output: 30}", marks_cache=True, stream=stream
        )
        assert (said.input_tokens, said.cached_tokens, said.output_tokens) == (1000, 900, 30)
    return trial.outcome()


async def refusal(trial: Trial) -> str:
    trial.models.fault(trial.provider, status=400, message="messages: that is too odd", times=1)
    with pytest.raises(Refused, match="that is too odd") as raised:
        await trial.ask("- say: never")
    assert raised.value.status == 400
    return YES


async def rate_limit(trial: Trial) -> str:
    trial.models.fault(trial.provider, status=429, headers={"retry-after": "30"}, message="slow down", times=1)
    with pytest.raises(Refused) as raised:
        await trial.ask("- say: never")
    assert raised.value.status == 429
    return YES


async def failure_in_the_stream(trial: Trial) -> str:
    fault = {"when": "after_content", "message": "overloaded now"}
    trial.models.fault(trial.provider, in_stream_error=fault, times=1)
    with pytest.raises(Refused):
        await trial.ask("- say: half of it\n  pace: {chunk_chars: 4}", stream=True)
    return YES


async def cut_stream(trial: Trial) -> str:
    trial.models.fault(trial.provider, cut_after_bytes=900, times=1)
    with pytest.raises(Refused):
        await trial.ask("- say: " + "a long story " * 60 + "\n  pace: {chunk_chars: 20}", stream=True)
    return YES


async def token_count(trial: Trial) -> str:
    """Exact from the provider, or refused: the gateway estimates nothing."""

    async def counted() -> bool:
        return await trial.client.count(trial.model, "How many are these?") > 0

    return await _if_served(counted)


async def embedding(trial: Trial) -> str:
    async def embedded() -> bool:
        return len(await trial.client.embed(trial.model, "A text.")) > 1

    return await _if_served(embedded)


async def _if_served(call: Callable[[], Awaitable[bool]]) -> str:
    """`yes`, or why not: these calls are not translated between families."""
    try:
        assert await call()
    except NotImplementedError:
        return "the SDK has no such call"
    except Refused as refused:
        return f"no: {refused.status}"
    return YES


FEATURES: Mapping[str, Feature] = {
    "text": text,
    "streamed text": streamed_text,
    "system prompt": system_prompt,
    "tool call and result": tool_call,
    "streamed tool call": streamed_tool_call,
    "parallel tool calls": parallel_tool_calls,
    "picture": picture,
    "PDF": document,
    "thinking, kept over a tool call": thinking,
    "structured output": structured_output,
    "output limit": output_limit,
    "usage with cached tokens": usage_with_cache,
    "refusal in the client's words": refusal,
    "rate limit with its wait": rate_limit,
    "failure inside a stream": failure_in_the_stream,
    "stream that breaks off": cut_stream,
    "token count": token_count,
    "embedding": embedding,
}
