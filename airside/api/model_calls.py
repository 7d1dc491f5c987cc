"""`/v1/model_calls`: the record of every model call, as a list, one by one, and live."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from airside.api.auth import admin_router
from airside.api.pages import cut_page, decode_cursor
from airside.api.services import Services, Use
from airside.dataplanes.journal import ModelCall
from airside.dataplanes.outcome import Outcome
from airside.errors import BadInput, NotFound
from airside.sessions.model_calls import CallFilter, StoredCall, calls_after, get_call, list_calls, newest_position

router = admin_router("/v1/model_calls", "model calls")

_PING_S = 15.0
_MOST_AT_ONCE = 200  # a slow reader holds this many records in memory and no more; the rest waits in the database


class ModelCallResource(ModelCall):
    """A record as the gateway wrote it, with where it came from."""

    type: Literal["model_call"] = "model_call"
    id: str
    position: int
    gateway_id: str
    fell_back: bool


class ModelCallPage(BaseModel):
    """A page of calls."""

    data: Sequence[ModelCallResource]
    next_page: str | None = None


def wanted_calls(
    session_id: Annotated[str | None, Query(description="Of this session.")] = None,
    agent: Annotated[str | None, Query(description="Of this agent, by id or name.")] = None,
    model: Annotated[str | None, Query(description="That asked for this alias.")] = None,
    provider: Annotated[str | None, Query(description="Answered by this provider.")] = None,
    outcome: Annotated[Outcome | None, Query(description="That ended so.")] = None,
    since: Annotated[datetime | None, Query(description="Accepted from this time on.")] = None,
    until: Annotated[datetime | None, Query(description="Accepted before this time.")] = None,
) -> CallFilter:
    """The filter that a request's query says."""
    return CallFilter(session_id, agent, model, provider, outcome, since, until)


Wanted = Annotated[CallFilter, Depends(wanted_calls)]


@router.get("")
async def list_model_calls(
    services: Use,
    wanted: Wanted,
    limit: Annotated[int, Query(ge=1, le=1000)] = 20,
    page: str | None = None,
) -> ModelCallPage:
    """Calls, newest first."""
    before = _position(decode_cursor(page))
    project = await _project(services)
    async with services.database.read() as connection:
        found = await list_calls(connection, project, wanted, before=before, limit=limit + 1)
    shown, next_page = cut_page(found, limit, lambda call: str(call.position))
    return ModelCallPage(data=[_resource(call) for call in shown], next_page=next_page)


@router.get("/stream")
async def stream_model_calls(
    request: Request,
    services: Use,
    wanted: Wanted,
    after: Annotated[
        int | None, Query(ge=0, description="Begin behind this position; with what is new unless given.")
    ] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events, one a call as it is recorded; with `Last-Event-ID`, which is its position, none is missed."""
    if last_event_id is not None and not last_event_id.isdigit():
        raise BadInput(f"Last-Event-ID {last_event_id[:40]!r} is no position of this stream")
    start = int(last_event_id) if last_event_id is not None else after
    project = await _project(services)
    if start is None:
        async with services.database.read() as connection:
            start = await newest_position(connection)
    return StreamingResponse(
        _stream(services, request, project, wanted, start),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.get("/{call_id}")
async def show_model_call(call_id: str, services: Use) -> ModelCallResource:
    """One call."""
    project = await _project(services)
    async with services.database.read() as connection:
        return _resource(await get_call(connection, project, call_id))


class BodiesResource(BaseModel):
    """What was kept of a call's bodies, as text; what is no text is shown as such characters."""

    type: Literal["model_call_bodies"] = "model_call_bodies"
    id: str
    mode: Literal["redacted", "full"]
    redactions: int
    request: str
    request_bytes: int
    answer: str
    answer_bytes: int


@router.get("/{call_id}/bodies")
async def show_bodies(call_id: str, services: Use) -> BodiesResource:
    """What a call said and was told. A route of its own, so that it can be granted apart from the record."""
    project = await _project(services)
    async with services.database.read() as connection:
        await get_call(connection, project, call_id)
        bodies = await services.bodies.get(connection, project, call_id)
    if bodies is None:
        raise NotFound(
            f"no bodies of model call {call_id!r} are kept",
            code="no_bodies",
            hint="Nothing is kept unless the project asks for it (`recording:` in the file), and not for longer.",
        )
    return BodiesResource.model_validate(
        {
            **bodies.description,
            "id": call_id,
            "request": _unpacked(bodies.request_gzip),
            "answer": _unpacked(bodies.answer_gzip),
        }
    )


def _unpacked(packed: bytes) -> str:
    return gzip.decompress(packed).decode(errors="replace")


async def _project(services: Services) -> str:
    async with services.database.write() as connection:
        return (await services.stores.projects.only(connection)).project_id


def _position(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isdigit():
        raise BadInput(f"page {cursor[:40]!r} is no cursor of this list")
    return int(cursor)


def _resource(call: StoredCall) -> ModelCallResource:
    return ModelCallResource(
        **call.record.model_dump(),
        id=call.record.call_id,
        position=call.position,
        gateway_id=call.gateway_id,
        fell_back=call.fell_back,
    )


async def _stream(
    services: Services, request: Request, project: str, wanted: CallFilter, start: int
) -> AsyncIterator[bytes]:
    position, quiet_since = start, services.clock.monotonic()
    yield b": the calls of this project\n\n"
    async with services.database.watch() as watch:
        while not services.stopping.is_set() and not await request.is_disconnected():
            if await watch.has_changed():
                while found := await _after(services, project, wanted, position):
                    for call in found:
                        yield _frame(call)
                    position, quiet_since = found[-1].position, services.clock.monotonic()
            if services.clock.monotonic() - quiet_since >= _PING_S:
                quiet_since = services.clock.monotonic()
                yield b"event: ping\ndata: {}\n\n"
            await services.clock.sleep(services.timing.event_poll_s)


async def _after(services: Services, project: str, wanted: CallFilter, position: int) -> Sequence[StoredCall]:
    async with services.database.read() as connection:
        return await calls_after(connection, project, wanted, after=position, limit=_MOST_AT_ONCE)


def _frame(call: StoredCall) -> bytes:
    data = _resource(call).model_dump_json()
    return f"id: {call.position}\nevent: model_call\ndata: {data}\n\n".encode()
