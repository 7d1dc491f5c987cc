"""Codex's notifications, read as our events.

The shapes are those of `codex app-server generate-json-schema`: a turn is made of items, and an item is a message of
the agent, a piece of reasoning, or a call of one of several kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from airside.events import JsonObject
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

_PAYMENT_REQUIRED = 402
# "session-flags: `tools.view_image` is ignored."
_IGNORED_SETTING = re.compile(r"session-flags: `([^`]*)` is ignored")
_NOT_CALLS = ("userMessage", "agentMessage", "reasoning", "plan", "contextCompaction", "hookPrompt")


def events_of(method: str, params: JsonObject) -> Iterator[HarnessEvent]:
    """What one notification means; nothing for most of them."""
    match method:
        case "item/agentMessage/delta":
            yield MessageDelta(text(params, "delta"))
        case "item/started":
            yield from _of_started(part(params, "item"))
        case "item/completed":
            yield from _of_completed(part(params, "item"))
        case "error" if params.get("willRetry") is True:
            yield _retrying(part(params, "error"))
        case "turn/completed":
            yield _turn_ended(part(params, "turn"))


def ignored_settings(message: JsonObject) -> list[str]:
    """Of the settings on the command line, those that a warning says are not known."""
    if message.get("method") != "configWarning":
        return []
    return _IGNORED_SETTING.findall(text(part(message, "params"), "summary"))


def _of_started(item: JsonObject) -> Iterator[HarnessEvent]:
    if text(item, "type") not in _NOT_CALLS:
        yield ToolUse(text(item, "id"), text(item, "type"), _input(item))


def _input(item: JsonObject) -> JsonObject:
    """What a call was given, by its kind."""
    match text(item, "type"):
        case "commandExecution":
            return {"command": text(item, "command"), "cwd": text(item, "cwd")}
        case "fileChange":
            return {"changes": items(item, "changes")}
        case "mcpToolCall":
            return {"server": text(item, "server"), "tool": text(item, "tool"), "arguments": item.get("arguments")}
        case _:
            return {name: value for name, value in item.items() if name not in {"id", "type", "status"}}


def _of_completed(item: JsonObject) -> Iterator[HarnessEvent]:
    match text(item, "type"):
        case "agentMessage":
            yield Message(text(item, "text"))
        case "reasoning":
            shown = "\n\n".join(_strings(item, "summary") or _strings(item, "content"))
            if shown:
                yield Thinking(shown)
        case kind if kind not in _NOT_CALLS:
            yield from _of_started(item)  # some items are reported only once they are complete
            yield ToolResult(text(item, "id"), _output(item), is_error=_failed(item))


def _strings(item: JsonObject, name: str) -> list[str]:
    found = item.get(name)
    return [value for value in found if isinstance(value, str)] if isinstance(found, list) else []


def _output(item: JsonObject) -> str:
    kind, status = text(item, "type"), text(item, "status")
    if kind == "commandExecution":
        output = text(item, "aggregatedOutput")
        code = number(item, "exitCode")
        return f"{output}\n[exit code {code}]".lstrip() if code else output or f"[{status}]"
    if kind == "fileChange":
        paths = ", ".join(f"{text(part(c, 'kind'), 'type')} {text(c, 'path')}" for c in items(item, "changes"))
        return f"{status}: {paths}"
    if kind == "mcpToolCall":
        failure = text(part(item, "error"), "message")
        contents = items(part(item, "result"), "content")
        return failure or "\n".join(text(content, "text") for content in contents)
    return status


def _failed(item: JsonObject) -> bool:
    return text(item, "status") in {"failed", "declined"}


def status_of(error: JsonObject) -> int | None:
    """The gateway's HTTP status behind an error, if there is one."""
    info = error.get("codexErrorInfo")
    if not isinstance(info, dict):
        return None
    # One key says what kind of failure it was, and may hold the status.
    return next((number(part(info, name), "httpStatusCode") for name in info), None)


def _retrying(error: JsonObject) -> Retrying:
    # "Reconnecting... 2/7": the attempt is told nowhere else.
    words = text(error, "message").rsplit(" ", 1)[-1].split("/")
    return Retrying(
        attempt=int(words[0]) if words[0].isdecimal() else 1,
        delay_ms=None,
        status=status_of(error),
        detail=text(error, "additionalDetails") or text(error, "message"),
    )


def _turn_ended(turn: JsonObject) -> TurnEnded:
    match text(turn, "status"):
        case "completed":
            return TurnEnded(TurnEnd.END_TURN)
        case "interrupted":
            return TurnEnded(TurnEnd.INTERRUPTED)
    error = part(turn, "error")
    reason = TurnEnd.BUDGET_REACHED if status_of(error) == _PAYMENT_REQUIRED else TurnEnd.FAILED
    return TurnEnded(reason, text(error, "message") or "Codex failed without saying why")
