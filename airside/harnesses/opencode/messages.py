"""OpenCode's events, read as ours.

A conversation is made of messages, and a message of parts that are reported again and again as they grow: a text is
whole once it has an end time, a tool call has been answered once its state is `completed` or `error`.
"""

from __future__ import annotations

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
from airside.harnesses.json_values import number, part, text

_PAYMENT_REQUIRED = 402


class Turn:
    """One turn of one session, as far as its events have told it."""

    def __init__(self, session_id: str, *, known_inputs: set[str], known_calls: set[str]) -> None:
        self._session_id = session_id
        self._known_inputs = known_inputs  # the user's messages of earlier turns; this turn adds its own
        self._has_begun = False
        self._open_messages: set[str] = set()
        self._kinds: dict[str, str] = {}  # of the parts
        self._told: set[str] = set()  # parts that have been reported whole
        self._used = known_calls  # the parts of calls of all turns: one that was given up may be told of later
        self._answered: set[str] = set()
        self._failure: TurnEnded | None = None
        self._finish = ""  # of the agent's last message
        self.is_idle = False

    @property
    def is_settled(self) -> bool:
        """True if it has begun, is idle, and every message of the agent has been closed.

        When a turn fails or is aborted, the session is called idle before its last message and the results of its
        calls are reported; a second idle follows those, and may be heard only in the next turn.
        """
        return self.is_idle and not self._open_messages

    def end(self, *, interrupted: bool) -> TurnEnded:
        """How the turn ended; `interrupted`: we asked it to."""
        if self._failure is not None:
            return self._failure
        # Aborted before its first message, or between two, it says no word of it.
        cut_short = self._finish in {"", "tool-calls", "unknown"}
        return TurnEnded(TurnEnd.INTERRUPTED if interrupted and cut_short else TurnEnd.END_TURN)

    def events_of(self, event: JsonObject) -> Iterator[HarnessEvent]:
        """What one event means; nothing for most of them. Subagents, in sessions of their own, make calls too."""
        about = part(event, "properties")
        if text(about, "sessionID") != self._session_id:
            piece = part(about, "part")
            if event.get("type") == "message.part.updated" and text(piece, "type") == "tool":
                # Models may count their calls in each conversation anew.
                yield from self._on_call(piece, call_id=text(piece, "id"))
            return
        match event.get("type"):
            case "message.updated":
                self._on_message(part(about, "info"))
            case "message.part.updated":
                yield from self._on_part(part(about, "part"))
            case "message.part.delta" if about.get("field") == "text":
                if self._kinds.get(text(about, "partID")) == "text":
                    yield MessageDelta(text(about, "delta"))
            case "session.status":
                yield from self._on_status(part(about, "status"))
            case "session.idle":
                self.is_idle = self._has_begun
            case "session.error":
                self._has_begun = True
                self._failure = self._failure or _failure(part(about, "error"))

    def _on_message(self, info: JsonObject) -> None:
        if info.get("role") == "user" and text(info, "id") not in self._known_inputs:
            self._known_inputs.add(text(info, "id"))
            self._has_begun = True
        if info.get("role") != "assistant":
            return
        self._finish = text(info, "finish")
        error = part(info, "error")
        if error:
            self._failure = self._failure or _failure(error)
        elif self._finish == "content-filter":
            self._failure = TurnEnded(TurnEnd.REFUSAL)
        if error or number(part(info, "time"), "completed") is not None:
            self._open_messages.discard(text(info, "id"))
        else:
            self._open_messages.add(text(info, "id"))

    def _on_part(self, piece: JsonObject) -> Iterator[HarnessEvent]:
        number_, kind = text(piece, "id"), text(piece, "type")
        if kind == "tool":
            yield from self._on_call(piece, call_id=text(piece, "callID"))
            return
        # Only the agent's texts have times; the user's own comes without.
        if kind not in {"text", "reasoning"} or not part(piece, "time"):
            return
        self._kinds[number_] = kind
        if number(part(piece, "time"), "end") is None or number_ in self._told:
            return
        self._told.add(number_)
        whole = text(piece, "text")
        if whole:
            yield Message(whole) if kind == "text" else Thinking(whole)

    def _on_call(self, piece: JsonObject, *, call_id: str) -> Iterator[HarnessEvent]:
        number_, state = text(piece, "id") or call_id, part(piece, "state")
        status = text(state, "status")
        if status != "pending" and number_ not in self._used:
            self._used.add(number_)
            yield ToolUse(call_id, text(piece, "tool"), part(state, "input"))
        if status in {"completed", "error"} and number_ not in self._answered:
            self._answered.add(number_)
            yield _result(call_id, state)

    def _on_status(self, status: JsonObject) -> Iterator[HarnessEvent]:
        match status.get("type"):
            case "busy":
                self.is_idle = False
            case "retry":
                # It tells no status. It asks again after any error whose text holds a number such as 500 or words
                # such as "try again later", whatever the status was.
                yield Retrying(number(status, "attempt") or 1, None, None, text(status, "message"))


def _result(call_id: str, state: JsonObject) -> ToolResult:
    if state.get("status") == "error":
        return ToolResult(call_id, text(state, "error"), is_error=True)
    # A command that failed is a completed call to OpenCode; an aborted one has no exit code at all.
    about = part(state, "metadata")
    return ToolResult(call_id, text(state, "output"), is_error="exit" in about and about["exit"] != 0)


def _failure(error: JsonObject) -> TurnEnded:
    about = part(error, "data")
    if error.get("name") == "MessageAbortedError":
        return TurnEnded(TurnEnd.INTERRUPTED)
    detail = text(about, "message") or text(error, "name") or "OpenCode failed without saying why"
    if about.get("statusCode") == _PAYMENT_REQUIRED:
        return TurnEnded(TurnEnd.BUDGET_REACHED, detail)
    if error.get("name") == "ContentFilterError":
        return TurnEnded(TurnEnd.REFUSAL, detail)
    return TurnEnded(TurnEnd.FAILED, detail)
