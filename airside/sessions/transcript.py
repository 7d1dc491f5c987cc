"""Between what a harness reports and what the log keeps, and from the log back to text for a harness that has lost it.

Payloads are those of the Managed Agents API. Long texts are cut for the log, with the number of characters left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airside.events import JsonObject, JsonValue, canonical_json
from airside.harnesses.contract import Message, Retrying, Thinking, ToolResult, ToolUse
from airside.ids import EventId
from airside.sessions.log import Event

MOST_CHARACTERS = 200_000  # of one text in the log
MOST_REPLAYED = 60_000  # of a conversation given back to a harness as text

UNKNOWN_OUTCOME = (
    "The outcome of this call is unknown: the agent's process ended while it was running. It may or may not have taken "
    "effect."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is about to be appended."""

    type: str
    payload: JsonObject


def text_content(text: str) -> JsonValue:
    """One text as a list of content blocks."""
    if len(text) <= MOST_CHARACTERS:
        return [{"type": "text", "text": text}]
    left_out = len(text) - MOST_CHARACTERS
    return [{"type": "text", "text": text[:MOST_CHARACTERS], "truncated_characters": left_out}]


class Recorder:
    """Turns the reports of one harness process into log entries, and remembers which tool calls are open."""

    def __init__(self) -> None:
        self._open: dict[str, EventId] = {}

    def entry(self, report: Message | Thinking | ToolUse | ToolResult | Retrying) -> Entry | None:
        """What to append for a report; None for the result of a call that was never reported."""
        match report:
            case Message(text=text):
                return Entry("agent.message", {"content": text_content(text)})
            case Thinking(text=text):
                return Entry("agent.thinking", {"content": text_content(text)})
            case ToolUse(name=name, input=given):
                return Entry("agent.tool_use", {"name": name, "input": _bounded(given)})
            case ToolResult(call_id=call_id, text=text, is_error=is_error):
                event_id = self._open.pop(call_id, None)
                return None if event_id is None else _result(event_id, text, is_error=is_error)
            case Retrying():
                return Entry("session.error", {"error": _retrying(report)})

    def opened(self, call_id: str, event_id: EventId) -> None:
        """Note under which event a tool call went into the log."""
        self._open[call_id] = event_id

    def abandoned(self) -> list[Entry]:
        """Results for the calls that are still open when the process is gone."""
        left = [_result(event_id, UNKNOWN_OUTCOME, is_error=True) for event_id in self._open.values()]
        self._open.clear()
        return left


def _result(event_id: EventId, text: str, *, is_error: bool) -> Entry:
    return Entry("agent.tool_result", {"tool_use_id": event_id, "content": text_content(text), "is_error": is_error})


def _bounded(given: JsonObject) -> JsonObject:
    text = canonical_json(given).decode()
    if len(text) <= MOST_CHARACTERS:
        return given
    return {"truncated": text[:MOST_CHARACTERS], "truncated_characters": len(text) - MOST_CHARACTERS}


def _retrying(report: Retrying) -> JsonObject:
    kind = "model_rate_limited_error" if report.status == 429 else "model_request_failed_error"
    return {
        "type": kind,
        "message": f"The model did not answer ({report.detail}); asking again, attempt {report.attempt}.",
        "retry_status": {"type": "retrying"},
    }


def error_payload(message: str, *, terminal: bool = False, kind: str = "unknown_error") -> JsonObject:
    """The payload of a `session.error` after which nothing is retried by itself."""
    status = "terminal" if terminal else "exhausted"
    return {"error": {"type": kind, "message": message, "retry_status": {"type": status}}}


def open_tool_uses(events: Iterable[Event]) -> list[Event]:
    """The tool calls in a log that have no result."""
    calls: dict[str, Event] = {}
    for event in events:
        if event.type == "agent.tool_use":
            calls[event.event_id] = event
        elif event.type == "agent.tool_result":
            calls.pop(str(event.payload["tool_use_id"]), None)
    return list(calls.values())


def unknown_outcome(call: Event) -> Entry:
    """The result that closes a call whose process is gone."""
    return _result(call.event_id, UNKNOWN_OUTCOME, is_error=True)


def describe_call(call: Event) -> str:
    """A tool call on one line."""
    given = canonical_json(call.payload["input"]).decode()
    return f"{call.payload['name']}({given[:500]})"


def continuation(unknown: Sequence[Event], why: str) -> str:
    """What a harness is told that still knows the conversation: go on, and what may have happened meanwhile."""
    lines = [f"[Airside] {why} The conversation so far is intact."]
    if unknown:
        lines.append("These tool calls were running then and their outcome is unknown:")
        lines += [f"- {describe_call(call)}" for call in unknown]
        lines.append("Check the state of the workspace before you repeat any of them.")
    lines.append("Go on with the task from where you were. Do not start over.")
    return "\n".join(lines)


def replay(events: Iterable[Event], unknown: Sequence[Event], why: str) -> str:
    """What a harness is told that has lost the conversation: the log as text, then the same as `continuation`."""
    told = [line for event in events if (line := _spoken(event))]
    text = "\n".join(told)
    if len(text) > MOST_REPLAYED:
        half = MOST_REPLAYED // 2
        text = f"{text[:half]}\n[... {len(text) - MOST_REPLAYED} characters left out ...]\n{text[-half:]}"
    head = f"[Airside] {why} Your own record of it is lost; this is the conversation so far, as it was logged:"
    tail = "\n".join(continuation(unknown, "That was the conversation.").splitlines()[1:])
    return f"{head}\n<conversation>\n{text}\n</conversation>\n{tail}"


def _spoken(event: Event) -> str | None:
    match event.type:
        case "user.message":
            return f"user: {_text_of(event)}"
        case "agent.message":
            return f"assistant: {_text_of(event)}"
        case "agent.tool_use":
            return f"tool call: {describe_call(event)}"
        case "agent.tool_result":
            return f"tool result: {_text_of(event)[:2000]}"
        case _:
            return None


def _text_of(event: Event) -> str:
    blocks = event.payload.get("content")
    if not isinstance(blocks, Sequence) or isinstance(blocks, str):
        return ""
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
