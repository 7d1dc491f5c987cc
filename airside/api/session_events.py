"""`/v1/sessions/{id}/events`: send, list and stream. `after`, `Last-Event-ID` and `verify` are our additions.

A stream of a session at work begins with the input it is working on, so that nothing is missed between sending and
streaming; of a session at rest it begins with whatever comes next.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from airside.api.auth import admin_router
from airside.api.pages import cut_page, decode_cursor
from airside.api.services import Services, Use
from airside.api.session_inputs import InputEvent, accept_inputs
from airside.api.session_wire import event_wire
from airside.api.sessions import drive
from airside.errors import BadInput
from airside.ids import SessionId
from airside.sessions.log import Event
from airside.sessions.sessions import Session
from airside.sessions.states import ACTIVE

router = admin_router("/v1/sessions/{session_id}/events", "session events")

_PING_S = 15.0


class SentEvents(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")
    events: Annotated[Sequence[InputEvent], Field(min_length=1, max_length=50)]


class EventPage(BaseModel):
    """A page of events."""

    data: Sequence[dict[str, Any]]
    next_page: str | None = None


@router.post("")
async def send_events(
    session_id: str,
    body: SentEvents,
    services: Use,
    idempotency_key: Annotated[str | None, Header(max_length=255)] = None,
) -> EventPage:
    """Give a session input. Returns once it is stored; the turn runs on its own."""
    async with services.database.write() as connection:
        events = await accept_inputs(connection, services, SessionId(session_id), body.events, idempotency_key)
        session = await services.sessions.get(connection, SessionId(session_id))
    await drive(services, session)
    return EventPage(data=[event_wire(event) for event in events])


@router.get("")
async def list_events(
    session_id: str,
    services: Use,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    page: str | None = None,
    order: Literal["asc", "desc"] = "asc",
    types: Annotated[list[str] | None, Query()] = None,
    types_bracketed: Annotated[list[str] | None, Query(alias="types[]")] = None,
    after: Annotated[int, Query(ge=0)] = 0,
    created_at_gte: Annotated[datetime | None, Query(alias="created_at[gte]")] = None,
    created_at_lte: Annotated[datetime | None, Query(alias="created_at[lte]")] = None,
) -> EventPage:
    """Events in order of their sequence."""
    position = int(decode_cursor(page) or 0)
    descending = order == "desc"
    async with services.database.read() as connection:
        await services.sessions.get(connection, SessionId(session_id))
        found = await services.log.read(
            connection,
            SessionId(session_id),
            after=after if descending else max(after, position),
            before=position or None if descending else None,
            limit=limit + 1,
            types=[*(types or ()), *(types_bracketed or ())],
            descending=descending,
        )
    shown, next_page = cut_page(found, limit, lambda event: str(event.sequence))
    within = [
        event
        for event in shown
        if (created_at_gte is None or event.at >= created_at_gte)
        and (created_at_lte is None or event.at <= created_at_lte)
    ]
    return EventPage(data=[event_wire(event) for event in within], next_page=next_page)


class LogVerdict(BaseModel):
    """Whether a session's log is whole."""

    intact: bool
    event_count: int
    first_broken: int | None
    head_sha256: str


@router.get("/verify")
async def verify_events(session_id: str, services: Use) -> LogVerdict:
    """Recompute the hash chain of the whole log."""
    async with services.database.read() as connection:
        session = await services.sessions.get(connection, SessionId(session_id))
        broken = await services.log.first_broken(connection, session.session_id)
    return LogVerdict(
        intact=broken is None,
        event_count=session.event_count,
        first_broken=broken,
        head_sha256=session.head_sha256,
    )


@router.get("/stream")
async def stream_events(
    session_id: str,
    request: Request,
    services: Use,
    after: Annotated[int | None, Query(ge=0, description="Begin behind this sequence.")] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events; `id:` is the sequence, so a client that comes back with `Last-Event-ID` misses nothing."""
    async with services.database.read() as connection:
        session = await services.sessions.get(connection, SessionId(session_id))
    if last_event_id is not None and not last_event_id.isdigit():
        raise BadInput(f"Last-Event-ID {last_event_id[:40]!r} is no sequence number of this stream")
    start = int(last_event_id) if last_event_id is not None else after
    if start is None:
        start = await _natural_start(services, session)
    return StreamingResponse(
        _stream(services, request, session.session_id, start),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _natural_start(services: Services, session: Session) -> int:
    if session.state not in ACTIVE:
        return session.event_count
    async with services.database.read() as connection:
        inputs = await services.log.read(
            connection, session.session_id, types=["user.message"], descending=True, limit=1
        )
    return inputs[0].sequence - 1 if inputs else 0


async def _stream(services: Services, request: Request, session_id: SessionId, start: int) -> AsyncIterator[bytes]:
    position, quiet_since = start, services.clock.monotonic()
    async with services.database.watch() as watch:
        while not services.stopping.is_set() and not await request.is_disconnected():
            if await watch.has_changed():
                for event in await _events_after(services, session_id, position):
                    yield _frame(event)
                    position, quiet_since = event.sequence, services.clock.monotonic()
            if services.clock.monotonic() - quiet_since >= _PING_S:
                quiet_since = services.clock.monotonic()
                yield b"event: ping\ndata: {}\n\n"
            await services.clock.sleep(services.timing.event_poll_s)


async def _events_after(services: Services, session_id: SessionId, position: int) -> list[Event]:
    events: list[Event] = []
    async with services.database.read() as connection:
        while page := await services.log.read(
            connection, session_id, after=events[-1].sequence if events else position, limit=500
        ):
            events += page
    return events


def _frame(event: Event) -> bytes:
    data = json.dumps(event_wire(event), ensure_ascii=False, separators=(",", ":"))
    return f"id: {event.sequence}\nevent: {event.type}\ndata: {data}\n\n".encode()
