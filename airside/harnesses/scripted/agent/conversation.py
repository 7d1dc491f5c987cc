"""The agent's session: a list of entries in no vendor's dialect, each on disk before anything follows from it.

An entry is `{"role": "user", "text"}`, `{"role": "assistant", "text", "calls": [{"id", "name", "input"}]}` or
`{"role": "tool", "id", "text", "is_error"}`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Conversation:
    """The entries of one session, in memory and on disk."""

    def __init__(self, folder: Path, session_id: str, *, resume: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{session_id}.jsonl"
        self.entries: list[dict[str, Any]] = _read(place) if resume and place.exists() else []
        # Written anew, so that a line that a killed process left unfinished does not spoil the next one.
        self._file = place.open("w", encoding="utf-8")
        for entry in self.entries:
            self._write(entry)

    def add(self, entry: dict[str, Any]) -> None:
        """Append an entry; it is on disk when this returns."""
        self.entries.append(entry)
        self._write(entry)

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def answer_open_calls(self, text: str) -> None:
        """Give every call that has no result this one: no model takes a conversation with calls left open."""
        answered = {entry["id"] for entry in self.entries if entry["role"] == "tool"}
        for call in [call for entry in self.entries for call in entry.get("calls", ())]:
            if call["id"] not in answered:
                self.add({"role": "tool", "id": call["id"], "text": text, "is_error": True})


def _read(place: Path) -> list[dict[str, Any]]:
    entries = []
    for line in place.read_text(encoding="utf-8").splitlines():
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries
