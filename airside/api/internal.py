"""`/internal/v1`: what gateways ask for and report. The messages are those of `airside.dataplanes`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.api.auth import gateway_router
from airside.api.services import Services, Use
from airside.dataplanes.bodies import BodyBatch
from airside.dataplanes.journal import JournalBatch, JournalReceipt
from airside.dataplanes.leases import Lease, LeaseRequest, LeaseRequests, Leases
from airside.errors import NotFound
from airside.ids import AgentId, GatewayId, SessionId
from airside.recording.bodies import StoredBodies
from airside.sessions.tokens import session_cap
from airside.spending.budgets import Window
from airside.spending.ledger import Cap, Grant, journal_through, note_gateway

router = gateway_router("/internal/v1", "gateways")


@router.get("/snapshot")
async def next_snapshot(
    request: Request,
    services: Use,
    gateway_id: Annotated[str, Query(min_length=1, max_length=80)],
    after: Annotated[int, Query(ge=0)] = 0,
    wait_s: Annotated[float, Query(ge=0, le=60)] = 25.0,
    port: Annotated[int, Query(ge=0, le=65_535, description="Where the gateway listens; 0: not yet.")] = 0,
) -> Response:
    """The newest snapshot as soon as it is newer than `after`; 204 if it is not within `wait_s`."""
    async with services.database.write() as connection:
        await note_gateway(connection, services.clock, GatewayId(gateway_id), snapshot_version=after)
    url = _url_of(request.client.host, port) if request.client and port else None
    snapshot = await services.feed.next_after(after, GatewayId(gateway_id), wait_s, url)
    if snapshot is None:
        return Response(status_code=204)
    return Response(snapshot.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})


@router.post("/journal")
async def take_journal(batch: JournalBatch, services: Use) -> JournalReceipt:
    """Store a batch of records for good. The same batch again changes nothing."""
    async with services.database.write() as connection:
        return await services.intake.take(connection, batch)


@router.post("/bodies", status_code=204)
async def take_bodies(batch: BodyBatch, services: Use) -> None:
    """Keep bodies of calls for as long as their project wants. The same batch again changes nothing."""
    async with services.database.write() as connection:
        await note_gateway(connection, services.clock, GatewayId(batch.gateway_id))
        for one in batch.bodies:
            said = {"mode": one.mode, "redactions": one.redactions}
            lengths = {"request_bytes": one.request_bytes, "answer_bytes": one.answer_bytes}
            bodies = StoredBodies(one.call_id, one.project, {**said, **lengths}, one.request_gzip, one.answer_gzip)
            await services.bodies.store(connection, bodies, retention_days=one.retention_days)


@router.post("/leases")
async def grant_leases(asked: LeaseRequests, services: Use) -> Leases:
    """Give a gateway its share of budgets."""
    gateway_id = GatewayId(asked.gateway_id)
    async with services.database.write() as connection:
        await note_gateway(connection, services.clock, gateway_id)
        caps = [(request, await _cap(connection, services, request)) for request in asked.requests]
        leases = [
            _lease(request.scope, grant)
            for request, cap in caps
            if cap is not None
            for grant in await services.ledger.grant(connection, gateway_id, request.scope, cap, request.need_nanousd)
        ]
        through = await journal_through(connection, gateway_id)
    unknown = [request.scope for request, cap in caps if cap is None]
    return Leases(journal_through=through, leases=leases, unknown_scopes=unknown)


def _url_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _lease(scope: str, grant: Grant) -> Lease:
    return Lease(
        scope=scope,
        window_start=grant.bounds.start,
        window_end=grant.bounds.end,
        granted_nanousd=grant.granted_nanousd,
        settled_nanousd=grant.settled_nanousd,
        exhausted=grant.exhausted,
    )


async def _cap(connection: AsyncConnection, services: Services, request: LeaseRequest) -> Cap | None:
    """What limits a scope; None if nothing does."""
    kind, _, scope_id = request.scope.partition(":")
    try:
        if kind == "session":
            session = await services.sessions.get(connection, SessionId(scope_id))
            limit = await session_cap(connection, services.stores, session)
            return None if limit is None else Cap(limit, Window.TOTAL, "UTC")
        agent = await services.stores.agents.get(connection, AgentId(scope_id))
    except NotFound:
        return None
    budgets = await services.stores.budgets.list(connection, agent.project_id)
    budget = budgets.get(f"agent:{agent.name}")
    if budget is None:
        return None
    return Cap(budget.definition.limit_nanousd, budget.definition.window, budget.definition.timezone)
