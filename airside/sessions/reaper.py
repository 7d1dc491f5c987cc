"""The reaper: finds sessions that should be moving and are not, and gets them driven.

Level-triggered: it looks at what is, not at what happened, so nothing has to be noticed in time. It mends every crash
between writing an input down and having it worked on.
"""

from __future__ import annotations

import os
import socket

import structlog

from airside.engine.engine import Executor
from airside.engine.executors import Executors
from airside.sessions.driver import DRIVE
from airside.sessions.equipment import Equipment

logger = structlog.get_logger()

_RETRY_S = 30  # a session that was enqueued and still lies idle is enqueued again this often
_SWEEP_S = 3600
_KEEP_FINISHED_S = 7 * 86_400


class Reaper:
    """Keeps this executor's lease and takes over from those who let theirs lapse."""

    def __init__(self, equipment: Equipment, executor: Executor, executors: Executors) -> None:
        self._equipment = equipment
        self._executor = executor
        self._executors = executors

    async def run(self) -> None:
        """Look around again and again, until cancelled. One bad look is logged and made good by the next."""
        clock, timing = self._equipment.clock, self._equipment.timing
        swept_at = clock.monotonic()
        while True:
            try:
                await self.look()
                if clock.monotonic() - swept_at > _SWEEP_S:
                    swept_at = clock.monotonic()
                    await self._executor.forget_finished(_KEEP_FINISHED_S)
            except Exception:
                logger.exception("reaper failed to look around")
            await clock.sleep(timing.reap_s)

    async def look(self) -> None:
        """One look: renew our lease, take over dead executors' work, enqueue sessions that nobody attends to."""
        equipment = self._equipment
        now = equipment.clock.now().timestamp()
        async with equipment.database.write() as connection:
            await self._executors.renew(connection, equipment.executor_id, socket.gethostname(), os.getpid())
            living = await self._executors.living(connection)
        taken = await self._executor.take_over(living)
        if taken:
            logger.info("took over work of dead executors", count=taken)
        async with equipment.database.read() as connection:
            unattended = await equipment.sessions.unattended(connection, now)
            tokens = {one: (await equipment.sessions.get(connection, one)).fencing_token for one in unattended}
        for session_id, fencing_token in tokens.items():
            key = f"{session_id}:{fencing_token}:{int(now) // _RETRY_S}"
            await self._executor.enqueue(DRIVE, key, session_id)
