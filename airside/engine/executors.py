"""Which executors are alive: each renews a lease, and one that does not has its work taken over."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import ExecutorId
from airside.storage.tables import executors


class Executors:
    """The leases of all executors."""

    def __init__(self, clock: Clock, lease_s: float) -> None:
        self._clock = clock
        self._lease_s = lease_s

    async def renew(self, connection: AsyncConnection, executor_id: ExecutorId, host: str, pid: int) -> None:
        """Say that this executor is alive."""
        now = self._clock.now()
        expires_at = now.timestamp() + self._lease_s
        statement = insert(executors).values(id=executor_id, host=host, pid=pid, expires_at=expires_at, started_at=now)
        await connection.execute(
            statement.on_conflict_do_update(index_elements=["id"], set_={"expires_at": expires_at})
        )

    async def living(self, connection: AsyncConnection) -> Collection[ExecutorId]:
        """Those whose lease has not lapsed."""
        query = select(executors.c.id).where(executors.c.expires_at > self._clock.now().timestamp())
        return {ExecutorId(row.id) for row in await connection.execute(query)}

    async def leave(self, connection: AsyncConnection, executor_id: ExecutorId) -> None:
        """Say that this executor takes no more work, and drop those long dead."""
        long_ago = self._clock.now().timestamp() - 86_400
        await connection.execute(
            delete(executors).where((executors.c.id == executor_id) | (executors.c.expires_at < long_ago))
        )
