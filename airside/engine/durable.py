"""Durable execution by DBOS, on an SQLite file of its own.

Facts behind the odd lines, all seen with DBOS 3.4.0: its schema uses `unixepoch('subsec')`, which SQLite older than
3.42 does not know; it sets no WAL; its default application version changes with the code, which would strand work at
every upgrade; and without its hosted companion it never takes over what a dead executor left.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import create_engine, event

from airside.clock import Clock
from airside.engine.engine import Handler
from airside.ids import ExecutorId
from airside.storage.sqlite import refuse_damaged

_APPLICATION = "airside"
_REMAKE = (
    "Nothing was changed. This file holds only what is queued: move it aside, and it is made anew from the sessions "
    "themselves."
)
_APPLICATION_VERSION = "airside-1"  # names the meaning of stored work, not the release; see docs/decisions
_QUEUE = "work"
_POLL_S = 0.1
_CONCURRENT = 64
_FINISHED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]


def _engine(path: Path, clock: Clock) -> SqlEngine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    def configure(connection: Any, _record: object) -> None:
        if sqlite3.sqlite_version_info < (3, 42):
            connection.create_function("unixepoch", -1, lambda *given: _unixepoch(clock, given))
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine, "connect", configure)
    return engine


def _unixepoch(clock: Clock, given: tuple[object, ...]) -> float:
    seconds = clock.now().timestamp()
    return seconds if "subsec" in given else int(seconds)


class DurableQueue:
    """Enqueues work and runs none: for the control plane. Makes the file if it is missing."""

    def __init__(self, path: Path, clock: Clock) -> None:
        refuse_damaged(path, _REMAKE)
        DBOS.migrate(f"sqlite:///{path}")
        self._client = DBOSClient(system_database_engine=_engine(path, clock), retry_connection_errors=False)

    async def enqueue(self, work: str, key: str, argument: str) -> None:
        await self._client.enqueue_async(
            {
                "queue_name": _QUEUE,
                "workflow_name": work,
                "workflow_id": f"{work}:{key}",
                "app_version": _APPLICATION_VERSION,
            },
            argument,
        )

    async def close(self) -> None:
        self._client.destroy()


class DurableExecutor:
    """Runs work in this process. One per process: DBOS keeps itself in a global."""

    def __init__(self, path: Path, clock: Clock, executor_id: ExecutorId) -> None:
        self._clock = clock
        refuse_damaged(path, _REMAKE)
        DBOS(
            config=DBOSConfig(
                name=_APPLICATION,
                system_database_engine=_engine(path, clock),
                application_version=_APPLICATION_VERSION,
                executor_id=executor_id,
                log_level="WARNING",
                max_executor_threads=8,
                notification_listener_polling_interval_sec=0.2,
            )
        )
        self._queue = DurableQueue(path, clock)

    async def run(self, handlers: Mapping[str, Handler]) -> None:
        for name, handler in handlers.items():
            DBOS.workflow(name=name)(_as_workflow(handler))
        DBOS.launch()
        await DBOS.register_queue_async(_QUEUE, worker_concurrency=_CONCURRENT, polling_interval_sec=_POLL_S)

    async def enqueue(self, work: str, key: str, argument: str) -> None:
        await self._queue.enqueue(work, key, argument)

    async def take_over(self, living: Collection[ExecutorId]) -> int:
        pending = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
        orphans = [found.workflow_id for found in pending if found.executor_id not in living]
        for workflow_id in orphans:
            await DBOS.resume_workflow_async(workflow_id)
        return len(orphans)

    async def forget_finished(self, older_than_s: float) -> int:
        horizon = (self._clock.now() - timedelta(seconds=older_than_s)).isoformat()
        finished = await DBOS.list_workflows_async(
            status=_FINISHED, completed_before=horizon, limit=1000, load_input=False, load_output=False
        )
        await DBOS.delete_workflows_async([found.workflow_id for found in finished])
        return len(finished)

    async def close(self) -> None:
        await self._queue.close()
        DBOS.destroy()


def _as_workflow(handler: Handler) -> Handler:
    # The handler is one step: it finds out from our own tables how far it had come, so there is nothing to replay.
    async def workflow(argument: str) -> None:
        await DBOS.run_step_async(None, handler, argument)

    return workflow
