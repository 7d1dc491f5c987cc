"""OpenAI Chat Completions, as platform.openai.com describes it and its SDK types it."""

from __future__ import annotations

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
from airside.testing.simulated.dialects.contract import (
    UNADDRESSED,
    Addressed,
    DialectName,
    Operation,
    VendorError,
    compact,
    server_sent,
)
from airside.testing.simulated.dialects.openai import OpenAiWire, error_fields
from airside.testing.simulated.embedding import as_json, packed, vector_of
from airside.testing.simulated.json_reading import as_count, as_list, as_object, as_text, joined_text, objects_in
from airside.testing.simulated.scripts.script import Stop
from airside.testing.simulated.usage import Segment, Usage, segment, tokens_in

_TEXT = frozenset({"text", "refusal"})
_DIMENSIONS = 1536
_DONE = Frame(b"data: [DONE]\n\n")


class OpenAiChat(OpenAiWire):
    """The dialect of `POST /v1/chat/completions`. What the model thinks is billed but not shown."""

    name = DialectName.OPENAI_CHAT

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        del addressed
        needed = {Operation.ANSWER: ("model", "messages"), Operation.EMBEDDINGS: ("model", "input")}
        for name in needed.get(operation, ()):
            if not body.get(name):
                raise VendorError(400, f"Missing required parameter: '{name}'.", param=name)

    def embeddings(self, model: str, body: JsonObject) -> JsonObject:
        """`POST /v1/embeddings`, in numbers or, as the vendor's SDK asks for by default, in base64 of 32-bit floats."""
        given = body["input"]
        texts = [given] if isinstance(given, str) else [as_text(one) for one in as_list(given)]
        dimensions = as_count(body.get("dimensions")) or _DIMENSIONS
        is_packed = body.get("encoding_format") == "base64"
        vectors = [vector_of(text, dimensions) for text in texts]
        data: list[JsonValue] = [
            {"object": "embedding", "index": index, "embedding": packed(vector) if is_packed else as_json(vector)}
            for index, vector in enumerate(vectors)
        ]
        tokens = sum(tokens_in(text) for text in texts)
        usage: JsonObject = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": data, "model": model, "usage": usage}

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        del addressed
        messages = objects_in(body.get("messages"))
        limit = as_count(body.get("max_completion_tokens"))
        response_format = as_object(as_object(body.get("response_format")).get("json_schema"))
        choice = as_object(body.get("tool_choice"))
        return Conversation(
            model=as_text(body.get("model")),
            entries=gather(entry for message in messages for entry in _entries(message)),
            prompt=_prompt(body, messages),
            instructions="\n".join(
                joined_text(message.get("content"), _TEXT)
                for message in messages
                if as_text(message.get("role")) in {"system", "developer"}
            ),
            tools=tuple(_tools(body)),
            streams=body.get("stream") is True,
            parallel_calls=body.get("parallel_tool_calls") is not False,
            max_output_tokens=as_count(body.get("max_tokens")) if limit is None else limit,
            answer_schema=as_object(response_format.get("schema")) or None,
            forced_tool=as_text((as_object(choice.get("function")) or as_object(choice.get("custom"))).get("name")),
        )

    def whole(self, reply: Reply) -> JsonObject:
        refused = reply.answer.stop is Stop.REFUSAL
        calls = _calls(reply)
        message: dict[str, JsonValue] = {
            "role": "assistant",
            "content": None if refused else reply.answer.say or None,
            "refusal": reply.answer.say if refused else None,
            "annotations": [],
        }
        if calls:
            message["tool_calls"] = calls
        choice: JsonObject = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": _finish_reason(reply),
        }
        return {**_head(reply, "chat.completion"), "choices": [choice], "usage": _usage(reply.usage)}

    def stream(self, reply: Reply) -> Iterator[Frame]:
        counted = as_object(reply.request.get("stream_options")).get("include_usage") is True
        field = "refusal" if reply.answer.stop is Stop.REFUSAL else "content"
        opening: JsonObject = {"role": "assistant", "content": "" if reply.answer.say else None, "refusal": None}
        yield _delta(reply, opening, counted)
        for piece in reply.pieces(reply.answer.say):
            yield _delta(reply, {field: piece}, counted, len(piece))
        for index, call in enumerate(_calls(reply)):
            yield from _call_deltas(reply, index, call, counted)
        yield _delta(reply, {}, counted, finish_reason=_finish_reason(reply))
        if counted:
            closing: JsonObject = {**_chunk_head(reply), "choices": [], "usage": _usage(reply.usage)}
            yield Frame(server_sent(closing))
        yield _DONE

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        del reply, already_sent, bare
        return Frame(server_sent({"error": error_fields(error)}))


def _entries(message: JsonObject) -> Iterator[Entry]:
    role = message.get("role")
    text = joined_text(message.get("content"), _TEXT)
    if role == "user":
        parts = [part for part in objects_in(message.get("content")) if part.get("type") in _TEXT]
        yield from (UserText(as_text(part.get("text"))) for part in parts)
        if not parts:
            yield UserText(text)
    elif role == "assistant":
        calls = [as_text(call.get("id")) for call in objects_in(message.get("tool_calls"))]
        yield ModelAnswer(text or as_text(message.get("refusal")), tuple(calls))
    elif role == "tool":
        yield ToolReturn(as_text(message.get("tool_call_id")))


def _tools(body: JsonObject) -> Iterator[OfferedTool]:
    for tool in objects_in(body.get("tools")):
        function = as_object(tool.get("function"))
        if function:
            yield OfferedTool(
                name=as_text(function.get("name")),
                schema=as_object(function.get("parameters")),
                description=as_text(function.get("description")),
            )


def _prompt(body: JsonObject, messages: list[JsonObject]) -> tuple[Segment, ...]:
    tools = [segment("tool", tool) for tool in objects_in(body.get("tools"))]
    return (*tools, *(segment("message", message) for message in messages))


def _calls(reply: Reply) -> list[JsonObject]:
    return [
        {
            "id": reply.call_id("call_", index),
            "type": "function",
            "function": {"name": call.tool.name, "arguments": compact(call.arguments).decode()},
        }
        for index, call in enumerate(reply.answer.calls)
    ]


def _finish_reason(reply: Reply) -> str:
    match reply.answer.stop:
        case Stop.TOOL_USE:
            return "tool_calls"
        case Stop.MAX_TOKENS | Stop.CONTEXT_WINDOW:
            return "length"
        case Stop.CONTENT_FILTER:
            return "content_filter"
        case Stop.END_TURN | Stop.STOP_SEQUENCE | Stop.PAUSE_TURN | Stop.REFUSAL:
            return "stop"


def _usage(usage: Usage) -> JsonObject:
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(reply: Reply, kind: str) -> dict[str, JsonValue]:
    return {
        "id": f"chatcmpl-{reply.stem}",
        "object": kind,
        "created": reply.created,
        "model": reply.conversation.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _chunk_head(reply: Reply) -> dict[str, JsonValue]:
    return _head(reply, "chat.completion.chunk")


def _delta(
    reply: Reply, delta: JsonObject, counted: bool, content_chars: int = 0, finish_reason: str | None = None
) -> Frame:
    choice: JsonObject = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    chunk = {**_chunk_head(reply), "choices": [choice]}
    if counted:
        chunk["usage"] = None
    return Frame(server_sent(chunk), content_chars)


def _call_deltas(reply: Reply, index: int, call: JsonObject, counted: bool) -> Iterator[Frame]:
    function = as_object(call.get("function"))
    arguments = as_text(function.get("arguments"))
    opening: JsonObject = {"index": index, **call, "function": {**function, "arguments": ""}}
    yield _delta(reply, {"tool_calls": [opening]}, counted)
    for piece in reply.pieces(arguments):
        more: JsonObject = {"index": index, "function": {"arguments": piece}}
        yield _delta(reply, {"tool_calls": [more]}, counted, len(piece))
