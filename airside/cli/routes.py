"""`airside routes`: where calls of a model go, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from airside.cli.failures import reported
from airside.cli.files import read_file
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import dollars, show, show_json, show_table
from airside.cli.target import connected
from airside.errors import BadInput

app = typer.Typer(help="Where calls of a model go, and why.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="The model, as agents name it.")]


@app.command("list")
def list_routes(data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """List every model and the targets its calls can reach."""
    with reported(as_json=as_json), connected(data) as api:
        routes = api.get("/v1/routes")["data"]
    if as_json:
        show_json(routes)
        return
    show_table(
        ["model", "steps>", "targets"],
        [
            (
                route["model"],
                len(route["steps"]),
                ", ".join(_target(one) for step in route["steps"] for one in step["to"]),
            )
            for route in routes
        ],
        empty="No models are defined yet.",
    )


@app.command("show")
def show_route(model: ModelArgument, data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """Show the steps of one model's route."""
    with reported(as_json=as_json), connected(data) as api:
        route = api.get(f"/v1/routes/{model}")
    if as_json:
        show_json(route)
        return
    show_table(
        ["step>", "when", "strategy", "to", "besides"],
        [
            (
                number,
                step["when"] or "every call",
                step["strategy"],
                ", ".join(_target(one) for one in step["to"]),
                ", ".join(_share(name, step[name]) for name in ("split", "shadow") if step[name]),
            )
            for number, step in enumerate(route["steps"], start=1)
        ],
        empty="This route has no steps.",
    )


@app.command()
def explain(
    model: ModelArgument,
    agent: Annotated[str | None, typer.Option(help="Name of the agent that calls.")] = None,
    session: Annotated[str | None, typer.Option(help="Its session, whose prompt cache then counts.")] = None,
    door: Annotated[str | None, typer.Option(help="The front door (default anthropic-messages).")] = None,
    task: Annotated[
        str | None, typer.Option(help="main, subagent, title, compact, background or count; told from the rest else.")
    ] = None,
    input_tokens: Annotated[int | None, typer.Option(min=0, help="How long the input is.")] = None,
    images: Annotated[bool, typer.Option("--images", help="The call holds pictures.")] = False,
    documents: Annotated[bool, typer.Option("--documents", help="The call holds documents.")] = False,
    tools: Annotated[int, typer.Option(min=0, help="How many tools it offers.")] = 0,
    thinking: Annotated[bool, typer.Option("--thinking", help="The call asks for thinking.")] = False,
    header: Annotated[list[str] | None, typer.Option(help="A header, as NAME:VALUE; may be repeated.")] = None,
    file: Annotated[
        Path | None, typer.Option(help="The request itself, as JSON: its size, tools and translation then count.")
    ] = None,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say where a call would go and why, what it may cost and what a translation would lose. Nothing is called."""
    with reported(as_json=as_json), connected(data) as api:
        asked = {
            "model": model,
            "agent": agent,
            "session": session,
            "door": door,
            "task": task,
            "input_tokens": input_tokens,
            "images": int(images),
            "documents": int(documents),
            "tools": tools,
            "thinking": thinking,
            "headers": _headers(header or []),
            "body": None if file is None else _body(file),
        }
        told = api.post("/v1/routes/explain", {key: value for key, value in asked.items() if value is not None})
    if as_json:
        show_json(told)
    else:
        _show(told)


def _headers(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition(":") for text in given]
    wrong = next((name for name, colon, _ in pairs if not colon or not name.strip()), None)
    if wrong is not None:
        raise BadInput(f"{wrong!r} is no header", hint="Write NAME:VALUE, such as `--header x-team:red`.")
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _body(file: Path) -> Any:
    try:
        return json.loads(read_file(file))
    except ValueError as error:
        raise BadInput(f"{file} is no JSON: {error}") from error


def _target(one: str | Mapping[str, Any]) -> str:
    return one if isinstance(one, str) else f"{one['target']} x{one['weight']}"


def _share(name: str, share: Mapping[str, Any]) -> str:
    return f"{name} {share['percent']:g}% {share['target']}"


def _show(told: Mapping[str, Any]) -> None:
    show(f"{told['model']}: a {told['task']} call at {told['door']}, about {told['input_tokens']} input tokens")
    for step in told["steps"]:
        show(f"  step {step['step'] + 1}: {step['when'] or 'every call'}{_outcome(step, told['step'])}")
    if told["refusal"]:
        show(f"It would be refused: {told['refusal']}", "red")
    show_table(
        ["order>", "target", "family", "expected>", "at most>", "remarks"],
        [
            (
                number,
                f"{one['provider']}/{one['model']}",
                one["family"],
                dollars(one["expected_nanousd"]),
                dollars(one["bound_nanousd"]),
                "; ".join(_remarks(one, told, first=number == 1)),
            )
            for number, one in enumerate(told["candidates"], start=1)
        ],
        empty="No target would be asked.",
    )
    for one in told["rejected"]:
        show(f"  not {one['provider']}/{one['model']}: {one['reason']}")
    if told["shadow"]:
        show(f"  a copy goes to {told['shadow']['provider']}/{told['shadow']['model']}")
    for note in told["health"] or []:
        key = "" if note["key"] is None else f", key {note['key'] + 1}"
        show(f"  {note['provider']}{key}: {note['state']}, {note['failures']} failures in a row", "yellow")
    if told["health"] is None:
        show("No gateway could be asked: nothing is known of the health of providers.", "yellow")


def _outcome(step: Mapping[str, Any], chosen: int | None) -> str:
    if step["problem"]:
        return f" -> no answer: {step['problem']}"
    if step["step"] == chosen:
        return f" -> this one, {step['strategy']}"
    return " -> not asked" if step["holds"] is None else " -> no"


def _remarks(one: Mapping[str, Any], told: Mapping[str, Any], *, first: bool) -> list[str]:
    remarks = []
    if first and told["lead"] != "strategy":
        remarks.append(
            {"split": "on trial", "cache": "the session's cache", "pin": "the session moved here"}[told["lead"]]
        )
    if one["rests"]:
        remarks.append("left alone for now")
    if one["untranslatable"]:
        remarks.append(one["untranslatable"])
    elif one["losses"]:
        remarks.append(f"{'translated ' if one['translated'] else ''}without {', '.join(one['losses'])}")
    elif one["translated"]:
        remarks.append("translated")
    return remarks
