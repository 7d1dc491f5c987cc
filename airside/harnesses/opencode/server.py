"""The client side of OpenCode's server: requests with JSON both ways, and its stream of events.

Spoken as HTTP/1.0, one request a connection: answers then end with the connection, and the stream comes as it is, not
in chunks, so that reading it may be cancelled between any two bytes.
"""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass

from airside.events import JsonObject, JsonValue
from airside.harnesses.contract import HarnessFailed
from airside.harnesses.json_lines import ObjectReader
from airside.harnesses.opencode.settings import USER
from airside.sandboxes.contract import Endpoint

_ANSWERS_WITHIN_S = 30
_LARGEST_ANSWER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: JsonValue


class OpenCodeServer:
    """One server, reached through its sandbox's endpoint."""

    def __init__(self, endpoint: Endpoint, password: str) -> None:
        self._endpoint = endpoint
        self._authorization = base64.b64encode(f"{USER}:{password}".encode()).decode()

    async def request(self, method: str, path: str, body: JsonObject | None = None) -> Answer:
        """Ask it for something. Raises `HarnessFailed` when it does not answer, or not in HTTP."""
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                reader, writer = await self._open(method, path, body)
                try:
                    whole = await _read_all(reader)
                finally:
                    writer.close()
        except (OSError, TimeoutError) as failure:
            raise HarnessFailed(f"OpenCode did not answer {method} {path}: {failure!r}") from failure
        head, _, content = whole.partition(b"\r\n\r\n")
        try:
            return Answer(int(head.split(b" ", 2)[1]), _value(content))
        except (ValueError, IndexError) as failure:
            raise HarnessFailed(f"OpenCode answered {method} {path} with {whole[:200]!r}") from failure

    async def events(self) -> EventStream:
        """Its events from now on. Raises `HarnessFailed`."""
        try:
            return EventStream(*await self._open("GET", "/event", None))
        except OSError as failure:
            raise HarnessFailed(f"OpenCode does not tell its events: {failure!r}") from failure

    async def _open(
        self, method: str, path: str, body: JsonObject | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._endpoint.socket is not None:
            reader, writer = await asyncio.open_unix_connection(self._endpoint.socket)
        else:
            host, _, port = self._endpoint.base_url.removeprefix("http://").partition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic {self._authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        await writer.drain()
        return reader, writer


def _value(content: bytes) -> JsonValue:
    """The JSON in an answer's body; an answer that refuses may hold anything, and then holds nothing here."""
    try:
        value: JsonValue = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return value


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    whole = bytearray()
    while chunk := await reader.read(1 << 16):
        whole += chunk
        if len(whole) > _LARGEST_ANSWER_BYTES:
            raise HarnessFailed(f"OpenCode answered with more than {_LARGEST_ANSWER_BYTES} bytes")
    return bytes(whole)


class EventStream:
    """The server's events (text/event-stream), as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._events = ObjectReader(reader, prefix=b"data:")
        self._writer = writer

    async def receive(self) -> JsonObject | None:
        """The next event; None when the stream has ended. May be cancelled."""
        return await self._events.receive()

    def close(self) -> None:
        """Listen no more."""
        self._writer.close()
