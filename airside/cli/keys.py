"""`airside keys`: long-lived keys for calling the gateway in an agent's name."""

from __future__ import annotations

from typing import Annotated

import typer

from airside.cli.failures import reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import show, show_json, show_table
from airside.cli.target import connected

app = typer.Typer(help="Keys for calling the gateway in an agent's name.", no_args_is_help=True)


@app.command()
def create(
    agent: Annotated[str, typer.Option(help="Name or id of the agent the key acts for.")],
    name: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    user: Annotated[str | None, typer.Option(help="Whose budgets its calls count against.")] = None,
    team: Annotated[str | None, typer.Option(help="The team whose budgets they count against.")] = None,
    expires_in_days: Annotated[float | None, typer.Option(help="When it stops working by itself.")] = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. It is shown this once."""
    with reported(as_json=as_json), connected(data) as api:
        fields = {"agent": agent, "name": name, "user": user, "team": team, "expires_in_days": expires_in_days}
        made = api.post("/v1/keys", fields)
    if as_json:
        show_json(made)
        return
    show(made["key"], "bold")
    show(f"Key {made['id']} for agent {agent!r}. Only its hash is kept: store it now, it is not shown again.", "dim")


@app.command("list")
def list_keys(data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """List keys, without the keys themselves."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get("/v1/keys")["data"]
        names = {} if as_json else {one["id"]: one["name"] for one in api.get("/v1/agents", limit=100)["data"]}
    if as_json:
        show_json(found)
        return
    show_table(
        ["key", "hint", "agent", "name", "created", "expires", "revoked"],
        [
            (
                one["id"],
                one["hint"],
                names.get(one["agent_id"], one["agent_id"]),
                one["name"],
                one["created_at"][:19],
                (one["expires_at"] or "never")[:19],
                (one["revoked_at"] or "")[:19],
            )
            for one in found
        ],
        empty="No keys yet. `airside keys create --agent NAME` makes one.",
    )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Id of the key.")],
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a key back for good."""
    with reported(as_json=as_json), connected(data) as api:
        revoked = api.post(f"/v1/keys/{key}/revoke")
    if as_json:
        show_json(revoked)
    else:
        show(f"Key {key} is revoked.")
