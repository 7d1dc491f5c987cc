"""The control plane as a process: its stores opened, its snapshot compiled, its API put together."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import structlog
import uvicorn
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.tokens import SessionTokenSigner
from airside.api.app import create_app
from airside.api.services import Services
from airside.clock import Clock, SystemClock
from airside.config.stores import Stores
from airside.dataplanes.feed import SnapshotFeed
from airside.dataplanes.gateway.route_explainer import GatewayRoutes
from airside.dataplanes.snapshot import RevokedSession
from airside.engine.durable import DurableQueue
from airside.ids import Ids
from airside.recording.bodies import Bodies
from airside.sessions.artifacts import Artifacts
from airside.sessions.inputs import SessionInputs
from airside.sessions.journal_intake import JournalIntake
from airside.sessions.log import EventLog
from airside.sessions.sessions import Sessions
from airside.sessions.states import OVER
from airside.sessions.turns import Turns
from airside.settings import Timing
from airside.spending.ledger import Ledger
from airside.storage.database import Database, prepare_database
from airside.storage.datadir import DataDirectory, write_private
from airside.storage.holding import AlreadyUp, hold
from airside.storage.tables import sessions as sessions_table
from airside.tasks import alongside

logger = structlog.get_logger()

_DRAIN_S = 2
_REVOCATION_LOOK_S = 0.5
_ENDS_WITHIN_S = 5.0  # an earlier control plane that was asked to end may still be draining
_HOLD_LOOK_S = 0.1
_SWEEP_S = 600.0
_RECOMPILE_S = 3600.0  # prices and expiries change with the date, not only with what people do


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """How the control plane is run."""

    data: DataDirectory
    allowed_hosts: frozenset[str]
    variables: Mapping[str, str]
    timing: Timing


class _Server(uvicorn.Server):
    """A server that leaves signals to us."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serving(services: Services, listening: socket.socket) -> AsyncIterator[str]:
    """Serve the API on a listening socket for the length of the block, which begins once it answers; gives its URL."""
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    server = _Server(config)
    started = asyncio.Event()

    async def serve() -> None:
        try:
            await server.serve(sockets=[listening])
        finally:
            started.set()

    async def watch() -> None:
        while not server.started:  # noqa: ASYNC110 - uvicorn offers a flag and no event
            await asyncio.sleep(0.01)
        started.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(serve())
        watching = group.create_task(watch())
        await started.wait()
        try:
            yield _url_of(listening)
        finally:
            watching.cancel()
            services.stopping.set()
            await services.feed.stop()
            server.should_exit = True


async def serve_control(
    settings: ControlSettings,
    listen: Callable[[], socket.socket],
    stop_event: Callable[[], asyncio.Event],
    ready: Callable[[dict[str, Any]], None],
) -> None:
    """Serve the API on the socket that `listen` makes until the stop event is set; `ready` is told the address once it
    answers.

    The address also stands in the data directory for as long as the server runs, for the command line to find. Raises
    `AlreadyUp` if another control plane runs on the data directory.
    """
    stop, running_file = stop_event(), settings.data.running_file
    async with _alone_on(settings.data, SystemClock()):
        listening = listen()
        async with control_plane(settings) as services, serving(services, listening) as url:
            said = {"role": "control", "url": url, "pid": os.getpid()}
            write_private(running_file, f"{json.dumps(said)}\n".encode())
            ready(said)
            await stop.wait()
        running_file.unlink(missing_ok=True)


@asynccontextmanager
async def _alone_on(data: DataDirectory, clock: Clock) -> AsyncIterator[None]:
    """Hold the data directory for the block, as its only control plane. Raises `AlreadyUp` if it stays held."""
    with ExitStack() as held:
        give_up_at = clock.monotonic() + _ENDS_WITHIN_S
        while True:
            try:
                held.enter_context(hold(data.control_lock, what="control plane"))
                break
            except AlreadyUp:
                if clock.monotonic() > give_up_at:
                    raise
            await clock.sleep(_HOLD_LOOK_S)
        yield


def _url_of(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@asynccontextmanager
async def control_plane(settings: ControlSettings) -> AsyncIterator[Services]:
    """The services of the API, with stores open and snapshot compiled. Raises `BadInput` for an unusable database."""
    data, clock = settings.data, SystemClock()
    await asyncio.to_thread(prepare_database, data.control_database)
    ids, database = Ids(clock), Database(data.control_database)
    stores, sessions = Stores(clock, ids), Sessions(clock, ids)
    signer = SessionTokenSigner(data.session_signing_key())

    async def revoked(connection: AsyncConnection) -> list[RevokedSession]:
        return [RevokedSession(session_id=one, until=until) for one, until in await sessions.revoked(connection)]

    feed = SnapshotFeed(database, stores, signer, settings.variables, revoked, clock)
    client = httpx2.AsyncClient(trust_env=False)
    engine = DurableQueue(data.engine_database, clock)
    services = Services(
        database=database,
        stores=stores,
        sessions=sessions,
        turns=Turns(clock, ids),
        inputs=SessionInputs(clock, ids),
        log=EventLog(clock, ids),
        artifacts=Artifacts(data.artifacts, clock, ids),
        feed=feed,
        routes=GatewayRoutes(client, feed, clock, data.gateway_token()),
        intake=JournalIntake(clock, ids),
        ledger=Ledger(clock),
        bodies=Bodies(clock),
        engine=engine,
        environment=settings.variables,
        clock=clock,
        ids=ids,
        timing=settings.timing,
        admin_token=data.admin_token(),
        gateway_token=data.gateway_token(),
        allowed_hosts=settings.allowed_hosts,
        stopping=asyncio.Event(),
    )
    await feed.refresh()
    try:
        async with (
            alongside(_keep_snapshot_current(feed, database, clock)),
            alongside(_delete_expired_bodies(services)),
        ):
            yield services
    finally:
        await client.aclose()
        await engine.close()
        await database.close()


async def _delete_expired_bodies(services: Services) -> None:
    while True:
        async with services.database.write() as connection:
            count = await services.bodies.sweep(connection)
        if count:
            logger.info("deleted bodies of calls whose time was over", count=count)
        await services.clock.sleep(_SWEEP_S)


async def _keep_snapshot_current(feed: SnapshotFeed, database: Database, clock: Clock) -> None:
    """Recompile when sessions ended, which a worker notes in the database, and now and then for what dates change."""
    seen, compiled_at = None, clock.monotonic()
    while True:
        await clock.sleep(_REVOCATION_LOOK_S)
        async with database.read() as connection:
            query = select(func.count(), func.max(sessions_table.c.updated_at)).where(
                sessions_table.c.state.in_(list(OVER)), sessions_table.c.tokens_expire_at > clock.now()
            )
            found = tuple((await connection.execute(query)).one())
        if found != seen or clock.monotonic() - compiled_at > _RECOMPILE_S:
            seen, compiled_at = found, clock.monotonic()
            await feed.refresh()
