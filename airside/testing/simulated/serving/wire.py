"""One exchange on the wire, down to cutting and resetting the connection, which ASGI has no words for."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from starlette.types import Receive, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TRANSPORT = "airside.transport"


class BrokenOff(Exception):
    """A fault ended the connection; there is nothing more to send."""


class WatchedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP/1.1, with the transport handed to the application through the scope's state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing: an upgrade is answered by the service like any request."""


class Wire:
    """The answer side of one request. `cut_after` ends the connection after so many bytes of the body.

    `progressed` is called as soon as something was handed over, before the client can have seen it.
    """

    def __init__(self, state: dict[str, Any], receive: Receive, send: Send) -> None:
        self._transport: asyncio.Transport = state[_TRANSPORT]
        self._receive = receive
        self._send = send
        self.progressed: Callable[[], None] = lambda: None
        self.status: int | None = None
        self.bytes_sent = 0
        self.cut_after: int | None = None
        self.cut_by_reset = False
        self.broken_off = False
        self.complete = False

    async def start(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Send the head."""
        self.status = status
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})
        self.progressed()

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece of the body. Raises `BrokenOff` when that reaches the cut."""
        if self.cut_after is not None and self.bytes_sent + len(data) >= self.cut_after:
            allowed = data[: self.cut_after - self.bytes_sent]
            await self._send_body(allowed, more=True)
            self.break_off()
        await self._send_body(data, more=not last)

    async def _send_body(self, data: bytes, *, more: bool) -> None:
        client_is_there = not self._transport.is_closing()
        await self._send({"type": "http.response.body", "body": data, "more_body": more})
        if client_is_there:
            self.bytes_sent += len(data)
            self.complete = not more
            self.progressed()

    def break_off(self, raw: bytes = b"") -> NoReturn:
        """End the connection where it stands, after some bytes that need not be HTTP. Raises `BrokenOff`."""
        if raw:
            self._transport.write(raw)
        if self.cut_by_reset:
            _reset(self._transport)
        else:
            self._transport.close()
        self.broken_off = True
        self.progressed()
        raise BrokenOff

    async def closed(self) -> None:
        """Return once the connection is gone, or the answer was sent to its end."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def _reset(transport: asyncio.Transport) -> None:
    """End the connection with RST: a socket closed while it lingers for no time sends one instead of FIN."""
    watched: socket.socket = transport.get_extra_info("socket")
    # A copy of the descriptor, because event loops hand out sockets that take no options.
    with socket.socket(fileno=os.dup(watched.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
