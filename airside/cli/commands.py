"""Every command, registered by name."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from typer._click.exceptions import (
    UsageError,
)  # Typer's own copy of Click; it shows only subclasses under a public name

from airside import __version__
from airside.cli import agents, budgets, calls, config, harness, keys, processes, routes, run, sessions, up, usage
from airside.cli.demo.command import demo
from airside.cli.failures import BAD_USAGE, report
from airside.errors import BadInput

app = typer.Typer(
    name="airside",
    help="Runs coding agents for teams: on any harness, in a sandbox, through one gateway.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

_START, _WORK, _SETUP = "Start and stop", "Run and look", "Define and set up"

app.command(rich_help_panel=_START)(up.up)
app.command(rich_help_panel=_START)(demo)
app.command(rich_help_panel=_START)(processes.control)
app.command(rich_help_panel=_START)(processes.worker)
app.command(rich_help_panel=_WORK)(run.run)
app.add_typer(sessions.app, name="sessions", rich_help_panel=_WORK)
app.add_typer(calls.app, name="calls", rich_help_panel=_WORK)
app.command(rich_help_panel=_WORK)(usage.usage)
app.command(rich_help_panel=_SETUP)(config.plan)
app.command(rich_help_panel=_SETUP)(config.apply)
app.command(rich_help_panel=_SETUP)(config.export)
app.add_typer(agents.app, name="agents", rich_help_panel=_SETUP)
app.add_typer(routes.app, name="routes", rich_help_panel=_SETUP)
app.add_typer(budgets.app, name="budgets", rich_help_panel=_SETUP)
app.add_typer(keys.app, name="keys", rich_help_panel=_SETUP)
app.add_typer(harness.app, name="harness", rich_help_panel=_SETUP)


@app.command(rich_help_panel=_START, add_help_option=False)
def gateway(context: typer.Context) -> None:
    """Run the gateway: every model call goes through it. `airside gateway --help` shows its options."""
    raise AssertionError(f"handled before the command line is read: {context.command_path}")


@app.callback(invoke_without_command=True)
def version(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """The options of `airside` itself."""
    if show_version:
        print(f"airside {__version__}")
        raise typer.Exit


def run_command() -> None:
    """Run the command line, and exit with its code. Who asks for JSON hears of bad usage in JSON, too."""
    if "--json" not in sys.argv:
        app()
    try:
        sys.exit(app(standalone_mode=False))
    except UsageError as error:
        command = error.ctx.command_path if error.ctx is not None else "airside"
        report(BadInput(error.format_message(), code="bad_usage", hint=f"See `{command} --help`."), as_json=True)
        sys.exit(BAD_USAGE)
