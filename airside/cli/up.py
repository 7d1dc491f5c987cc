"""`airside up`: the whole of Airside on this machine, supervised."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import structlog
import typer

from airside.cli.failures import reported
from airside.cli.files import read_file
from airside.cli.options import DataDirectoryOption, JsonOption
from airside.cli.output import plain, show, show_json
from airside.cli.program import airside_command
from airside.cli.simulated import simulated_file
from airside.cli.target import Target, api_of
from airside.clock import SystemClock
from airside.errors import AirsideError, Unavailable
from airside.logs import log_as_json
from airside.settings import (
    DEFAULT_GATEWAY_PORT,
    DEFAULT_PORT,
    default_data_directory,
    environment,
)
from airside.storage.datadir import DataDirectory
from airside.storage.holding import hold
from airside.supervision import Ready, Role, Supervised

logger = structlog.get_logger()

DEFAULT_SIMULATED_PORT = 7720

_CALLED = {
    "control": "control plane",
    "gateway": "gateway",
    "worker": "worker",
    "simulated": "server of the simulated models",
}


@dataclass(frozen=True, slots=True)
class UpSettings:
    """How Airside is brought up."""

    data: DataDirectory
    port: int
    gateway_port: int
    file: Path | None = None
    simulated: bool = False
    simulated_port: int = DEFAULT_SIMULATED_PORT


@dataclass(slots=True)
class Stack:
    """The processes of one installation."""

    settings: UpSettings
    control: Supervised
    gateway: Supervised
    worker: Supervised
    simulated: Supervised | None = None
    warnings: Sequence[str] = ()  # of the configuration that was applied

    @property
    def target(self) -> Target:
        """The control plane, once it is up."""
        return Target(str(self.control.ready["url"]), self.settings.data.admin_token())

    @property
    def gateway_url(self) -> str:
        """The gateway, once it is up."""
        return str(self.gateway.ready["url"])

    @property
    def parts(self) -> Sequence[Supervised]:
        """In the order of starting."""
        first = [self.simulated] if self.simulated else []
        return [*first, self.control, self.gateway, self.worker]

    async def start(self) -> None:
        """Start everything and apply the configuration file. Raises `AirsideError`; what was started keeps running."""
        settings = self.settings
        first = [_started(self.control, "--port", settings.port)]
        if self.simulated is not None:
            first.append(_started(self.simulated, "--simulated-port", settings.simulated_port))
        await asyncio.gather(*first)
        self.warnings = await asyncio.to_thread(self._apply)
        await _started(self.gateway, "--gateway-port", settings.gateway_port)
        await self.worker.start()

    def _apply(self) -> Sequence[str]:
        """Apply the configuration, if there is one; what there is to look out for in it."""
        source = self._configuration()
        if source is None:
            return ()
        text, name = source
        with api_of(self.target) as api:
            return [str(one) for one in api.post("/v1/config/apply", {"source": text, "filename": name})["warnings"]]

    def _configuration(self) -> tuple[str, str] | None:
        if self.settings.file is not None:
            return read_file(self.settings.file), str(self.settings.file)
        if self.simulated is not None:
            from airside.server.adapters import sandbox_problem

            sandbox = "process" if sandbox_problem() else "bubblewrap"
            return simulated_file(str(self.simulated.ready["url"]), sandbox), "the built-in simulated configuration"
        return None

    async def keep_alive(self, stop: asyncio.Event, renew: asyncio.Event) -> None:
        """Restart what dies, until `stop`; then drain everything in the reverse order of starting.

        Each time `renew` is set, the gateway is replaced by a new one of the same settings.
        """
        async with asyncio.TaskGroup() as group:
            for part in self.parts:
                group.create_task(part.keep_alive())
            group.create_task(self._replace_when(renew, stop))
            await stop.wait()
            renew.set()
            await self.stop()

    async def _replace_when(self, renew: asyncio.Event, stop: asyncio.Event) -> None:
        while True:
            await renew.wait()
            if stop.is_set():
                return
            renew.clear()
            await self.replace_gateway()

    async def replace_gateway(self) -> None:
        """Start the gateway anew, such as after an upgrade, without refusing or cutting a call."""
        try:
            await self.gateway.replace()
        except (AirsideError, ValueError) as error:
            logger.error("the gateway was not replaced", reason=str(error))  # noqa: TRY400

    async def stop(self) -> None:
        """Drain and end everything."""
        for part in reversed(self.parts):
            await part.stop()


async def _started(part: Supervised, option: str, port: int) -> None:
    """Start a part. If its port is taken, the hint names the option of `airside up` that gives it another."""
    try:
        await part.start()
    except AirsideError as error:
        if error.code != "port_taken":
            raise
        raise Unavailable(
            f"the {part.role.called} cannot be started: port {port} on 127.0.0.1 is taken by another program",
            code=error.code,
            hint=f"Give another with {option} N, or 0 for any free one.",
        ) from error


def build_stack(settings: UpSettings, variables: Mapping[str, str]) -> Stack:
    """The processes, not yet started."""
    clock, data = SystemClock(), settings.data
    child_variables = {**variables, "PYTHONUNBUFFERED": "1"}

    def supervised(name: str, command: Callable[[], Sequence[str]], taking_over: Sequence[str] = ()) -> Supervised:
        log = data.logs / f"{name}.log"
        return Supervised(Role(name, _CALLED[name], command, child_variables, log, taking_over=taking_over), clock)

    control = supervised("control", lambda: _control_command(settings, control.ready))
    gateway = supervised("gateway", lambda: _gateway_command(settings, control.ready, gateway.ready), ["--take-over"])
    worker = supervised("worker", lambda: _worker_command(settings, gateway.ready))
    stack = Stack(settings, control, gateway, worker)
    if settings.simulated:
        stack.simulated = supervised("simulated", lambda: _simulated_command(settings))
    return stack


def _control_command(settings: UpSettings, ready: Ready) -> Sequence[str]:
    # A restarted process keeps the port it had, so that nobody has to be told.
    port = _port_of(ready) or settings.port
    return airside_command("control", "--data", str(settings.data.root), "--port", str(port))


def _gateway_command(settings: UpSettings, control: Ready, ready: Ready) -> Sequence[str]:
    data = settings.data
    return airside_command(
        "gateway",
        *("--data", str(data.gateway)),
        *("--listen", f"127.0.0.1:{_port_of(ready) or settings.gateway_port}"),
        *("--socket", str(data.gateway_socket)),
        *("--control", str(control["url"])),
        *("--join-token-file", str(data.gateway_token_file)),
    )


def _worker_command(settings: UpSettings, gateway: Ready) -> Sequence[str]:
    return airside_command(
        "worker",
        *("--data", str(settings.data.root)),
        *("--gateway-url", str(gateway["url"])),
        *("--gateway-socket", str(settings.data.gateway_socket)),
    )


def _simulated_command(settings: UpSettings) -> Sequence[str]:
    module = "airside.testing.simulated"
    return [sys.executable, "-m", module, "--port", str(settings.simulated_port), "--json"]


def _port_of(ready: Ready) -> int | None:
    url = ready.get("url")
    return urlsplit(str(url)).port if url else None


def up(
    data: DataDirectoryOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the control plane; 0: any.")] = DEFAULT_PORT,
    gateway_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the gateway; 0: any.")
    ] = DEFAULT_GATEWAY_PORT,
    file: Annotated[Path | None, typer.Option(help="Apply this airside.yaml at the start.")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Run simulated models, and agents on them unless --file is given.")
    ] = False,
    simulated_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the simulated models; 0: any.")
    ] = DEFAULT_SIMULATED_PORT,
    as_json: JsonOption = False,
) -> None:
    """Bring up control plane, worker and gateway on this machine, and keep them up until SIGTERM or Ctrl-C."""
    with reported(as_json=as_json):
        log_as_json()
        variables = environment()
        opened = DataDirectory.open(data or default_data_directory(variables))
        settings = UpSettings(opened, port, gateway_port, file, simulated, simulated_port)
        with hold(opened.up_lock, what="`airside up`"):
            asyncio.run(_up(build_stack(settings, variables), as_json=as_json))


async def _up(stack: Stack, *, as_json: bool) -> None:
    stop, renew = asyncio.Event(), asyncio.Event()
    # Before anything is announced: a signal that comes at once must not end the process in its own, rougher way.
    for number, event in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, renew)):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    try:
        await stack.start()
        _announce(stack, as_json=as_json)
        await stack.keep_alive(stop, renew)
    finally:
        await stack.stop()


def _announce(stack: Stack, *, as_json: bool) -> None:
    data, target = stack.settings.data, stack.target
    for warning in stack.warnings:
        print(f"warning: {plain(warning)}", file=sys.stderr, flush=True)
    if as_json:
        ready = {
            "url": target.url,
            "gateway_url": stack.gateway_url,
            "token": target.token,
            "data": str(data.root),
        }
        if stack.simulated is not None:
            ready["simulated_url"] = str(stack.simulated.ready["url"])
        show_json(ready)
    else:
        show("Airside is up.", "bold green")
        show(f"  control plane  {target.url}   (UI: {target.url}/ui)")
        show(f"  gateway        {stack.gateway_url}")
        if stack.simulated is not None:
            show(f"  simulated      {stack.simulated.ready['url']}")
        show(f"  token          {target.token}")
        show(f"  data           {data.root}   (logs: {data.logs})")
        show("Ctrl-C ends it; sessions go on when it is brought up again.", "dim")
    sys.stdout.flush()
