"""`airside plan`, `apply` and `export`: the one configuration file."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from airside.cli.failures import reported
from airside.cli.files import read_file
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import plain, show, show_json
from airside.cli.target import connected

FileArgument = Annotated[Path, typer.Argument(help="The configuration file, such as airside.yaml.")]

_MOST_BESIDE = 90  # characters of a difference on one line
_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "remove": ("-", "red")}


def plan(file: FileArgument, data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """Show what applying FILE would change."""
    _send("/v1/config/plan", file, data, as_json=as_json)


def apply(file: FileArgument, data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """Make FILE so."""
    _send("/v1/config/apply", file, data, as_json=as_json)


def _send(path: str, file: Path, data: Path | None, *, as_json: bool) -> None:
    with reported(as_json=as_json):
        text = read_file(file)
        with connected(data) as api:
            result = api.post(path, {"source": text, "filename": str(file)})
        if as_json:
            show_json(result)
        else:
            _show(result)


def _show(result: dict[str, Any]) -> None:
    for change in result["changes"]:
        sign, style = _SIGNS[change["action"]]
        show(f"{sign} {change['kind']} {change['name']}", style)
        for one in change["differences"]:
            for line in _difference(one):
                show(f"    {line}", "dim")
    for warning in result["warnings"]:
        show(f"warning: {warning}", "yellow")
    changes, removed = len(result["changes"]), sum(one["action"] == "remove" for one in result["changes"])
    if not changes:
        show(f"Project {result['project']!r} is as the file says.")
    elif result["applied"]:
        adopted = "gateways have it" if result["adopted"] else "a gateway has not confirmed it yet"
        show(f"Applied {changes} change(s) to project {result['project']!r}; {adopted}.")
    else:
        of_which = f", {removed} of which remove(s) something" if removed else ""
        show(f"{changes} change(s) to project {result['project']!r}{of_which}. `airside apply` makes them.")


def _difference(one: dict[str, Any]) -> list[str]:
    """Before and after: beside each other if they are short, else one below the other."""
    before, after = _in_yaml(one["before"]), _in_yaml(one["after"])
    if len(before) + len(after) <= _MOST_BESIDE:
        return [f"{one['path']}: {before} -> {after}"]
    return [f"{one['path']}:", f"  - {before}", f"  + {after}"]


def _in_yaml(value: Any) -> str:
    """A value on one line, as it would stand in the file: without what is not set."""
    text = yaml.safe_dump(_given(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return str(text).removesuffix("...\n").strip()


def _given(value: Any) -> Any:
    match value:
        case dict():
            return {name: _given(one) for name, one in value.items() if one is not None}
        case list():
            return [_given(one) for one in value]
        case _:
            return value


def export(data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """Print everything that is defined as a configuration file."""
    with reported(as_json=as_json), connected(data) as api:
        exported = api.get("/v1/config")
    if as_json:
        show_json(exported)
    else:
        for warning in exported["warnings"]:
            print(f"warning: {plain(warning)}", file=sys.stderr)
        print(exported["source"], end="")
