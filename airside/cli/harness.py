"""`airside harness`: install, list and remove the programs that agents run on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from airside.agents.harness_name import HarnessName
from airside.cli.failures import reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import console, show, show_json, show_table
from airside.errors import BadInput
from airside.harnesses.installation import HarnessMissing, Installation, Installations
from airside.settings import SHARED_HARNESSES, default_data_directory, environment
from airside.storage.datadir import DataDirectory

app = typer.Typer(help="The programs that agents run on.", no_args_is_help=True)

HarnessArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Such as codex or codex@0.163.0.")]
SharedOption = Annotated[
    bool, typer.Option("--shared", help="Beside this program, for every data directory on this machine.")
]


@app.command()
def install(
    harness: HarnessArgument,
    shared: SharedOption = False,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Install a harness, in the pinned version unless one is named. Does nothing if it is there."""
    with reported(as_json=as_json):
        name, version = _split(harness)
        root = SHARED_HARNESSES if shared else _data(data).harnesses
        progress = (lambda _: None) if as_json else (lambda line: show(f"  {line}", "dim"))
        made = _installations([root]).install(name, version, root=root, progress=progress)
    if as_json:
        show_json(_fields(made))
    else:
        show(f"{made.name} {made.version} is installed in {made.folder}")


@app.command("list")
def list_harnesses(data: DataDirectoryOption = None, as_json: JsonOption = False) -> None:
    """List what is installed."""
    with reported(as_json=as_json):
        found = _installations(_roots(data)).installed()
    if as_json:
        show_json([_fields(one) for one in found])
        return
    show_table(
        ["harness", "version", "where"],
        [(one.name, one.version, one.folder) for one in found],
        empty="Nothing is installed. `airside harness install codex` installs Codex.",
    )
    missing = sorted({str(name) for name in HarnessName} - {one.name for one in found})
    if missing:
        console.print()
        show(f"Not installed: {', '.join(missing)}. `airside harness install NAME` installs one.", "dim")


@app.command()
def remove(
    harness: HarnessArgument,
    shared: SharedOption = False,
    data: DataDirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove one version of a harness from the data directory, or with --shared the one beside this program."""
    with reported(as_json=as_json):
        name, version = _split(harness)
        root = SHARED_HARNESSES if shared else _data(data).harnesses
        known = _installations([root])
        versions = known.versions(name)
        if not versions or version not in {None, *versions}:
            raise _not_there(name, version, root)
        if version is None and len(versions) > 1:
            raise BadInput(
                f"which version of {name}? Installed are: {', '.join(versions)}",
                hint=f"Write airside harness remove {name}@VERSION.",
            )
        version = version or versions[0]
        known.remove(name, version)
    if as_json:
        show_json({"name": name, "version": version, "removed": True})
    else:
        show(f"{name} {version} is removed.")


def _not_there(name: str, version: str | None, root: Path) -> HarnessMissing:
    """Why nothing is removed from a root, and whether others use a copy that may have been meant."""
    elsewhere = [] if root == SHARED_HARNESSES else _installations([SHARED_HARNESSES]).versions(name)
    is_shared = bool(elsewhere) if version is None else version in elsewhere
    named = name if version is None else f"{name}@{version}"
    return HarnessMissing(
        f"the harness {named} is not installed in {root}"
        + (", only beside this program, for every data directory" if is_shared else ""),
        hint=f"To remove it for all: airside harness remove {named} --shared"
        if is_shared
        else "See: airside harness list",
    )


def require_installed(harness: HarnessName) -> None:
    """Raise `HarnessMissing`, with the command that installs it, unless it can be used from any data directory."""
    _installations([SHARED_HARNESSES, default_data_directory(environment()) / "harnesses"]).find(harness)


def _installations(roots: Sequence[Path]) -> Installations:
    from airside.server.adapters import installations

    return installations(roots)


def _split(harness: str) -> tuple[str, str | None]:
    name, _, version = harness.partition("@")
    return name, version or None


def _data(data: Path | None) -> DataDirectory:
    return DataDirectory.open(data or default_data_directory(environment()))


def _roots(data: Path | None) -> list[Path]:
    return [_data(data).harnesses, SHARED_HARNESSES]


def _fields(one: Installation) -> dict[str, str]:
    return {"name": one.name, "version": one.version, "folder": str(one.folder), "executable": str(one.executable)}
