"""`airside sessions`: look at sessions and steer them."""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any

import typer

from airside.cli.failures import FAILED, reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import age, dollars, show, show_json, show_table
from airside.cli.run import follow_to_rest, refuse_emptiness, show_json_result, show_result
from airside.cli.target import Api, connected
from airside.cli.transcript import show_event, until_rest
from airside.clock import SystemClock
from airside.errors import Unavailable

app = typer.Typer(help="Look at sessions and steer them.", no_args_is_help=True)

SessionArgument = Annotated[str, typer.Argument(help="Id of the session.")]
_RESTING = {"idle", "waiting", "interrupted", "failed", "cancelled", "archived"}


@app.command("list")
def list_sessions(
    agent: Annotated[str | None, typer.Option(help="Only sessions of this agent, by name or id.")] = None,
    status: Annotated[str | None, typer.Option(help="Only sessions in this status or state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List sessions, newest first."""
    with reported(as_json=as_json), connected(data) as api:
        agent_id = None if agent is None else api.agent_id(agent)
        found = api.get("/v1/sessions", limit=limit, agent_id=agent_id, statuses=status)["data"]
    if as_json:
        show_json(found)
        return
    now = SystemClock().now()
    show_table(
        ["session", "agent", "state", "calls>", "cost>", "age>", "title~"],
        [
            (
                one["id"],
                one["agent"]["name"],
                one["state"],
                one["usage"]["model_calls"],
                dollars(one["usage"]["cost_nanousd"]),
                age(one["created_at"], now),
                one["title"],
            )
            for one in found
        ],
        empty="No such sessions." if agent or status else "No sessions yet. `airside run AGENT PROMPT` starts one.",
    )


@app.command("show")
def show_session(session: SessionArgument, data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """Show one session: its state, what it used, what it left behind."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get(f"/v1/sessions/{session}")
        found["artifacts"] = api.get(f"/v1/sessions/{session}/artifacts")["data"]
        found["log"] = api.get(f"/v1/sessions/{session}/events/verify")
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    agent, usage, log = found["agent"], found["usage"], found["log"]
    reason = f" ({found['stop_reason']['type']})" if found["stop_reason"] else ""
    show(f"{found['id']}  {found['title'] or ''}", "bold")
    show(f"  state     {found['state']}{reason}")
    show(f"  agent     {agent['name']} v{agent['version']} on {agent['harness']} {found['harness_version'] or ''}")
    for resource in found["resources"]:
        show(f"  works on  {resource['url']}")
    for party in ("user", "team"):
        if found[party]:
            show(f"  {party}      {found[party]}")
    show(
        f"  used      {usage['model_calls']} model call(s), {usage['fallbacks']} fallback(s), "
        f"{dollars(usage['cost_nanousd'])}"
    )
    whole = "intact" if log["intact"] else f"BROKEN at event {log['first_broken']}"
    show(f"  log       {log['event_count']} events, {whole}", "" if log["intact"] else "bold red")
    for artifact in found["artifacts"]:
        show(f"  artifact  {artifact['id']} {artifact['kind']} {artifact['size_bytes']} bytes", "dim")


@app.command()
def events(
    session: SessionArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the session rests.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Begin behind this sequence.")] = 0,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a session's events. With --json, one line an event."""
    with reported(as_json=as_json), connected(data) as api:
        names: dict[str, str] = {}
        position = after
        while page := api.get(f"/v1/sessions/{session}/events", after=position, limit=1000)["data"]:
            for event in page:
                show_json(event) if as_json else show_event(event, names)
            position = page[-1]["sequence"]
        if follow and api.get(f"/v1/sessions/{session}")["state"] not in _RESTING:
            sys.stdout.flush()
            for event in until_rest(api, session, position):
                show_json(event) if as_json else show_event(event, names)
                sys.stdout.flush()  # whoever reads along waits for it


@app.command()
def send(
    session: SessionArgument,
    prompt: Annotated[str, typer.Argument(help="What to tell the agent.")],
    wait: Annotated[bool, typer.Option(help="Follow the session until it rests.")] = True,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send a message to a session, which begins its next turn."""
    began = time.monotonic()
    with reported(as_json=as_json), connected(data) as api:
        refuse_emptiness(prompt)
        message = {"type": "user.message", "content": [{"type": "text", "text": prompt}]}
        sent = api.post(f"/v1/sessions/{session}/events", {"events": [message]})["data"]
        if not wait or api.get(f"/v1/sessions/{session}")["state"] == "interrupted":
            show_json(sent) if as_json else show("Sent. The session is paused or you do not wait for it.")
            return
        _follow_and_report(api, session, sent[-1]["sequence"] - 1, began, as_json=as_json)


def _follow_and_report(api: Api, session: str, after: int, began: float, *, as_json: bool) -> None:
    result = follow_to_rest(api, session, began, quiet=as_json, after=after)
    show_json_result(result) if as_json else show_result(result)
    if result["stop_reason"] != "end_turn":
        raise SystemExit(FAILED)


@app.command()
def pause(
    session: SessionArgument,
    wait: Annotated[bool, typer.Option(help="Return once it has paused.")] = True,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop what a session is doing so that it can go on later."""
    _act(session, "pause", wait, data, as_json=as_json)


@app.command()
def resume(
    session: SessionArgument,
    wait: Annotated[bool, typer.Option(help="Follow the session until it rests again.")] = False,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with a paused session, or one that waits for its budget."""
    began = time.monotonic()
    with reported(as_json=as_json), connected(data) as api:
        before = api.get(f"/v1/sessions/{session}")["event_count"]
        found = api.post(f"/v1/sessions/{session}/resume")
        if wait and found["state"] not in _RESTING:
            _follow_and_report(api, session, before, began, as_json=as_json)
            return
    _report(found, as_json=as_json)


@app.command()
def stop(
    session: SessionArgument,
    wait: Annotated[bool, typer.Option(help="Return once it has ended.")] = True,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """End a session for good."""
    _act(session, "stop", wait, data, as_json=as_json)


def _act(session: str, action: str, wait: bool, data: Any, *, as_json: bool) -> None:
    with reported(as_json=as_json), connected(data) as api:
        found = api.post(f"/v1/sessions/{session}/{action}")
        if wait:
            found = _until_at_rest(api, session, found)
    _report(found, as_json=as_json)


def _until_at_rest(api: Api, session: str, found: dict[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while found["state"] not in _RESTING:
        if time.monotonic() > deadline:
            raise Unavailable(f"session {session} is still {found['state']}", hint="Is a worker running?")
        time.sleep(0.1)
        found = api.get(f"/v1/sessions/{session}")
    return found


def _report(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(found)
    else:
        show(f"{found['id']} is {found['state']}.")
