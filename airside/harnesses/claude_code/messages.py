"""Claude Code's stream of JSON objects, read as our events.

The shapes are those of `--output-format stream-json`: `assistant` and `user` hold messages of the Messages API, one
content block each; `stream_event` its streaming events; `system` and `result` are the harness's own.
"""

from __future__ import annotations

from collections.abc import Iterator

from airside.events import JsonObject, JsonValue
from airside.harnesses.contract import (
    HarnessEvent,
    Message,
    MessageDelta,
    Retrying,
    Thinking,
    ToolResult,
    ToolUse,
    TurnEnd,
    TurnEnded,
)
from airside.harnesses.json_values import items, number, part, text

_MADE_BY_HARNESS = "<synthetic>"  # the model named on messages that no model wrote, such as that of an API error
_PAYMENT_REQUIRED = 402


def events_of(message: JsonObject) -> Iterator[HarnessEvent]:
    """What one object means; nothing for most of them."""
    match message.get("type"):
        case "assistant":
            yield from _of_assistant(message)
        case "user":
            yield from _of_tool_results(message)
        case "stream_event":
            yield from _of_delta(message)
        case "system" if message.get("subtype") == "api_retry":
            yield _retrying(message)
        case "result":
            yield _turn_ended(message)


def _of_assistant(message: JsonObject) -> Iterator[HarnessEvent]:
    content = part(message, "message")
    if content.get("model") == _MADE_BY_HARNESS:
        return
    of_subagent = message.get("parent_tool_use_id") is not None
    for block in items(content, "content"):
        match block.get("type"):
            case "text" if not of_subagent:
                yield Message(text(block, "text"))
            case "thinking" if not of_subagent and block.get("thinking"):
                yield Thinking(text(block, "thinking"))
            case "tool_use":
                yield ToolUse(text(block, "id"), text(block, "name"), part(block, "input"))


def _of_tool_results(message: JsonObject) -> Iterator[HarnessEvent]:
    for block in items(part(message, "message"), "content"):
        if block.get("type") == "tool_result":
            yield ToolResult(
                text(block, "tool_use_id"), _plain_text(block.get("content")), block.get("is_error") is True
            )


def _plain_text(content: JsonValue) -> str:
    """The text of a tool result, which is a string or a list of blocks; other blocks are named, not shown."""
    if isinstance(content, str):
        return content
    blocks = items({"content": content}, "content")
    return "\n".join(text(b, "text") if b.get("type") == "text" else f"[{text(b, 'type')}]" for b in blocks)


def _of_delta(message: JsonObject) -> Iterator[HarnessEvent]:
    delta = part(part(message, "event"), "delta")
    if delta.get("type") == "text_delta" and message.get("parent_tool_use_id") is None:
        yield MessageDelta(text(delta, "text"))


def _retrying(message: JsonObject) -> Retrying:
    return Retrying(
        attempt=number(message, "attempt") or 1,
        delay_ms=number(message, "retry_delay_ms"),
        status=number(message, "error_status"),
        detail=text(message, "error"),
    )


def _turn_ended(message: JsonObject) -> TurnEnded:
    if text(message, "terminal_reason").startswith("aborted"):
        return TurnEnded(TurnEnd.INTERRUPTED)
    detail = text(message, "result") or "; ".join(_errors(message)) or None
    if message.get("api_error_status") == _PAYMENT_REQUIRED:
        return TurnEnded(TurnEnd.BUDGET_REACHED, detail)
    if message.get("stop_reason") == "refusal":
        return TurnEnded(TurnEnd.REFUSAL, detail)
    if message.get("is_error") is True:
        return TurnEnded(TurnEnd.FAILED, detail or "Claude Code failed without saying why")
    return TurnEnded(TurnEnd.END_TURN)


def _errors(message: JsonObject) -> list[str]:
    found = message.get("errors")
    return [error for error in found if isinstance(error, str)] if isinstance(found, list) else []
