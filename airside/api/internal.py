"""`/internal/v1`: what gateways ask for and report. The messages are those of `airside.dataplanes`."""

from __future__ import annotations

from typing import Annotated

import structlog
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
from airside.spending.budgets import BudgetDefinition, Window
from airside.spending.caps import as_cap, budget_of
from airside.spending.ledger import LEASE_LIFE, Cap, Grant, journal_through, note_gateway, take_order
from airside.spending.scopes import ScopeKind, parse_ledger_scope

logger = structlog.get_logger()
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
        receipt = await services.intake.take(connection, batch)
        await _warn(connection, services, batch)
        return receipt


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
    """Give a gateway its slices of budgets, and take back what it is done with."""
    gateway_id = GatewayId(asked.gateway_id)
    async with services.database.write() as connection:
        await note_gateway(connection, services.clock, gateway_id)
        through = await journal_through(connection, gateway_id)
        if asked.order is not None:
            newest = await take_order(connection, gateway_id, asked.order)
            if newest > asked.order:
                return Leases(journal_through=through, order=newest, leases=[])
        if asked.begins_after is not None and through >= asked.begins_after:
            await services.ledger.begin_afresh(connection, gateway_id)
        leases: list[Lease] = []
        unknown: list[str] = []
        for request in asked.requests:
            for back in request.returns:
                await services.ledger.give_back(
                    connection,
                    gateway_id,
                    request.scope,
                    back.window_start,
                    was=back.from_nanousd,
                    now=back.to_nanousd,
                )
            if request.returns:
                continue
            cap = await _cap(connection, services, request)
            if cap is None:
                unknown.append(request.scope)
                continue
            grants = await services.ledger.grant(connection, gateway_id, request.scope, cap, request.need_nanousd)
            leases += [_lease(services, request.scope, grant) for grant in grants]
    return Leases(journal_through=through, order=asked.order or 0, leases=leases, unknown_scopes=unknown)


def _url_of(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _lease(services: Services, scope: str, grant: Grant) -> Lease:
    return Lease(
        scope=scope,
        window_start=grant.bounds.start,
        window_end=grant.bounds.end,
        granted_nanousd=grant.granted_nanousd,
        settled_nanousd=grant.settled_nanousd,
        others_settled_nanousd=grant.others_settled_nanousd,
        exhausted=grant.exhausted,
        expires_at=int((services.clock.now() + LEASE_LIFE).timestamp()),
    )


async def _cap(connection: AsyncConnection, services: Services, request: LeaseRequest) -> Cap | None:
    """What limits a scope; None if nothing does."""
    parsed = parse_ledger_scope(request.scope)
    if parsed is None or parsed[0] is not ScopeKind.SESSION:
        definition = await _budget(connection, services, request.scope)
        return as_cap(definition) if definition else None
    try:
        session = await services.sessions.get(connection, SessionId(parsed[1]))
    except NotFound:
        return None
    limit = await session_cap(connection, services.stores, session)
    return None if limit is None else Cap(limit, Window.TOTAL, "UTC")


async def _budget(connection: AsyncConnection, services: Services, scope: str) -> BudgetDefinition | None:
    """The budget behind a scope of the ledger; None if there is none, or if it is a session's own."""
    parsed = parse_ledger_scope(scope)
    if parsed is None:
        return None
    kind, scope_id, window = parsed
    name: str | None = None if kind is ScopeKind.PROJECT else scope_id
    if kind is ScopeKind.AGENT:
        try:
            name = (await services.stores.agents.get(connection, AgentId(scope_id))).name
        except NotFound:
            return None
    project = await services.stores.projects.only(connection)
    return budget_of(await services.stores.budgets.list(connection, project.project_id), kind, name, window)


async def _warn(connection: AsyncConnection, services: Services, batch: JournalBatch) -> None:
    """Say of every budget that a batch was charged to, once a window, that it has passed its warning level."""
    touched = {(charge.scope, charge.window_start) for record in batch.records for charge in record.charges}
    for scope, window_start in sorted(touched):
        definition = await _budget(connection, services, scope)
        level = definition.warn_at_nanousd if definition else None
        if definition is None or level is None:
            continue
        spent = await services.ledger.warn_once(connection, scope, window_start, level)
        if spent is not None:
            logger.warning(
                "budget warned",
                budget=definition.key,
                scope=scope,
                spent_nanousd=spent,
                limit_nanousd=definition.limit_nanousd,
            )
