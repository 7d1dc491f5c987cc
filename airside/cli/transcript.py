"""A session's events as people read them, one after the other."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airside.cli.output import dollars, plain, show
from airside.cli.target import Api

_MOST_RESULT_LINES = 12
_RESTING = {"session.status_idle", "session.status_terminated"}


@dataclass(slots=True)
class Follower:
    """Follows a session to rest and adds up what happened on the way.

    A quiet one shows nothing of it but errors, on the standard error.
    """

    api: Api
    session_id: str
    quiet: bool
    text: str = ""
    tool_calls: int = 0
    stop_reason: str = ""
    position: int = 0
    _names: dict[str, str] = field(default_factory=dict)

    def follow(self, after: int = 0) -> None:
        """Show events until the session comes to rest."""
        for event in until_rest(self.api, self.session_id, after):
            self._take(event)
            if event["type"] in _RESTING:
                reason = event.get("stop_reason") or {"type": "terminated"}
                self.stop_reason = str(reason["type"])

    def _take(self, event: Mapping[str, Any]) -> None:
        self.position = int(event["sequence"])
        if event["type"] == "agent.message":
            self.text = text_of(event)
        elif event["type"] == "agent.tool_use":
            self.tool_calls += 1
        if not self.quiet:
            show_event(event, self._names)
        elif event["type"] == "session.error" and event["error"]["retry_status"]["type"] != "retrying":
            print(f"error: {plain(event['error']['message'])}", file=sys.stderr)


def until_rest(api: Api, session_id: str, after: int) -> Iterator[dict[str, Any]]:
    """A session's events from behind `after` on, up to the one with which it comes to rest."""
    for event in api.events(session_id, after):
        yield event
        if event["type"] in _RESTING:
            return


def text_of(event: Mapping[str, Any]) -> str:
    """The text of an event's content blocks."""
    return "".join(str(block.get("text", "")) for block in event.get("content") or [])


def show_event(event: Mapping[str, Any], names: dict[str, str]) -> None:
    """Print one event. `names` remembers which tool an open call is of."""
    for text, style in _lines(event, names):
        show(text, style)


def _lines(event: Mapping[str, Any], names: dict[str, str]) -> Iterator[tuple[str, str]]:
    match event["type"]:
        case "user.message":
            yield f"> {text_of(event)}", "bold"
        case "agent.message":
            yield text_of(event), ""
        case "agent.thinking":
            yield f"(thinking) {plain(text_of(event), 400)}", "dim italic"
        case "agent.tool_use":
            names[str(event["id"])] = str(event["name"])
            yield f"[{event['name']}] {_brief(event['input'])}", "cyan"
        case "agent.tool_result":
            yield from _result(event)
        case "span.model_request_end":
            yield _call(event), "dim"
        case "session.error":
            yield f"! {event['error']['message']}", "red"
        case "session.status_rescheduled":
            yield f"(interrupted: {event.get('reason', 'unknown')}; going on)", "yellow"
        case "session.resumed":
            yield f"(resumed: {event['tier']})", "yellow"
        case "session.status_idle":
            yield f"({event['stop_reason']['type']})", "dim"
        case "session.status_terminated":
            yield "(session is over)", "dim"
        case _:
            return


def _result(event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    lines = text_of(event).rstrip().splitlines()
    shown = lines[:_MOST_RESULT_LINES]
    style = "red" if event.get("is_error") else "dim"
    for line in shown:
        yield f"  {plain(line, 200)}", style
    if len(lines) > len(shown):
        yield f"  ... {len(lines) - len(shown)} more line(s)", "dim"


def _call(event: Mapping[str, Any]) -> str:
    usage = event["model_usage"]
    failed = [one for one in event["attempts"] if one["outcome"] == "failed"]
    path = "".join(f"{one['provider']} {one.get('status') or one.get('reason', 'failed')} -> " for one in failed)
    answered = f"{event['provider']}/{event['provider_model']}" if event["provider"] else f"status {event['status']}"
    read = usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"]
    return f"  model call: {path}{answered}, {read} in, {usage['output_tokens']} out, {dollars(event['cost_nanousd'])}"


def _brief(given: Any) -> str:
    if isinstance(given, dict) and len(given) == 1:
        return _brief(next(iter(given.values())))
    if isinstance(given, dict):
        for name in ("command", "cmd", "file_path", "filePath", "path"):
            if name in given:
                return plain(given[name], 300)
    if isinstance(given, list) and all(isinstance(one, dict) and "path" in one for one in given):
        return plain(", ".join(str(one["path"]) for one in given), 300)
    return plain(given if isinstance(given, str) else json.dumps(given, ensure_ascii=False), 300)
