"""What every dialect can do, and the failures that have a shape of their own in each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.usage import PromptCache, Usage

SERVER_SENT_EVENTS = "text/event-stream; charset=utf-8"


class DialectName(StrEnum):
    """The dialects, named as in the product's configuration."""

    ANTHROPIC = "anthropic"
    OPENAI_RESPONSES = "openai-responses"
    OPENAI_CHAT = "openai-chat"
    GEMINI = "gemini"
    BEDROCK_CONVERSE = "bedrock-converse"


class Operation(StrEnum):
    """What a request asks a vendor for."""

    ANSWER = "answer"
    COUNT_TOKENS = "count_tokens"
    MODELS = "models"
    EMBEDDINGS = "embeddings"
    COMPACT = "compact"
    CREDENTIAL = "credential"  # asks an identity service for a token


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived."""

    method: str
    raw_path: str  # as sent: with the provider's segment, still percent-encoded, without the query
    query: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Addressed:
    """What a request says beside its body."""

    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    model: str = ""  # that the path names
    streams: bool = False  # as the path says


UNADDRESSED = Addressed()


@dataclass(frozen=True, slots=True)
class Account:
    """What a vendor knows of whom it serves."""

    now: datetime
    key: str | None = None  # the one key it accepts; None accepts any that is not empty
    tokens: Mapping[str, datetime] = field(default_factory=dict)  # OAuth tokens it issued, with their ends


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that an identity service gave out."""

    token: str
    ends: datetime
    body: JsonObject  # of the answer that carries it


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

    @property
    def stream_type(self) -> str:
        """The content type of a streamed answer."""
        ...

    def admit(self, asked: Asked, account: Account) -> None:
        """Raise `VendorError` where the vendor would not let the request in."""
        ...

    def check(self, operation: Operation, addressed: Addressed, body: JsonObject) -> None:
        """Raise `VendorError` where the vendor insists on a header or a field."""
        ...

    def read(self, body: JsonObject, addressed: Addressed = UNADDRESSED) -> Conversation:
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

    def error_headers(self, error: VendorError) -> Mapping[str, str]:
        """What the head of an error answer says of it."""
        ...

    def error_in_stream(self, error: VendorError, reply: Reply, already_sent: int, *, bare: bool) -> Frame:
        """How a stream that began well reports a failure, as its last event; `already_sent` counts frames.

        `bare` asks for the plainer of two ways where the dialect has two.
        """
        ...

    def model_list(self, models: tuple[str, ...], created: int) -> JsonObject:
        """The body of the list of models."""
        ...

    def token_count(self, tokens: int) -> JsonObject:
        """The body of an answer that counts a prompt."""
        ...

    def request_id_header(self) -> str:
        """The header that carries the vendor's request id."""
        ...


@runtime_checkable
class Embeds(Protocol):
    """A dialect that turns texts into vectors."""

    def embeddings(self, model: str, body: JsonObject) -> JsonObject:
        """The body of the answer. Raises `VendorError` as the vendor refuses."""
        ...


@runtime_checkable
class Compacts(Protocol):
    """A dialect that shortens a conversation."""

    def compacted(self, reply: Reply) -> JsonObject:
        """The body of the answer: what to go on with instead of the conversation."""
        ...


@runtime_checkable
class Issues(Protocol):
    """An identity service."""

    def issue(self, asked: Asked, account: Account, stem: str) -> Issued:
        """A token for whom the request says it is from. Raises `VendorError` as the service refuses."""
        ...


def admit_key(shown: str, account: Account) -> None:
    """Raise `VendorError` unless a key was shown and it is the one the account demands."""
    if not shown:
        raise VendorError(401, "No API key was given.")
    if account.key is not None and shown != account.key:
        raise VendorError(401, "This API key is not valid here.")


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the `Authorization` header; empty if there is none."""
    return headers.get("authorization", "").removeprefix("Bearer ").strip()


def compact(value: JsonValue) -> bytes:
    """JSON as the vendors send it: on one line, keys in the order they were written."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def server_sent(data: JsonValue, event: str | None = None) -> bytes:
    """One server-sent event."""
    named = f"event: {event}\n".encode() if event else b""
    return named + b"data: " + compact(data) + b"\n\n"
