"""A program that speaks JSON, one object a line, over its standard input and output."""

from __future__ import annotations

import asyncio
import json

from airside.events import JsonObject
from airside.pipes import write_whole
from airside.sandboxes.contract import SandboxProcess

LONGEST_LINE_BYTES = 64 << 20

_READ_BYTES = 1 << 16


class ObjectReader:
    """JSON objects out of a stream, one a line; with `prefix`, out of the lines that begin so.

    What is not a JSON object, or is longer than the limit, is passed over: a harness that prints a warning between its
    messages, or a hostile program in its place, must not bring the reader down.
    """

    def __init__(
        self, stream: asyncio.StreamReader, *, prefix: bytes = b"", longest_line_bytes: int = LONGEST_LINE_BYTES
    ) -> None:
        self._stream = stream
        self._prefix = prefix
        self._longest_line_bytes = longest_line_bytes
        self._unread = bytearray()
        self._searched = 0
        self._skipping = False
        self._is_reading = False

    async def receive(self) -> JsonObject | None:
        """The next object; None at the end of the stream. May be cancelled at any point without losing a line."""
        while True:
            line = self._next_line()
            if line is None:
                chunk = await self._read()
                if not chunk:
                    return None
                self._unread += chunk
            elif line.startswith(self._prefix) and (message := _read_object(line[len(self._prefix) :])) is not None:
                return message

    async def _read(self) -> bytes:
        self._is_reading = True
        try:
            return await self._stream.read(_READ_BYTES)
        except ConnectionError:
            return b""
        finally:
            self._is_reading = False

    def _next_line(self) -> bytes | None:
        end = self._unread.find(b"\n", self._searched)
        if end < 0:
            if len(self._unread) > self._longest_line_bytes:
                self._skipping = True
            if self._skipping:
                self._unread.clear()
            self._searched = len(self._unread)
            return None
        too_long = self._skipping or end > self._longest_line_bytes
        line = b"" if too_long else bytes(self._unread[:end])
        self._skipping = False
        del self._unread[: end + 1]
        self._searched = 0
        return line

    async def drain(self) -> None:
        """Read to the end of the stream and forget it, so that a program about to end is not held up by a full pipe.

        Returns at once while somebody else waits in `receive`: they do the reading then.
        """
        while not self._is_reading and await self._read():
            self._unread.clear()


class JsonLines:
    """Both directions of a program that speaks JSON lines."""

    def __init__(self, process: SandboxProcess) -> None:
        self._process = process
        self._reader = ObjectReader(process.stdout)

    async def send(self, message: JsonObject) -> None:
        """Write one object. Returns quietly when the program is gone: its death is reported where it is read."""
        await write_whole(self._process.stdin, json.dumps(message, ensure_ascii=False).encode() + b"\n")

    async def receive(self) -> JsonObject | None:
        """The next object it writes; None at the end of its output."""
        return await self._reader.receive()

    async def close_input_and_wait(self, *, within_s: float) -> None:
        """Close the program's input and give it that long to end by itself, as well-behaved ones do, then stop it."""
        self._process.stdin.close()
        try:
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._reader.drain())
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            await self._process.stop()


def _read_object(line: bytes) -> JsonObject | None:
    # RecursionError: nesting of thousands of levels is not a message either.
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None
