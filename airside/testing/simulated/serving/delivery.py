"""Sending one answer: paced, held, and spoiled as the fault says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from airside.events import JsonValue
from airside.testing.simulated.answer import Frame, Reply
from airside.testing.simulated.dialects.contract import Dialect, VendorError, compact
from airside.testing.simulated.faults import Fault
from airside.testing.simulated.serving.wire import Wire
from airside.testing.simulated.simulation import Simulation

_GARBAGE = bytes(range(256))
_NO_FAULT = Fault.model_construct()


class Delivery:
    """The way of one answer to its client. Every method may raise `BrokenOff`."""

    def __init__(
        self, wire: Wire, dialect: Dialect, simulation: Simulation, fault: Fault | None, request_id: str
    ) -> None:
        self._wire = wire
        self._dialect = dialect
        self._gates = simulation.gates
        self._clock = simulation.clock
        self._request_id = request_id
        self._fault = fault or _NO_FAULT
        wire.cut_after = self._fault.cut_after_bytes
        wire.cut_by_reset = self._fault.reset

    async def before_head(self) -> None:
        """What the fault does before anything is sent. Raises `VendorError` if it is an error of the vendor's."""
        fault = self._fault
        if fault.slow_head_ms:
            await self._clock.sleep(fault.slow_head_ms / 1000)
        await self._stall_at("before_head")
        if fault.garbage == "head":
            self._wire.break_off(_GARBAGE)
        if fault.reset and fault.cut_after_bytes is None:
            self._wire.break_off()
        if fault.status is not None:
            message = fault.message or f"Simulated failure with status {fault.status}."
            raise VendorError(fault.status, message, headers=fault.headers)

    async def error(self, error: VendorError) -> None:
        """Send an error answer: in the dialect's shape, or with the body the fault gives."""
        given = self._fault.body if error.status == self._fault.status else None
        body = self._dialect.error_body(error, self._request_id) if given is None else given
        data = body.encode() if isinstance(body, str) else compact(body)
        await self._send(error.status, data, {**self._dialect.error_headers(error), **error.headers})

    async def value(self, body: JsonValue) -> None:
        """Send a good answer of one piece."""
        await self._send(200, self._replaced(compact(body)))

    async def whole(self, reply: Reply) -> None:
        """Send an answer that is not streamed. Raises `VendorError` where a stream would report one."""
        spoiled = self._fault.in_stream_error
        if spoiled is not None:
            raise VendorError(spoiled.status, spoiled.message)
        if reply.answer.hold is not None:
            await self._gates.pass_through(reply.answer.hold.name)
        await self.value(self._dialect.whole(reply))

    async def stream(self, reply: Reply) -> None:
        """Send an answer event by event."""
        await self._start(200, {"content-type": self._dialect.stream_type, "cache-control": "no-cache"})
        frames = list(self._dialect.stream(reply))
        replaced = self._replaced(b"".join(frame.data for frame in frames))
        if self._fault.empty or self._fault.garbage:
            await self._write(replaced, last=True)
        else:
            await self._send_frames(self._spoiled(reply, frames), reply)

    async def _send_frames(self, frames: Sequence[Frame], reply: Reply) -> None:
        hold, delay_ms = reply.answer.hold, reply.answer.pace.delay_ms
        sent_chars = 0
        for number, frame in enumerate(frames, 1):
            if hold and hold.after_chars == 0 and frame.content_chars:
                await self._gates.pass_through(hold.name)
                hold = None
            if delay_ms and frame.content_chars:
                await self._clock.sleep(delay_ms / 1000)
            # The end goes out with the last event: a client may close as soon as it has read that.
            await self._write(frame.data, last=number == len(frames))
            sent_chars += frame.content_chars
            if hold and 0 < hold.after_chars <= sent_chars:
                await self._gates.pass_through(hold.name)
                hold = None

    def _spoiled(self, reply: Reply, frames: list[Frame]) -> list[Frame]:
        """The frames, or as many as go out before the in-stream error, and the error."""
        spoiled = self._fault.in_stream_error
        if spoiled is None:
            return frames
        content = next((index for index, frame in enumerate(frames) if frame.content_chars), len(frames) - 1)
        kept = content + 1 if spoiled.when == "after_content" else content
        error = VendorError(spoiled.status, spoiled.message)
        return [*frames[:kept], self._dialect.error_in_stream(error, reply, kept, bare=spoiled.event == "error")]

    def _replaced(self, data: bytes) -> bytes:
        """The body of a good answer, or what the fault puts in its place."""
        if self._fault.empty:
            return b""
        return _GARBAGE if self._fault.garbage else data

    async def _send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        described = {"content-type": "application/json", "content-length": str(len(data))}
        await self._start(status, {**described, **(headers or {})})
        await self._write(data, last=True)

    async def _start(self, status: int, headers: Mapping[str, str]) -> None:
        await self._wire.start(status, {**headers, self._dialect.request_id_header(): self._request_id}.items())
        await self._stall_at("after_head")

    async def _write(self, data: bytes, *, last: bool) -> None:
        stall = self._fault.stall
        until_stall = stall.bytes - self._wire.bytes_sent if stall and stall.where == "after_bytes" else -1
        if 0 <= until_stall < len(data):
            await self._wire.write(data[:until_stall])
            await self._stall_at("after_bytes")
            data = data[until_stall:]
        await self._wire.write(data, last=last)

    async def _stall_at(self, place: str) -> None:
        stall = self._fault.stall
        if stall is None or stall.where != place:
            return
        if stall.name is None:
            await asyncio.Event().wait()  # ended by the client's going away, which cancels this
        else:
            await self._gates.pass_through(stall.name)
