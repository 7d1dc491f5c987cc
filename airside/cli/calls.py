"""`airside calls`: what every model call was, where it went and what it cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from airside.cli.failures import reported
from airside.cli.moments import SinceOption, UntilOption
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import dollars, show, show_json, show_table, usd
from airside.cli.target import connected
from airside.dataplanes.outcome import Outcome

app = typer.Typer(
    help="Look at model calls: where they went, how long they took, what they cost.", no_args_is_help=True
)

SessionOption = Annotated[str | None, typer.Option(help="Only calls of this session.")]
AgentOption = Annotated[str | None, typer.Option(help="Only calls of this agent, by name or id.")]
ModelOption = Annotated[str | None, typer.Option(help="Only calls that asked for this alias.")]
ProviderOption = Annotated[str | None, typer.Option(help="Only calls this provider answered.")]
OutcomeOption = Annotated[Outcome | None, typer.Option(help="Only calls that ended so.")]


@app.command("list")
def list_calls(
    session: SessionOption = None,
    agent: AgentOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    outcome: OutcomeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """List model calls, newest first."""
    wanted = _query(session, agent, model, provider, outcome)
    with reported(as_json=as_json), connected(data) as api:
        found = api.get("/v1/model_calls", limit=limit, since=since, until=until, **wanted)["data"]
    if as_json:
        show_json(found)
        return
    show_table(
        ["call", "at", "agent", "task", "model", "answered by", "outcome", "input>", "output>", "ms>", "cost>"],
        [_row(call) for call in found],
        empty="No such model calls." if wanted or since or until else "No model calls yet.",
    )


@app.command("show")
def show_call(
    call: Annotated[str, typer.Argument(help="Id of the call, as in the response header x-airside-request-id.")],
    bodies: Annotated[bool, typer.Option("--bodies", help="And what was kept of its request and answer.")] = False,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one model call: who asked, every attempt, tokens, times and cost."""
    with reported(as_json=as_json), connected(data) as api:
        found = api.get(f"/v1/model_calls/{call}")
        if bodies:
            found["kept_bodies"] = api.get(f"/v1/model_calls/{call}/bodies")
    if as_json:
        show_json({**found, "cost_usd": usd(found["cost_nanousd"])})
        return
    for line, style in _described(found):
        show(line, style)
    for name in ("request", "answer") if bodies else ():
        kept = found["kept_bodies"]
        show(f"\n{name}, {kept[f'{name}_bytes']} bytes, {kept['mode']}", "bold")
        show(kept[name])


@app.command()
def tail(
    session: SessionOption = None,
    agent: AgentOption = None,
    model: ModelOption = None,
    provider: ProviderOption = None,
    outcome: OutcomeOption = None,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin behind this position instead of with what is new.")
    ] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many calls.")] = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show model calls as they are recorded, until interrupted. With --json, one line a call."""
    wanted = _query(session, agent, model, provider, outcome)
    with reported(as_json=as_json), connected(data) as api:
        for number, call in enumerate(api.model_calls(after, wanted), start=1):
            show_json(call) if as_json else show("  ".join(str(cell or "-") for cell in _row(call)))
            if number == count:
                return


def _query(
    session: str | None, agent: str | None, model: str | None, provider: str | None, outcome: Outcome | None
) -> dict[str, str]:
    given = {"session_id": session, "agent": agent, "model": model, "provider": provider, "outcome": outcome}
    return {name: value for name, value in given.items() if value is not None}


def _row(call: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        call["id"],
        call["at"][:19],
        call["agent_name"],
        call["task"],
        call["model"],
        _target(call),
        call["outcome"],
        _input(call),
        call["usage"]["output"],
        round(call["timings"]["total_us"] / 1000),
        dollars(call["cost_nanousd"]),
    )


def _target(call: Mapping[str, Any]) -> str | None:
    return f"{call['provider']}/{call['provider_model']}" if call["provider"] else None


def _input(call: Mapping[str, Any]) -> int:
    usage = call["usage"]
    return int(usage["input_uncached"] + usage["cache_read"] + usage["cache_write_5m"] + usage["cache_write_1h"])


def _described(call: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    caller, usage, times = call["caller"], call["usage"], call["timings"]
    client = " ".join(filter(None, (caller["harness"], caller["harness_version"])))
    yield f"{call['id']}  {call['outcome']} {call['status']} {call['error_code'] or ''}", "bold"
    yield f"  asked     {call['model']} at {call['at']} through {call['front_door']}", ""
    yield f"  caller    {client or 'unknown client'}; agent {call['agent_name'] or '-'}", ""
    yield f"  session   {call['session_id'] or '-'}; subagent {caller['subagent'] or '-'}", ""
    yield f"  answered  {_target(call) or 'by nobody'}; {call['route_reason'] or 'not routed'}", ""
    if call["translation"]:
        lost = ", ".join(loss["field"] for loss in call["translation"]["losses"]) or "nothing"
        yield f"  translated to {call['translation']['family']}; lost: {lost}", ""
    for attempt in call["attempts"]:
        took = (attempt["ended_us"] - attempt["started_us"]) / 1000
        why = " ".join(str(part) for part in (attempt["reason"], attempt["status"]) if part)
        yield f"  attempt   {attempt['provider']}/{attempt['model']} {attempt['outcome']} {why} {took:.1f} ms", "dim"
    written = usage["cache_write_5m"] + usage["cache_write_1h"]
    read = f"{usage['input_uncached']} uncached, {usage['cache_read']} cache read, {written} cache write"
    yield f"  tokens    {read}, {usage['output']} output", ""
    yield f"  cost      {dollars(call['cost_nanousd'])} of {dollars(call['hold_nanousd'])} reserved", ""
    first = times["first_byte_us"]
    first_text = f"{first / 1000:.1f} ms to the first token, " if first is not None else ""
    yield f"  took      {first_text}{times['total_us'] / 1000:.1f} ms; gateway {times['gateway_us'] / 1000:.3f} ms", ""
