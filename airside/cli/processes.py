"""`airside control` and `airside worker`: one process each, in the foreground. The gateway is `airside_gateway`'s own.

Each prints one line of JSON on the standard output when it is ready, or with the reason why it cannot be; of the reason
a person who looks on gets a sentence instead, unless they ask for JSON. Logs go to the standard error.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from airside.cli.failures import reported
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import show_json
from airside.cli.target import is_url
from airside.errors import BadInput, Refused, Unavailable
from airside.logs import log_as_json
from airside.sandboxes.contract import GatewayAddress
from airside.settings import DEFAULT_PORT, SHARED_HARNESSES, Timing, default_data_directory, environment
from airside.storage.datadir import DataDirectory

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})


def control(
    data: DataDirectoryOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes any free one.")] = DEFAULT_PORT,
    allowed_host: Annotated[
        list[str] | None, typer.Option(help="Another name this server goes by; may be repeated.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the control plane: API, UI, and all that is defined and remembered."""
    from airside.server.control import ControlSettings, serve_control

    with reported(as_json=as_json or not sys.stdout.isatty()):
        log_as_json()
        variables = environment()
        opened = DataDirectory.open(data or default_data_directory(variables))
        hosts = _LOOPBACK | {host} | {name.lower() for name in allowed_host or ()}
        settings = ControlSettings(opened, frozenset(hosts), variables, _timing())
        _run(serve_control(settings, lambda: listen(host, port, "--port"), _stop_event, _ready))


def _timing() -> Timing:
    try:
        return Timing.from_environment(environment())
    except ValueError as error:
        raise BadInput(f"an AIRSIDE_..._S variable holds no number of seconds: {error}") from error


def listen(host: str, port: int, option: str) -> socket.socket:
    """A listening socket. Raises `Unavailable` with the option to change if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: asyncio switches off Nagle's algorithm only then, and each answer would wait 40 ms otherwise.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host.strip("[]"), port))
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(
                f"port {port} on {host} is taken by another program",
                code="port_taken",
                hint=f"Give another with {option} N, or 0 for any free one.",
            ) from error
        raise Refused(f"cannot listen on {host}:{port}: {error.strerror}") from error
    made.listen(512)
    made.setblocking(False)
    return made


def worker(
    gateway_url: Annotated[str, typer.Option(help="The gateway's address on this machine.")],
    data: DataDirectoryOption = None,
    gateway_socket: Annotated[
        Path | None, typer.Option(help="The gateway's unix socket, in a folder that holds nothing else.")
    ] = None,
    harnesses: Annotated[
        Path,
        typer.Option(
            help="Where to look for harnesses after the data directory (default: beside this program).",
            show_default=False,
        ),
    ] = SHARED_HARNESSES,
    as_json: JsonOption = False,
) -> None:
    """Run a worker: takes sessions that have something to do and drives their harnesses."""
    from airside.server.worker import WorkerSettings, serve_worker

    with reported(as_json=as_json or not sys.stdout.isatty()):
        log_as_json()
        if not is_url(gateway_url):
            raise BadInput(
                f"--gateway-url {gateway_url!r} is no URL",
                hint="Write it as http://HOST:PORT, such as the gateway says when it is ready.",
            )
        variables = environment()
        opened = DataDirectory.open(data or default_data_directory(variables))
        gateway = GatewayAddress(gateway_url.rstrip("/"), gateway_socket or opened.gateway_socket)
        settings = WorkerSettings(opened, gateway, harnesses, variables, _timing())
        _run(serve_worker(settings, _stop_event, _ready))


def _ready(said: dict[str, Any]) -> None:
    """Tell whoever started this process."""
    show_json(said)
    sys.stdout.flush()


def _stop_event() -> asyncio.Event:
    """Set when the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _run(main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
