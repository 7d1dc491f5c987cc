"""Anthropic Messages, as docs.anthropic.com describes it and its SDK types it (API version 2023-06-01)."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply, ToolCall
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
    SERVER_SENT_EVENTS,
    UNADDRESSED,
    Account,
    Addressed,
    Asked,
    DialectName,
    Operation,
    VendorError,
    admit_key,
    bearer,
    compact,
    server_sent,
)
from airside.testing.simulated.json_reading import (
    as_count,
    as_list,
    as_object,
    as_text,
    joined_text,
    objects_in,
)
from airside.testing.simulated.scripts.script import Stop
from airside.testing.simulated.usage import PromptCache, Segment, Usage, cache_mark, segment

_TEXT = frozenset({"text"})
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class AnthropicMessages:
    """The dialect of `POST /v1/messages`."""

    name = DialectName.ANTHROPIC
    stream_type = SERVER_SENT_EVENTS

    def admit(self, asked: Asked, account: Account) -> None:
        admit_key(asked.headers.get("x-api-key") or bearer(asked.headers), account)

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        if "anthropic-version" not in addressed.headers:
            raise VendorError(400, "anthropic-version: header is required")
        require_fields(operation, body)

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        del addressed
        messages = objects_in(body.get("messages"))
        system = _system_blocks(body.get("system"))
        spoken_system = [joined_text(message.get("content"), _TEXT) for message in messages if _is_system(message)]
        output = as_object(as_object(body.get("output_config")).get("format")) or as_object(body.get("output_format"))
        return Conversation(
            model=as_text(body.get("model")),
            entries=gather(entry for message in messages for entry in _entries(message)),
            prompt=tuple(_prompt(body, system, messages)),
            instructions="\n".join([*(as_text(block.get("text")) for block in system), *spoken_system]),
            tools=tuple(_tool(tool) for tool in objects_in(body.get("tools")) if "input_schema" in tool),
            streams=body.get("stream") is True,
            parallel_calls=as_object(body.get("tool_choice")).get("disable_parallel_tool_use") is not True,
            max_output_tokens=as_count(body.get("max_tokens")),
            answer_schema=as_object(output.get("schema")) or None,
            forced_tool=as_text(as_object(body.get("tool_choice")).get("name")),
        )

    def count_prompt(self, cache: PromptCache, conversation: Conversation) -> Usage:
        return cache.count_marked(conversation.model, conversation.prompt)

    def whole(self, reply: Reply) -> JsonObject:
        return {
            **_message_head(reply),
            "content": _content(reply),
            "stop_reason": _stop_reason(reply),
            "stop_sequence": _stop_sequence(reply),
            "stop_details": _stop_details(reply),
            "usage": _opening_usage(reply.usage, reply.usage.output),
        }

    def stream(self, reply: Reply) -> Iterator[Frame]:
        # One token is out before the vendor writes the first event.
        start = {
            **_message_head(reply),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "usage": _opening_usage(reply.usage, 1),
        }
        yield _event("message_start", {"message": start})
        yield _event("ping", {})
        for index, (block, deltas) in enumerate(_blocks(reply)):
            yield _event("content_block_start", {"index": index, "content_block": block})
            for delta, chars in deltas:
                yield _event("content_block_delta", {"index": index, "delta": delta}, chars)
            yield _event("content_block_stop", {"index": index})
        ended = {
            "stop_reason": _stop_reason(reply),
            "stop_sequence": _stop_sequence(reply),
            "stop_details": _stop_details(reply),
        }
        yield _event("message_delta", {"delta": ended, "usage": _usage(reply.usage, reply.usage.output)})
        yield _event("message_stop", {})

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        return {"type": "error", "error": _error(error), "request_id": request_id}

    def error_headers(self, error: VendorError) -> Mapping[str, str]:
        del error
        return {}

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        del already_sent, bare
        return _event("error", {"error": _error(error), "request_id": f"req_{reply.stem}"})

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        at = datetime.fromtimestamp(created, UTC).isoformat()
        data: list[JsonValue] = [
            {"type": "model", "id": name, "display_name": name, "created_at": at} for name in models
        ]
        return {"data": data, "has_more": False, "first_id": models[0], "last_id": models[-1]}

    def token_count(self, tokens: int) -> JsonObject:
        return {"input_tokens": tokens}

    def request_id_header(self) -> str:
        return "request-id"


def require_fields(operation: Operation, body: JsonObject, *, but: str = "") -> None:
    """Raise `VendorError` if a field is missing that every request has, `but` one that travels elsewhere."""
    required = {
        Operation.ANSWER: ("model", "messages", "max_tokens"),
        Operation.COUNT_TOKENS: ("model", "messages"),
    }
    for name in required.get(operation, ()):
        if name != but and not body.get(name):
            raise VendorError(400, f"{name}: Field required")


def _is_system(message: JsonObject) -> bool:
    return message.get("role") == "system"


def _system_blocks(system: JsonValue) -> list[JsonObject]:
    return [{"type": "text", "text": system}] if isinstance(system, str) else objects_in(system)


def _blocks_of(message: JsonObject) -> list[JsonObject]:
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else objects_in(content)


def _entries(message: JsonObject) -> Iterator[Entry]:
    blocks = _blocks_of(message)
    if message.get("role") == "assistant":
        calls = [as_text(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
        yield ModelAnswer(joined_text(blocks, _TEXT), tuple(calls))
    elif message.get("role") == "user":
        for block in blocks:
            if block.get("type") == "tool_result":
                yield ToolReturn(as_text(block.get("tool_use_id")))
        # Each by itself: a gateway that joins messages leaves what a harness wrote beside what a person did.
        yield from (UserText(as_text(block.get("text"))) for block in blocks if as_text(block.get("text")))


def _tool(tool: JsonObject) -> OfferedTool:
    return OfferedTool(
        name=as_text(tool.get("name")),
        schema=as_object(tool.get("input_schema")),
        description=as_text(tool.get("description")),
    )


def _prompt(body: JsonObject, system: list[JsonObject], messages: list[JsonObject]) -> list[Segment]:
    """The input in the order the vendor caches it: tools, system, messages."""
    pieces = [segment("tool", tool, cache_mark(tool)) for tool in objects_in(body.get("tools"))]
    pieces += [segment("system", block, cache_mark(block)) for block in system]
    for message in messages:
        pieces += [segment(as_text(message.get("role")), block, cache_mark(block)) for block in _blocks_of(message)]
    if pieces and as_object(body.get("cache_control")):
        last = pieces[-1]
        pieces[-1] = Segment(last.digest, last.tokens, last.mark or cache_mark(body))
    return pieces


def _message_head(reply: Reply) -> dict[str, JsonValue]:
    return {"id": f"msg_{reply.stem}", "type": "message", "role": "assistant", "model": reply.conversation.model}


def _usage(usage: Usage, output: int) -> dict[str, JsonValue]:
    return {
        "input_tokens": usage.uncached,
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": min(usage.reasoning, output)},
    }


def _opening_usage(usage: Usage, output: int) -> JsonObject:
    writes = {"ephemeral_5m_input_tokens": usage.cache_write_5m, "ephemeral_1h_input_tokens": usage.cache_write_1h}
    return {**_usage(usage, output), "cache_creation": writes, "service_tier": "standard"}


def _stop_reason(reply: Reply) -> str:
    stop = reply.answer.stop
    return Stop.REFUSAL.value if stop is Stop.CONTENT_FILTER else stop.value


def _stop_sequence(reply: Reply) -> str | None:
    if reply.answer.stop is not Stop.STOP_SEQUENCE:
        return None
    return next((as_text(stop) for stop in as_list(reply.request.get("stop_sequences"))), None)


def _stop_details(reply: Reply) -> JsonObject | None:
    if reply.answer.stop not in {Stop.REFUSAL, Stop.CONTENT_FILTER}:
        return None
    return {"type": "refusal", "category": None, "explanation": None}


def _signature(thinking: str) -> str:
    return b64encode(hashlib.sha256(thinking.encode()).digest()).decode()


def _tool_use(reply: Reply, index: int, call: ToolCall, arguments: JsonObject) -> JsonObject:
    return {
        "type": "tool_use",
        "id": reply.call_id("toolu_", index),
        "name": call.tool.name,
        "input": arguments,
    }


def _content(reply: Reply) -> list[JsonValue]:
    content: list[JsonValue] = []
    if reply.answer.think:
        thinking = reply.answer.think
        content.append({"type": "thinking", "thinking": thinking, "signature": _signature(thinking)})
    if reply.answer.say:
        content.append({"type": "text", "text": reply.answer.say})
    content += [_tool_use(reply, index, call, call.arguments) for index, call in enumerate(reply.answer.calls)]
    return content


_Deltas = list[tuple[JsonObject, int]]


def _blocks(reply: Reply) -> Iterator[tuple[JsonObject, _Deltas]]:
    """Each content block as it opens, with the deltas that fill it."""
    answer = reply.answer
    if answer.think:
        deltas: _Deltas = [
            ({"type": "thinking_delta", "thinking": piece}, len(piece)) for piece in reply.pieces(answer.think)
        ]
        deltas.append(({"type": "signature_delta", "signature": _signature(answer.think)}, 0))
        yield {"type": "thinking", "thinking": "", "signature": ""}, deltas
    if answer.say:
        yield (
            {"type": "text", "text": ""},
            [({"type": "text_delta", "text": piece}, len(piece)) for piece in reply.pieces(answer.say)],
        )
    for index, call in enumerate(answer.calls):
        spelled = compact(call.arguments).decode()
        pieces = ["", *reply.pieces(spelled)]  # the vendor opens with an empty piece
        yield (
            _tool_use(reply, index, call, {}),
            [({"type": "input_json_delta", "partial_json": piece}, len(piece)) for piece in pieces],
        )


def _error(error: VendorError) -> JsonObject:
    kind = error.kind or _ERROR_TYPES.get(error.status, "api_error")
    return {"type": kind, "message": error.message}


def _event(name: str, fields: JsonObject, content_chars: int = 0) -> Frame:
    return Frame(server_sent({"type": name, **fields}, name), content_chars)
