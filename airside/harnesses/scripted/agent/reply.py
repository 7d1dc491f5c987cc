"""A model's answer while it is streamed: text as it comes, calls as their arguments arrive in pieces."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class StreamFailed(Exception):
    """The stream told of an error, or ended before the answer did."""


@dataclass
class _Call:
    id: str
    name: str
    arguments: str = ""


class Reply:
    """What has come so far. `on_text` hears every piece of text at once."""

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._calls: dict[object, _Call] = {}
        self.text = ""
        self.thinking = ""
        self.refused = False
        self.complete = False

    def add_text(self, piece: str) -> None:
        """Another piece of text."""
        self.text += piece
        self._on_text(piece)

    def open_call(self, key: object, call_id: str, name: str) -> None:
        """A call begins; `key` is what its pieces are told apart by."""
        self._calls[key] = _Call(call_id, name)

    def add_arguments(self, key: object, piece: str) -> None:
        """Another piece of a call's arguments."""
        self._calls[key].arguments += piece

    def finished_calls(self) -> list[dict[str, Any]]:
        """All calls. Raises `StreamFailed` unless the answer is whole and the arguments of each are JSON."""
        if not self.complete:
            raise StreamFailed("the stream ended before the answer did")
        calls = []
        for call in self._calls.values():
            try:
                given = json.loads(call.arguments or "{}")
            except ValueError:
                raise StreamFailed(f"the arguments of {call.name} are not JSON") from None
            calls.append({"id": call.id, "name": call.name, "input": given})
        return calls
