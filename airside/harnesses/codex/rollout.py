"""Codex's own record of a conversation: JSON lines, one "rollout" file each, in folders by date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from airside.events import JsonObject
from airside.harnesses.home_files import find_files, read_file
from airside.harnesses.json_values import items, part, text

SESSION_FILES = (".codex/sessions",)


def _payloads(home: Path, thread_id: str) -> Iterator[tuple[str, JsonObject]]:
    for name in find_files(home, f".codex/sessions/*/*/*/rollout-*-{thread_id}.jsonl"):
        for line in (read_file(home, name) or b"").splitlines():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue  # cut off by a killed process; Codex passes over it too
            if isinstance(entry, dict):
                yield text(entry, "type"), part(entry, "payload")


def holds_session(home: Path, thread_id: str) -> bool:
    """True if there is a rollout of this conversation. It is written with its first turn, not before."""
    return any(kind == "session_meta" for kind, _ in _payloads(home, thread_id))


def holds_input(home: Path, thread_id: str, given: str) -> bool:
    """True if a user message with this text is in the rollout."""
    return any(
        payload.get("role") == "user" and any(text(block, "text") == given for block in items(payload, "content"))
        for kind, payload in _payloads(home, thread_id)
        if kind == "response_item"
    )
