"""`airside agents`: look at agents. Define them in a file and `airside apply` it."""

from __future__ import annotations

from typing import Annotated

import typer

from airside.cli.failures import reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import show, show_json, show_table
from airside.cli.target import connected

app = typer.Typer(help="Look at agents.", no_args_is_help=True)


@app.command("list")
def list_agents(
    all_: Annotated[bool, typer.Option("--all", help="Archived ones as well.")] = False,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List agents, newest first."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get("/v1/agents", limit=100, include_archived=all_)["data"]
    if as_json:
        show_json(found)
        return
    show_table(
        ["agent", "version>", "harness", "model", "id", "description"],
        [(a["name"], a["version"], a["harness"], a["model"]["id"], a["id"], a["description"]) for a in found],
        empty="No agents yet. Define one in a file and run `airside apply FILE`.",
    )


@app.command("show")
def show_agent(
    agent: Annotated[str, typer.Argument(help="Name or id of the agent.")],
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one agent and its versions."""
    with reported(as_json=as_json), connected(data) as api:
        agent_id = api.agent_id(agent)
        found = api.get(f"/v1/agents/{agent_id}")
        found["versions"] = [one["version"] for one in api.get(f"/v1/agents/{agent_id}/versions", limit=100)["data"]]
    if as_json:
        show_json(found)
        return
    show(f"{found['name']}  {found['id']}", "bold")
    show(f"  version   {found['version']} (of {', '.join(map(str, found['versions']))})")
    show(f"  harness   {found['harness']}")
    show(f"  model     {found['model']['id']}")
    show(f"  runs in   {found['environment'] or 'default'}")
    granted = [c["name"] for c in found["tools"][0]["configs"] if c["enabled"]]
    show(f"  tools     {', '.join(granted) or 'none'}")
    if found["description"]:
        show(f"  about     {found['description']}")
    if found["system"]:
        show(f"  system    {found['system']}", "dim")
