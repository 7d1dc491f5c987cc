"""OpenAI Responses, as platform.openai.com describes it and its SDK types it. Nothing is stored between requests."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterator

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply, ToolCall
from airside.testing.simulated.conversation import (
    Conversation,
    Entry,
    ModelAnswer,
    OfferedTool,
    ToolKind,
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
from airside.testing.simulated.json_reading import as_count, as_list, as_object, as_text, joined_text, objects_in
from airside.testing.simulated.scripts.script import Stop
from airside.testing.simulated.usage import Segment, Usage, segment

_TEXT = frozenset({"input_text", "output_text", "text", "refusal"})

# What a response repeats of its request, and what it says where the request is silent.
_REPEATED: dict[str, JsonValue] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "store": True,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}


class OpenAiResponses(OpenAiWire):
    """The dialect of `POST /v1/responses`."""

    name = DialectName.OPENAI_RESPONSES

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        del addressed
        for name in ("model", "input") if operation is Operation.ANSWER else ():
            if not body.get(name):
                raise VendorError(400, f"Missing required parameter: '{name}'.", param=name)
        previous = as_text(body.get("previous_response_id"))
        if previous:
            message = f"Previous response with id '{previous}' not found."
            raise VendorError(400, message, code="previous_response_not_found", param="previous_response_id")

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
        del addressed
        items = _items(body.get("input"))
        spoken = [_text(item) for item in items if as_text(item.get("role")) in {"system", "developer"}]
        late_tools = [tool for item in items if item.get("type") == "additional_tools" for tool in _tools(item)]
        return Conversation(
            model=as_text(body.get("model")),
            entries=gather(entry for item in items for entry in _entries(item)),
            prompt=_prompt(body, items),
            instructions="\n".join([as_text(body.get("instructions")), *spoken]),
            tools=(*_tools(body), *late_tools),
            streams=body.get("stream") is True,
            parallel_calls=body.get("parallel_tool_calls") is not False,
            max_output_tokens=as_count(body.get("max_output_tokens")),
            answer_schema=as_object(as_object(as_object(body.get("text")).get("format")).get("schema")) or None,
            forced_tool=as_text(as_object(body.get("tool_choice")).get("name")),
        )

    def whole(self, reply: Reply) -> JsonObject:
        return _finished(reply)

    def stream(self, reply: Reply) -> Iterator[Frame]:
        for sequence, (name, fields, content_chars) in enumerate(_events(reply)):
            yield _frame(name, fields, sequence, content_chars)

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        fields = error_fields(error)
        detail: JsonObject = {"code": fields["code"], "message": fields["message"]}
        if bare:
            return _frame("error", {**detail, "param": fields["param"]}, already_sent)
        failed: JsonObject = {**_head(reply), "status": "failed", "error": detail}
        return _frame("response.failed", {"response": failed}, already_sent)


def _items(given: JsonValue) -> list[JsonObject]:
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    return objects_in(given)


def _text(item: JsonObject) -> str:
    return joined_text(item.get("content"), _TEXT)


def _entries(item: JsonObject) -> Iterator[Entry]:
    kind = as_text(item.get("type")) or "message"
    call_id = as_text(item.get("call_id")) or as_text(item.get("id"))
    if kind == "message":
        if item.get("role") == "user":
            yield UserText(_text(item))
        elif item.get("role") == "assistant":
            yield ModelAnswer(_text(item))
    elif kind == "reasoning":
        yield ModelAnswer()
    elif kind.endswith("_call"):
        yield ModelAnswer(call_ids=(call_id,))
    elif kind.endswith("_call_output"):
        yield ToolReturn(call_id)


def _tools(holder: JsonObject, namespace: str | None = None) -> Iterator[OfferedTool]:
    for tool in objects_in(holder.get("tools")):
        kind = tool.get("type")
        name, description = as_text(tool.get("name")), as_text(tool.get("description"))
        if kind == "namespace":
            # `functions` is where tools live that have no namespace of their own.
            yield from _tools(tool, None if name == "functions" else name)
        elif kind == "function":
            schema = as_object(tool.get("parameters"))
            yield OfferedTool(name, ToolKind.FUNCTION, schema, description, namespace)
        elif kind == "custom":
            yield OfferedTool(name, ToolKind.CUSTOM, description=description, namespace=namespace)
        elif kind == "local_shell":
            yield OfferedTool("local_shell", ToolKind.LOCAL_SHELL)


def _prompt(body: JsonObject, items: list[JsonObject]) -> tuple[Segment, ...]:
    pieces = [segment("tool", tool) for tool in objects_in(body.get("tools"))]
    if body.get("instructions"):
        pieces.append(segment("instructions", body.get("instructions")))
    return (*pieces, *(_piece(item) for item in items))


def _piece(item: JsonObject) -> Segment:
    """An item as the cache knows it: without ids, and a message by its text however that is wrapped."""
    parts = objects_in(item.get("content"))
    if item.get("content") and all(as_text(part.get("type")) in _TEXT for part in parts):
        return segment(as_text(item.get("role")), _text(item))
    return segment("item", {name: value for name, value in item.items() if name != "id"})


def _head(reply: Reply) -> dict[str, JsonValue]:
    repeated = {name: reply.request.get(name, otherwise) for name, otherwise in _REPEATED.items()}
    return {
        "id": f"resp_{reply.stem}",
        "object": "response",
        "created_at": reply.created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": reply.conversation.model,
        "output": [],
        "usage": None,
        **repeated,
    }


def _finished(reply: Reply) -> JsonObject:
    reasons = {
        Stop.MAX_TOKENS: "max_output_tokens",
        Stop.CONTEXT_WINDOW: "max_output_tokens",
        Stop.CONTENT_FILTER: "content_filter",
    }
    reason = reasons.get(reply.answer.stop)
    return {
        **_head(reply),
        "status": "incomplete" if reason else "completed",
        "completed_at": None if reason else reply.created,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": _output(reply),
        "usage": _usage(reply.usage),
    }


def _usage(usage: Usage) -> JsonObject:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {
            "cached_tokens": usage.cache_read,
            "cache_write_tokens": usage.cache_write_5m + usage.cache_write_1h,
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


# --- output items --------------------------------------------------------------------------------------------------


def _output(reply: Reply) -> list[JsonValue]:
    answer = reply.answer
    items: list[JsonValue] = []
    if answer.think:
        items.append(_reasoning(reply, [{"type": "summary_text", "text": answer.think}]))
    if answer.say:
        items.append(_message(reply, "completed", [_spoken(reply, answer.say)]))
    items += [_call(reply, index, call, "completed") for index, call in enumerate(answer.calls)]
    return items


def _reasoning(reply: Reply, summary: list[JsonValue]) -> JsonObject:
    item: dict[str, JsonValue] = {"id": f"rs_{reply.stem}", "type": "reasoning", "summary": summary}
    if "reasoning.encrypted_content" in as_list(reply.request.get("include")):
        sealed = hashlib.sha256(reply.answer.think.encode()).digest()
        item["encrypted_content"] = b64encode(sealed).decode()
    return item


def _message(reply: Reply, status: str, content: list[JsonValue]) -> JsonObject:
    return {
        "id": f"msg_{reply.stem}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _spoken(reply: Reply, text: str) -> JsonObject:
    if reply.answer.stop is Stop.REFUSAL:
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(reply: Reply, index: int, call: ToolCall, status: str) -> JsonObject:
    call_id = reply.call_id("call_", index)
    if call.tool.kind is ToolKind.LOCAL_SHELL:
        action: JsonObject = {"type": "exec", "env": {}, **call.arguments}
        return {
            "id": reply.call_id("lsh_", index),
            "type": "local_shell_call",
            "status": status,
            "call_id": call_id,
            "action": action,
        }
    custom = call.tool.kind is ToolKind.CUSTOM
    item: dict[str, JsonValue] = {
        "id": reply.call_id("ctc_" if custom else "fc_", index),
        "type": "custom_tool_call" if custom else "function_call",
        "status": status,
        "call_id": call_id,
        "name": call.tool.name,
        "input" if custom else "arguments": _written(call),
    }
    if call.tool.namespace is not None:
        item["namespace"] = call.tool.namespace
    return item


def _written(call: ToolCall) -> str:
    return call.text if call.tool.kind is ToolKind.CUSTOM else compact(call.arguments).decode()


# --- the stream ----------------------------------------------------------------------------------------------------

_Event = tuple[str, JsonObject, int]


def _frame(name: str, fields: JsonObject, sequence: int, content_chars: int = 0) -> Frame:
    return Frame(server_sent({"type": name, **fields, "sequence_number": sequence}, name), content_chars)


def _events(reply: Reply) -> Iterator[_Event]:
    head = _head(reply)
    yield "response.created", {"response": head}, 0
    yield "response.in_progress", {"response": head}, 0
    position = 0
    for written in (_reasoning_events, _message_events, _call_events):
        for events in written(reply):
            # What differs between items is added here, once: where in the output the item stands.
            for name, fields, chars in events:
                yield name, {**fields, "output_index": position}, chars
            position += 1
    finished = _finished(reply)
    yield f"response.{as_text(finished.get('status'))}", {"response": finished}, 0


def _reasoning_events(reply: Reply) -> Iterator[list[_Event]]:
    thought = reply.answer.think
    if not thought:
        return
    at: JsonObject = {"item_id": f"rs_{reply.stem}", "summary_index": 0}
    part: JsonObject = {"type": "summary_text", "text": thought}
    yield [
        ("response.output_item.added", {"item": _reasoning(reply, [])}, 0),
        ("response.reasoning_summary_part.added", {**at, "part": {"type": "summary_text", "text": ""}}, 0),
        *(
            ("response.reasoning_summary_text.delta", {**at, "delta": piece}, len(piece))
            for piece in reply.pieces(thought)
        ),
        ("response.reasoning_summary_text.done", {**at, "text": thought}, 0),
        ("response.reasoning_summary_part.done", {**at, "part": part}, 0),
        ("response.output_item.done", {"item": _reasoning(reply, [part])}, 0),
    ]


def _message_events(reply: Reply) -> Iterator[list[_Event]]:
    said = reply.answer.say
    if not said:
        return
    at: JsonObject = {"item_id": f"msg_{reply.stem}", "content_index": 0}
    refused = reply.answer.stop is Stop.REFUSAL
    name, field = ("response.refusal", "refusal") if refused else ("response.output_text", "text")
    extra: JsonObject = {} if refused else {"logprobs": []}
    yield [
        ("response.output_item.added", {"item": _message(reply, "in_progress", [])}, 0),
        ("response.content_part.added", {**at, "part": _spoken(reply, "")}, 0),
        *((f"{name}.delta", {**at, "delta": piece, **extra}, len(piece)) for piece in reply.pieces(said)),
        (f"{name}.done", {**at, field: said, **extra}, 0),
        ("response.content_part.done", {**at, "part": _spoken(reply, said)}, 0),
        ("response.output_item.done", {"item": _message(reply, "completed", [_spoken(reply, said)])}, 0),
    ]


def _call_events(reply: Reply) -> Iterator[list[_Event]]:
    for index, call in enumerate(reply.answer.calls):
        done = _call(reply, index, call, "completed")
        if call.tool.kind is ToolKind.LOCAL_SHELL:
            size = len(compact(call.arguments))
            yield [
                ("response.output_item.added", {"item": _call(reply, index, call, "in_progress")}, 0),
                ("response.output_item.done", {"item": done}, size),
            ]
            continue
        custom = call.tool.kind is ToolKind.CUSTOM
        name = "response.custom_tool_call_input" if custom else "response.function_call_arguments"
        field = "input" if custom else "arguments"
        at: JsonObject = {"item_id": done["id"]}
        written = _written(call)
        yield [
            ("response.output_item.added", {"item": {**_call(reply, index, call, "in_progress"), field: ""}}, 0),
            *((f"{name}.delta", {**at, "delta": piece}, len(piece)) for piece in reply.pieces(written)),
            (f"{name}.done", {**at, field: written}, 0),
            ("response.output_item.done", {"item": done}, 0),
        ]
