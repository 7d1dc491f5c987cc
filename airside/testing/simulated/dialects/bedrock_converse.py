"""Amazon Bedrock's `Converse`, the same for every model, as the Bedrock API reference describes it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.conversation import (
    Conversation,
    Entry,
    ModelAnswer,
    OfferedTool,
    ToolReturn,
    UserText,
    gather,
)
from airside.testing.simulated.dialects.bedrock import BedrockWire, framed
from airside.testing.simulated.dialects.contract import (
    UNADDRESSED,
    Addressed,
    DialectName,
    Operation,
    VendorError,
    compact,
)
from airside.testing.simulated.json_reading import as_count, as_object, as_text, objects_in
from airside.testing.simulated.scripts.script import Stop
from airside.testing.simulated.usage import PromptCache, Usage, segment

_FIELDS = frozenset({
    "messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "guardrailConfig",
    "promptVariables", "additionalModelResponseFieldPaths", "requestMetadata", "performanceConfig", "outputConfig",
})  # fmt: skip
#: Of models that the reference does not list for structured output.
_WITHOUT_SCHEMAS = ("amazon.", "meta.", "cohere.", "ai21.")
_STOPS = {
    Stop.MAX_TOKENS: "max_tokens",
    Stop.STOP_SEQUENCE: "stop_sequence",
    Stop.CONTENT_FILTER: "content_filtered",
    Stop.REFUSAL: "content_filtered",
}


class BedrockConverse(BedrockWire):
    """The dialect of `POST /model/{id}/converse` and `/converse-stream`."""

    name = DialectName.BEDROCK_CONVERSE

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        del operation
        unknown = sorted(body.keys() - _FIELDS)
        if unknown:
            raise VendorError(400, f"1 validation error detected: unknown field {unknown[0]!r}")
        messages = objects_in(body.get("messages"))
        if not messages or as_text(messages[0].get("role")) != "user":
            raise VendorError(400, "A conversation must start with a user message.")
        roles = [as_text(message.get("role")) for message in messages]
        if any(first == second for first, second in itertools.pairwise(roles)):
            raise VendorError(400, "A conversation must alternate between user and assistant roles.")
        if "outputConfig" in body and addressed.model.startswith(_WITHOUT_SCHEMAS):
            raise VendorError(400, "This model doesn't support the outputConfig.textFormat field.")
        for message in messages:
            if not objects_in(message.get("content")):
                raise VendorError(400, "The content field in the Message object is empty.")

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        messages = objects_in(body.get("messages"))
        system = objects_in(body.get("system"))
        tools = [as_object(tool.get("toolSpec")) for tool in objects_in(as_object(body.get("toolConfig")).get("tools"))]
        choice = as_object(as_object(body.get("toolConfig")).get("toolChoice"))
        return Conversation(
            model=addressed.model,
            entries=gather(entry for message in messages for entry in _entries(message)),
            prompt=tuple(segment("converse", part) for part in [*tools, *system, *messages]),
            instructions="\n".join(as_text(block.get("text")) for block in system),
            tools=tuple(_tool(tool) for tool in tools if tool),
            streams=addressed.streams,
            max_output_tokens=as_count(as_object(body.get("inferenceConfig")).get("maxTokens")),
            answer_schema=_answer_schema(body) or None,
            forced_tool=as_text(as_object(choice.get("tool")).get("name")),
        )

    def count_prompt(self, cache: PromptCache, conversation: Conversation) -> Usage:
        return cache.count_all(conversation.model, conversation.prompt)

    def whole(self, reply: Reply) -> JsonObject:
        answer = reply.answer
        content: list[JsonValue] = [{"text": answer.say}] if answer.say else []
        content += [
            {
                "toolUse": {
                    "toolUseId": reply.call_id("tooluse_", index),
                    "name": call.tool.name,
                    "input": call.arguments,
                }
            }
            for index, call in enumerate(answer.calls)
        ]
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": _stop_reason(reply),
            "usage": _usage(reply.usage),
            "metrics": {"latencyMs": 1},
        }

    def stream(self, reply: Reply) -> Iterator[Frame]:
        yield _event("messageStart", {"role": "assistant"})
        index = 0
        for piece in reply.pieces(reply.answer.say):
            yield _event("contentBlockDelta", {"contentBlockIndex": index, "delta": {"text": piece}}, len(piece))
        if reply.answer.say:
            yield _event("contentBlockStop", {"contentBlockIndex": index})
            index += 1
        for number, call in enumerate(reply.answer.calls):
            tool: JsonObject = {"toolUseId": reply.call_id("tooluse_", number), "name": call.tool.name}
            yield _event("contentBlockStart", {"contentBlockIndex": index, "start": {"toolUse": tool}})
            text = compact(call.arguments).decode()
            for piece in reply.pieces(text):
                delta: JsonObject = {"toolUse": {"input": piece}}
                yield _event("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}, len(piece))
            yield _event("contentBlockStop", {"contentBlockIndex": index})
            index += 1
        yield _event("messageStop", {"stopReason": _stop_reason(reply)})
        yield _event("metadata", {"usage": _usage(reply.usage), "metrics": {"latencyMs": 1}})

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        del created
        return {"modelSummaries": [{"modelId": name} for name in models]}


def _event(kind: str, payload: JsonObject, content_chars: int = 0) -> Frame:
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return Frame(framed(headers, compact({**payload, "p": "abc"})), content_chars)


def _stop_reason(reply: Reply) -> str:
    return "tool_use" if reply.answer.calls else _STOPS.get(reply.answer.stop, "end_turn")


def _usage(usage: Usage) -> JsonObject:
    return {
        "inputTokens": usage.uncached,
        "outputTokens": usage.output,
        "cacheReadInputTokens": usage.cache_read,
        "totalTokens": usage.uncached + usage.cache_read + usage.output,
    }


def _entries(message: JsonObject) -> Iterator[Entry]:
    blocks = objects_in(message.get("content"))
    text = "\n".join(as_text(block.get("text")) for block in blocks if "text" in block)
    if message.get("role") == "assistant":
        calls = [as_object(block["toolUse"]) for block in blocks if "toolUse" in block]
        yield ModelAnswer(text, tuple(as_text(call.get("toolUseId")) for call in calls))
        return
    for block in blocks:
        if "toolResult" in block:
            yield ToolReturn(as_text(as_object(block["toolResult"]).get("toolUseId")))
    if text:
        yield UserText(text)


def _answer_schema(body: JsonObject) -> JsonObject:
    """The schema of the answer, which stands as text in the request."""
    form = as_object(as_object(body.get("outputConfig")).get("textFormat"))
    text = as_text(as_object(as_object(form.get("structure")).get("jsonSchema")).get("schema"))
    if not text:
        return {}
    try:
        return as_object(json.loads(text))
    except ValueError as error:
        raise VendorError(400, "The schema of outputConfig.textFormat is no JSON.") from error


def _tool(tool: JsonObject) -> OfferedTool:
    return OfferedTool(
        name=as_text(tool.get("name")),
        schema=as_object(as_object(tool.get("inputSchema")).get("json")),
        description=as_text(tool.get("description")),
    )
