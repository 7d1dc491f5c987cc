"""`airside budgets`: hard caps on spending, and where they stand."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from airside.cli.amounts import dollars_in
from airside.cli.failures import reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import dollars, show, show_json, show_table
from airside.cli.target import Api, connected
from airside.errors import NotFound

app = typer.Typer(help="Hard caps on spending, and where they stand.", no_args_is_help=True)

ScopeArgument = Annotated[
    str,
    typer.Argument(help="project, session, or team:NAME, user:NAME, agent:NAME, deployment:NAME, model:X, provider:X."),
]
WindowOption = Annotated[str, typer.Option(help="minute, hour, day, week, month or total.")]


def _key(scope: str, window: str) -> str:
    return scope if window == "total" else f"{scope}/{window}"


def _path(api: Api, key: str) -> str:
    """The budget of this scope and window."""
    for one in api.get("/v1/budgets")["data"]:
        if key in {one["id"], _key(one["scope"], one["window"])}:
            return f"/v1/budgets/{quote(one['id'])}"
    raise NotFound(f"there is no budget on {key}", hint="`airside budgets list` shows the budgets.")


@app.command("list")
def list_budgets(data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """List budgets with what is spent and left of them."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get("/v1/budgets")["data"]
    if as_json:
        show_json(found)
    else:
        _show(found)


@app.command("show")
def show_budget(
    scope: ScopeArgument,
    window: WindowOption = "total",
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one budget, and which gateways hold a part of it."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get(_path(api, _key(scope, window)))
    if as_json:
        show_json(found)
        return
    _show([found])
    for position in found["positions"]:
        for holder in position["holders"]:
            show(f"{holder['gateway_id']} holds {dollars(holder['held_nanousd'])} of {position['scope']}", "dim")


@app.command("set")
def set_budget(
    scope: ScopeArgument,
    limit_usd: Annotated[str, typer.Argument(help="The cap in US dollars.")],
    window: WindowOption = "total",
    timezone: Annotated[str, typer.Option(help="IANA zone in which days, weeks and months begin.")] = "UTC",
    warn_at: Annotated[str | None, typer.Option(help="From this part on callers are warned, such as 80%.")] = None,
    on_limit: Annotated[str, typer.Option(help="park, refuse or downgrade.")] = "park",
    downgrade_to: Annotated[str | None, typer.Option(help="The model that serves instead.")] = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cap a scope, or change its cap in the same window."""
    with reported(as_json=as_json):
        limit = dollars_in(limit_usd, f"Write airside budgets set {scope} 2.50, for example.")
    body = {
        "scope": scope,
        "limit_usd": str(limit),
        "window": window,
        "timezone": timezone,
        "warn_at": warn_at,
        "on_limit": on_limit,
        "downgrade_to": downgrade_to,
    }
    with reported(as_json=as_json), connected(data) as api:
        known = {_key(one["scope"], one["window"]): one["id"] for one in api.get("/v1/budgets")["data"]}
        key = _key(scope, window)
        made = api.put(f"/v1/budgets/{known[key]}", body) if key in known else api.post("/v1/budgets", body)
    if as_json:
        show_json(made)
    else:
        show(f"{made['scope']} may spend {dollars(made['limit_nanousd'])} {_per(made)}.")


@app.command("remove")
def remove_budget(
    scope: ScopeArgument,
    window: WindowOption = "total",
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lift the cap on a scope."""
    with reported(as_json=as_json), connected(data) as api:
        removed = api.delete(_path(api, _key(scope, window)))
    if as_json:
        show_json(removed)
    else:
        show(f"The budget on {_key(scope, window)} is gone.")


def _per(budget: dict[str, Any]) -> str:
    return "in all" if budget["window"] == "total" else f"per {budget['window']}"


def _show(budgets: list[dict[str, Any]]) -> None:
    rows = []
    for one in budgets:
        then = f"to {one['downgrade_to']}" if one["downgrade_to"] else one["on_limit"]
        limit = f"{dollars(one['limit_nanousd'])} {_per(one)}"
        for position in one["positions"] or [None]:
            amounts = [position[name] if position else 0 for name in ("spent_nanousd", "held_nanousd")]
            left = position["left_nanousd"] if position else one["limit_nanousd"]
            where = position["scope"] if position and len(one["positions"]) > 1 else one["scope"]
            rows.append((where, limit, *(dollars(amount) for amount in amounts), dollars(left), then))
    show_table(
        ["scope", "limit", "spent>", "held>", "left>", "then"],
        rows,
        empty="No budgets yet. `airside budgets set agent:NAME 5 --window day` makes one.",
    )
