"""What every dialect can do, and the failures that have a shape of their own in each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.usage import PromptCache, Usage


class DialectName(StrEnum):
    """The dialects, named as in the product's configuration."""

    ANTHROPIC = "anthropic"
    OPENAI_RESPONSES = "openai-responses"
    OPENAI_CHAT = "openai-chat"


class Operation(StrEnum):
    """What a request asks a vendor for."""

    ANSWER = "answer"
    COUNT_TOKENS = "count_tokens"
    MODELS = "models"


@dataclass(slots=True)
class VendorError(Exception):
    """A request the vendor would refuse, or a failure it would report. The dialect gives it its shape.

    `kind` and `code` replace what the dialect would say for the status.
    """

    status: int
    message: str
    kind: str | None = None
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Dialect(Protocol):
    """One vendor's wire. Holds no state."""

    name: DialectName

    def key_of(self, headers: Mapping[str, str]) -> str:
        """The key a request shows, empty if none; header names are in lower case."""
        ...

    def check(self, operation: Operation, headers: Mapping[str, str], body: JsonObject) -> None:
        """Raise `VendorError` where the vendor insists on a header or a field."""
        ...

    def read(self, body: JsonObject) -> Conversation:
        """The request in neutral form. Raises `VendorError` as the vendor refuses."""
        ...

    def count_prompt(self, cache: PromptCache, conversation: Conversation) -> Usage:
        """The input counters as this vendor's cache rules give them; the cache remembers the prompt."""
        ...

    def whole(self, reply: Reply) -> JsonObject:
        """The body of an answer that is not streamed."""
        ...

    def stream(self, reply: Reply) -> Iterator[Frame]:
        """The events of a streamed answer, in the vendor's order."""
        ...

    def error_body(self, error: VendorError, request_id: str) -> JsonObject:
        """The body of an error answer."""
        ...

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        """How a stream that began well reports a failure, as its last event; `already_sent` counts frames.

        `bare` asks for the plainer of two ways where the dialect has two.
        """
        ...

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        """The body of `GET /v1/models`."""
        ...

    def request_id_header(self) -> str:
        """The header that carries the vendor's request id."""
        ...


def compact(value: JsonValue) -> bytes:
    """JSON as the vendors send it: on one line, keys in the order they were written."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def server_sent(data: JsonValue, event: str | None = None) -> bytes:
    """One server-sent event."""
    named = f"event: {event}\n".encode() if event else b""
    return named + b"data: " + compact(data) + b"\n\n"
