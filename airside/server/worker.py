"""A worker as a process: takes work from the engine and drives sessions until it is told to stop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from airside.access.tokens import SessionTokenSigner
from airside.clock import Clock, SystemClock
from airside.config.stores import Stores
from airside.dataplanes.gateway.journal_barrier import GatewayJournal
from airside.engine.durable import DurableExecutor
from airside.engine.executors import Executors
from airside.ids import Ids
from airside.sandboxes.contract import GatewayAddress
from airside.server.adapters import harnesses, installations, sandboxes
from airside.sessions.artifacts import Artifacts
from airside.sessions.driver import DRIVE, Driver
from airside.sessions.equipment import Equipment
from airside.sessions.leases import SessionLeases
from airside.sessions.log import EventLog
from airside.sessions.reaper import Reaper
from airside.sessions.sessions import Sessions
from airside.sessions.tokens import SessionTokens
from airside.sessions.turns import Turns
from airside.sessions.workspace import Cloner
from airside.settings import Timing
from airside.storage.database import Database, prepare_database
from airside.storage.datadir import DataDirectory
from airside.tasks import alongside


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker is run. `shared_harnesses`: looked in after the data directory's own."""

    data: DataDirectory
    gateway: GatewayAddress
    shared_harnesses: Path
    variables: Mapping[str, str]
    timing: Timing


async def serve_worker(
    settings: WorkerSettings, stop_event: Callable[[], asyncio.Event], ready: Callable[[dict[str, Any]], None]
) -> None:
    """Take work until the stop event is set; `ready` is told once work is taken."""
    taking = asyncio.Event()

    async def announce() -> None:
        await taking.wait()
        ready({"role": "worker", "pid": os.getpid()})

    async with alongside(announce()):
        await run_worker(settings, taking, stop_event())


async def run_worker(settings: WorkerSettings, ready: asyncio.Event, stop: asyncio.Event) -> None:
    """Take work until `stop` is set, then hand it over. Sets `ready` once it takes work."""
    data, clock = settings.data, SystemClock()
    await asyncio.to_thread(prepare_database, data.control_database)
    database = Database(data.control_database)
    async with httpx2.AsyncClient() as client:
        equipment = _equipment(settings, database, clock, client)
        executor = DurableExecutor(data.engine_database, clock, equipment.executor_id)
        executors = Executors(clock, settings.timing.lease_s)
        driver, reaper = Driver(equipment), Reaper(equipment, executor, executors)
        running = RunningWork(driver)
        try:
            await executor.run({DRIVE: running.drive})
            await reaper.look()
            async with alongside(reaper.run()):
                ready.set()
                await stop.wait()
                await running.hand_over()
        finally:
            async with database.write() as connection:
                await executors.leave(connection, equipment.executor_id)
            await executor.close()
            await database.close()


class RunningWork:
    """The drives that are under way, so that a stopping worker can wait for them."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def drive(self, session_id: str) -> None:
        """Drive one session."""
        self._under_way += 1
        self._idle.clear()
        try:
            await self._driver.drive(session_id)
        finally:
            self._under_way -= 1
            if self._under_way == 0:
                self._idle.set()

    async def hand_over(self) -> None:
        """Stop all harnesses, leave their turns to another worker, and return once that is done."""
        self._driver.hand_over()
        await self._idle.wait()


def _equipment(settings: WorkerSettings, database: Database, clock: Clock, client: httpx2.AsyncClient) -> Equipment:
    data, ids = settings.data, Ids(clock)
    stores = Stores(clock, ids)
    catalogue = harnesses()
    return Equipment(
        executor_id=ids.executor(),
        database=database,
        stores=stores,
        sessions=Sessions(clock, ids),
        turns=Turns(clock, ids),
        log=EventLog(clock, ids),
        leases=SessionLeases(clock, settings.timing.lease_s),
        artifacts=Artifacts(data.artifacts, clock, ids),
        tokens=SessionTokens(SessionTokenSigner(data.session_signing_key()), stores, clock),
        data=data,
        cloner=Cloner({name: settings.variables[name] for name in _GIT_VARIABLES if name in settings.variables}),
        harnesses=catalogue,
        installation=installations([data.harnesses, settings.shared_harnesses], data.root).find,
        sandboxes=sandboxes(),
        gateway=settings.gateway,
        journal=GatewayJournal(client, settings.gateway.url, data.gateway_token()),
        clock=clock,
        ids=ids,
        timing=settings.timing,
    )


# What git may need of the worker's own environment to clone: its home for credentials, proxies, an ssh agent.
_GIT_VARIABLES = (
    "PATH",
    "HOME",
    "SSH_AUTH_SOCK",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
)
