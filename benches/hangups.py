"""How long a provider is still asked after its caller has hung up.

The provider is a server of this process, so that both moments are read off one clock: when the caller closes its
connection, and when the provider finds its own closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from urllib.parse import urlsplit

import stand

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
START = {"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}
EVENTS = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in (START, DELTA))
#: While its head is awaited, and in the middle of a stream that has fallen silent.
STAGES = ("before the answer", "in a stream")
PATIENCE_S = 10.0


class SilentProvider:
    """Begins an answer, or not even that, and waits for the other side to hang up."""

    def __init__(self) -> None:
        self.begins = True
        self.asked = asyncio.Event()
        self.left: asyncio.Queue[float] = asyncio.Queue()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the gateway's."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
            if self.begins:
                writer.write(HEAD + EVENTS)
            self.asked.set()
            await reader.read(1)
        self.left.put_nowait(time.monotonic())
        writer.close()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its URL, while the block runs."""
        async with await asyncio.start_server(self.serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def hang_up(provider: SilentProvider, url: str) -> float:
    """Ask, hang up once the provider has been asked (and its first event is here), and return the milliseconds."""
    address = urlsplit(url)
    body = json.dumps({"model": "bench", "max_tokens": 100, "stream": True, "messages": []}).encode()
    request = f"POST /v1/messages HTTP/1.1\r\nhost: {address.netloc}\r\nx-api-key: {stand.key()}\r\n"
    request += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    provider.asked.clear()
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request.encode() + body)
    await provider.asked.wait()
    if provider.begins:
        await reader.readuntil(b"hello")
    # As a killed process leaves it: closed at once, whatever was still to be read.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    began = time.monotonic()
    writer.transport.abort()
    return (await asyncio.wait_for(provider.left.get(), PATIENCE_S) - began) * 1000


async def measure(ways: Callable[[str], Mapping[str, str]], tries: int) -> Mapping[str, Mapping[str, object]]:
    """Milliseconds by way and stage. `ways` sets them up in front of a provider and says their URLs."""
    provider, found = SilentProvider(), dict[str, Mapping[str, object]]()
    async with provider.listening() as upstream:
        urls = await asyncio.to_thread(ways, upstream)
        for stage in STAGES:
            provider.begins = stage == "in a stream"
            for way, url in urls.items():
                took = sorted([await hang_up(provider, url) for _ in range(tries)])
                numbers = {"p50_ms": took[tries // 2], "p99_ms": took[tries * 99 // 100], "most_ms": took[-1]}
                found[f"{stage}, {way}"] = {name: round(number, 2) for name, number in numbers.items()}
    return found
