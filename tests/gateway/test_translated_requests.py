"""The golden requests of the gateway's translation, judged by the simulated vendors and by the vendors' own SDK types.

The files are checked against the translator by its own tests; here they are checked against whoever must take them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
from anthropic.types import (
    DocumentBlockParam,
    ImageBlockParam,
    RedactedThinkingBlockParam,
    TextBlockParam,
    ThinkingBlockParam,
    ThinkingConfigParam,
    ToolChoiceParam,
    ToolParam,
    ToolResultBlockParam,
    ToolUseBlockParam,
)
from google.genai import types as gemini
from openai.types.chat import ChatCompletionFunctionToolParam, ChatCompletionMessageParam
from openai.types.chat.completion_create_params import ResponseFormat
from openai.types.responses import FunctionToolParam, ResponseInputItemParam, ResponseTextConfigParam
from pydantic import TypeAdapter

from airside.events import JsonObject
from airside.testing.simulated.conversation import ModelAnswer, ToolReturn
from airside.testing.simulated.dialects.anthropic import AnthropicMessages
from airside.testing.simulated.dialects.contract import Addressed, Dialect, Operation
from airside.testing.simulated.dialects.gemini import Gemini
from airside.testing.simulated.dialects.openai_chat import OpenAiChat
from airside.testing.simulated.dialects.openai_responses import OpenAiResponses

GOLDEN = Path(__file__).parents[2] / "gateway/crates/translation/tests/golden"
DIALECTS: Mapping[str, Dialect] = {
    "anthropic": AnthropicMessages(),
    "openai-responses": OpenAiResponses(),
    "openai-chat": OpenAiChat(),
    "gemini": Gemini(),
}
ANTHROPIC_BLOCKS: Mapping[str, Any] = {
    "text": TextBlockParam,
    "image": ImageBlockParam,
    "document": DocumentBlockParam,
    "thinking": ThinkingBlockParam,
    "redacted_thinking": RedactedThinkingBlockParam,
    "tool_use": ToolUseBlockParam,
    "tool_result": ToolResultBlockParam,
}


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def check(kind: Any, value: object) -> None:
    """Raise if the value is not of this type, or has a member more."""
    adapter(kind).validate_python(value, extra="forbid")


def translated(family: str) -> list[Any]:
    """The requests that were translated into this family's dialect."""
    outcomes = ((path, json.loads(path.read_text())) for path in sorted(GOLDEN.glob(f"*/{family}.json")))
    return [pytest.param(outcome["body"], id=path.parent.name) for path, outcome in outcomes if "body" in outcome]


def everything() -> list[Any]:
    cases = ((family, case) for family in DIALECTS for case in translated(family))
    return [pytest.param(family, *case.values, id=f"{case.id}-{family}") for family, case in cases]


@pytest.mark.parametrize(("family", "body"), everything())
def test_the_simulated_vendor_takes_what_was_translated(family: str, body: JsonObject) -> None:
    dialect = DIALECTS[family]
    addressed = Addressed({"anthropic-version": "2023-06-01"}, model="gemini-3.8-pro")
    dialect.check(Operation.ANSWER, addressed, body)
    read = dialect.read(body, addressed)
    called = [name for entry in read.entries if isinstance(entry, ModelAnswer) for name in entry.call_ids]
    answered = [entry.call_id for entry in read.entries if isinstance(entry, ToolReturn)]
    assert called[: len(answered)] == answered


@pytest.mark.parametrize("body", translated("anthropic"))
def test_anthropic_requests_are_of_its_sdk_types(body: dict[str, Any]) -> None:
    roles = [message["role"] for message in body["messages"]]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    for message in body["messages"]:
        assert message["content"]
        for block in message["content"]:
            check(ANTHROPIC_BLOCKS[block["type"]], block)
    check(list[ToolParam], body.get("tools", []))
    if "tool_choice" in body:
        check(ToolChoiceParam, body["tool_choice"])
    if "thinking" in body:
        check(ThinkingConfigParam, body["thinking"])


@pytest.mark.parametrize("body", translated("openai-chat"))
def test_chat_requests_are_of_its_sdk_types(body: dict[str, Any]) -> None:
    for message in body["messages"]:
        of_other_servers = {name: value for name, value in message.items() if name != "reasoning_content"}
        check(ChatCompletionMessageParam, of_other_servers)
    check(list[ChatCompletionFunctionToolParam], body.get("tools", []))
    if "response_format" in body:
        check(ResponseFormat, body["response_format"])


@pytest.mark.parametrize("body", translated("openai-responses"))
def test_responses_requests_are_of_its_sdk_types(body: dict[str, Any]) -> None:
    for item in body["input"]:
        # The vendor takes the model's messages back without the ids that its types demand.
        known = {"id": "msg_1", "status": "completed"} if item.get("role") == "assistant" else {}
        parts = [{"annotations": [], **part} if known else part for part in item.get("content", [])]
        whole = {**item, **known, "content": parts} if "content" in item else item
        check(ResponseInputItemParam, whole)
    check(list[FunctionToolParam], body.get("tools", []))
    if "text" in body:
        check(ResponseTextConfigParam, body["text"])
    assert body["store"] is False or "store" in body


@pytest.mark.parametrize("body", translated("gemini"))
def test_gemini_requests_are_of_its_sdk_types(body: dict[str, Any]) -> None:
    contents = [gemini.Content.model_validate(content) for content in body["contents"]]
    roles = [content.role for content in contents]
    assert roles[0] == "user"
    assert all(one != other for one, other in pairwise(roles))
    for tool in body.get("tools", []):
        gemini.Tool.model_validate(tool)
    for name, kind in (
        ("systemInstruction", gemini.Content),
        ("toolConfig", gemini.ToolConfig),
        ("generationConfig", gemini.GenerationConfig),
    ):
        if name in body:
            cast("Any", kind).model_validate(body[name])
