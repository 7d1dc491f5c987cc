"""Claude Code's own record of a session: JSON lines, one file a session, in a folder named after the workspace."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from airside.events import JsonObject
from airside.harnesses.home_files import find_files, read_file
from airside.harnesses.json_values import items, part, text

SESSION_FILES = (".claude/projects",)


def lines(home: Path, session_id: str) -> Iterator[JsonObject]:
    """What the transcript holds; a line cut off by a killed process is passed over, as Claude Code does."""
    for name in find_files(home, f".claude/projects/*/{session_id}.jsonl"):
        for line in (read_file(home, name) or b"").splitlines():
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                yield message


def holds_session(home: Path, session_id: str) -> bool:
    """True if there is a message to go on from: with none, `--resume` finds no conversation."""
    return any(message.get("type") in {"user", "assistant"} for message in lines(home, session_id))


def holds_input(home: Path, session_id: str, given: str) -> bool:
    """True if a user message with this text is in the transcript."""
    return any(given in _texts(message) for message in lines(home, session_id) if message.get("type") == "user")


def _texts(message: JsonObject) -> list[str]:
    inner = part(message, "message")
    return [text(inner, "content"), *(text(block, "text") for block in items(inner, "content"))]
