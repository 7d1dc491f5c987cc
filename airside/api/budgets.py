"""`/v1/budgets`: hard caps, and what is spent, held and left of each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.projects import Project
from airside.api.auth import admin_router
from airside.api.services import Services, Use
from airside.errors import BadInput, Conflict, NotFound
from airside.ids import GatewayId
from airside.spending.budgets import BudgetDefinition, StoredBudget, Window, window_at
from airside.spending.ledger import LEASE_LIFE, is_lost, scopes_in_ledger
from airside.spending.scopes import ANY, ScopeKind, parse_ledger_scope, scope_in_ledger

router = admin_router("/v1/budgets", "budgets")


class HolderResource(BaseModel):
    """A gateway that holds a slice of a budget; nobody else can spend it until it is given back."""

    gateway_id: str
    held_nanousd: int


class PositionResource(BaseModel):
    """How one scope of a budget stands in the running window. What is held is leased to gateways and not spent yet."""

    scope: str
    window_start: datetime | None
    window_end: datetime | None
    spent_nanousd: int
    held_nanousd: int
    left_nanousd: int
    holders: Sequence[HolderResource]


class BudgetResource(BaseModel):
    """A budget and where it stands; several positions for one that is for each of a kind by itself."""

    type: Literal["budget"] = "budget"
    id: str
    scope: str
    limit_usd: Decimal
    window: Window
    timezone: str
    warn_at: str | None
    on_limit: Literal["park", "refuse", "downgrade"]
    downgrade_to: str | None
    origin: Literal["file", "api"]
    limit_nanousd: int
    positions: Sequence[PositionResource]


class BudgetPage(BaseModel):
    """All budgets."""

    data: Sequence[BudgetResource]
    next_page: None = None


class DeletedBudget(BaseModel):
    """A budget that is no more."""

    type: Literal["budget_deleted"] = "budget_deleted"
    id: str


@router.get("")
async def list_budgets(services: Use) -> BudgetPage:
    """Every budget, with what is spent, held and left of it."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        stored = await services.stores.budgets.list(connection, project.project_id)
        return BudgetPage(data=[await _resource(connection, services, project, one) for one in stored.values()])


@router.post("")
async def create_budget(body: BudgetDefinition, services: Use) -> BudgetResource:
    """Make a budget. Gateways keep it when this returns."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        if body.key in await services.stores.budgets.list(connection, project.project_id):
            raise Conflict(
                f"there is a budget on {body.key} already",
                code="budget_exists",
                hint="Change that one, or choose another window.",
            )
        resource = await _put(connection, services, project, body)
    await _adopt(services)
    return resource


@router.get("/{budget_id}")
async def show_budget(budget_id: str, services: Use) -> BudgetResource:
    """One budget, by id; a total also by its scope, such as `team:core`."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        return await _resource(connection, services, project, await _found(connection, services, project, budget_id))


@router.put("/{budget_id}")
async def update_budget(budget_id: str, body: BudgetDefinition, services: Use) -> BudgetResource:
    """Change a budget; its scope and window stay. What was spent still counts."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        stored = await _found(connection, services, project, budget_id)
        if body.key != stored.definition.key:
            raise BadInput(
                f"this budget is on {stored.definition.key}, not on {body.key}",
                hint="Make another budget, and delete this one if it is not needed.",
            )
        resource = await _put(connection, services, project, body)
    await _adopt(services)
    return resource


@router.delete("/{budget_id}")
async def delete_budget(budget_id: str, services: Use) -> DeletedBudget:
    """Lift a cap."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        stored = await _found(connection, services, project, budget_id)
        await services.stores.budgets.remove(connection, project.project_id, stored.definition.key)
    await _adopt(services)
    return DeletedBudget(id=stored.budget_id)


@router.post("/{budget_id}/write_off")
async def write_off(
    budget_id: str, services: Use, gateway_id: Annotated[str, Query(min_length=1, max_length=80)]
) -> BudgetResource:
    """Take back what a gateway that is gone for good held of a budget.

    Refused while the gateway may still be alive. What it spent and never reported is then missing from the books.
    """
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        stored = await _found(connection, services, project, budget_id)
        if not await is_lost(connection, services.clock, GatewayId(gateway_id)):
            hours = LEASE_LIFE.total_seconds() / 3600
            raise Conflict(
                f"gateway {gateway_id} is unknown, or was heard from within the last {hours:.0f} h",
                code="gateway_alive",
                hint="Its leases are good for that long. Start it again, and it gives back what it did not spend.",
            )
        for scope in await _scopes(connection, services, project, stored.definition):
            await services.ledger.write_off(connection, GatewayId(gateway_id), scope)
        return await _resource(connection, services, project, stored)


async def _found(connection: AsyncConnection, services: Services, project: Project, budget_id: str) -> StoredBudget:
    budgets = await services.stores.budgets.list(connection, project.project_id)
    found = next((one for one in budgets.values() if budget_id in {one.budget_id, one.definition.key}), None)
    if found is None:
        raise NotFound(f"there is no budget {budget_id}", hint="`airside budgets list` shows the budgets.")
    return found


async def _put(
    connection: AsyncConnection, services: Services, project: Project, definition: BudgetDefinition
) -> BudgetResource:
    await _check(connection, services, project, definition)
    await services.stores.budgets.put(connection, project.project_id, definition, "api")
    stored = await _found(connection, services, project, definition.key)
    return await _resource(connection, services, project, stored)


async def _check(
    connection: AsyncConnection, services: Services, project: Project, definition: BudgetDefinition
) -> None:
    """Check that what a budget names exists. Raises `BadInput`."""
    stores, project_id = services.stores, project.project_id
    named = {
        ScopeKind.AGENT: [agent.name for agent in await stores.agents.list(connection, project_id)],
        ScopeKind.MODEL: list(await stores.models.list(connection, project_id)),
        ScopeKind.PROVIDER: list(await stores.providers.list(connection, project_id)),
    }
    wanted = [(definition.kind, definition.name), (ScopeKind.MODEL, definition.downgrade_to)]
    for kind, name in wanted:
        if kind in named and name not in {None, ANY, *named[kind]}:
            known = ", ".join(sorted(named[kind])) or "none yet"
            raise BadInput(
                f"there is no {kind} {name!r}; known here: {known}",
                code=f"unknown_{kind}",
                hint=f"Name one that is known, or define it under `{kind}s:` in a file and run `airside apply FILE`.",
            )


async def _adopt(services: Services) -> None:
    snapshot = await services.feed.refresh()
    await services.feed.adopted(snapshot.version)


async def _scopes(
    connection: AsyncConnection, services: Services, project: Project, definition: BudgetDefinition
) -> Sequence[str]:
    """The scopes of the ledger that a budget is counted in."""
    kind, name, window = definition.kind, definition.name, str(definition.window)
    if kind is ScopeKind.PROJECT:
        return [scope_in_ledger(kind, project.project_id, window)]
    if name is not None and name != ANY:
        agents = await services.stores.agents.list(connection, project.project_id)
        ids = [agent.agent_id for agent in agents if agent.name == name][:1] if kind is ScopeKind.AGENT else [name]
        return [scope_in_ledger(kind, one, window) for one in ids]
    candidates = await scopes_in_ledger(connection, f"{kind}:")
    parsed = [(scope, parse_ledger_scope(scope)) for scope in candidates]
    return [scope for scope, parts in parsed if parts is not None and parts[2] == window]


async def _resource(
    connection: AsyncConnection, services: Services, project: Project, stored: StoredBudget
) -> BudgetResource:
    definition = stored.definition
    bounds = window_at(definition.window, definition.timezone, services.clock.now())
    positions = []
    for scope in await _scopes(connection, services, project, definition):
        position = await services.ledger.position(connection, scope, bounds.start)
        holders = await services.ledger.holders(connection, scope, bounds.start)
        used = position.spent_nanousd + position.held_nanousd
        positions.append(
            PositionResource(
                scope=scope,
                window_start=None if bounds.end is None else datetime.fromtimestamp(bounds.start, UTC),
                window_end=None if bounds.end is None else datetime.fromtimestamp(bounds.end, UTC),
                spent_nanousd=position.spent_nanousd,
                held_nanousd=position.held_nanousd,
                left_nanousd=max(0, definition.limit_nanousd - used),
                holders=[HolderResource(gateway_id=one, held_nanousd=held) for one, held in holders],
            )
        )
    return BudgetResource(
        id=stored.budget_id,
        origin=stored.origin,
        limit_nanousd=definition.limit_nanousd,
        positions=positions,
        **definition.model_dump(),
    )
