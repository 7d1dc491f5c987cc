"""Session leases: which worker drives a session, and the fencing token that proves it.

A lease that is not renewed lapses; whoever takes it over gets a higher token, and the log refuses the older one. Time
is that of the machines' wall clocks, so leases are long compared with how far clocks differ.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.ids import ExecutorId, SessionId
from airside.sessions.log import LeaseLost
from airside.storage.tables import sessions


@dataclass(frozen=True, slots=True)
class SessionLease:
    """The right to drive one session. `taken_over`: another worker held it and let it lapse."""

    session_id: SessionId
    holder: ExecutorId
    fencing_token: int
    taken_over: bool


class SessionLeases:
    """Grants, renews and ends leases."""

    def __init__(self, clock: Clock, lease_s: float) -> None:
        self._clock = clock
        self._lease_s = lease_s

    async def acquire(
        self, connection: AsyncConnection, session_id: SessionId, holder: ExecutorId
    ) -> SessionLease | None:
        """The lease, with a new fencing token; None while somebody else holds it. Needs a write transaction."""
        now = self._clock.now().timestamp()
        query = select(sessions.c.lease_holder, sessions.c.fencing_token).where(
            sessions.c.id == session_id,
            or_(sessions.c.lease_expires_at.is_(None), sessions.c.lease_expires_at <= now),
        )
        row = (await connection.execute(query)).first()
        if row is None:
            return None
        token = row.fencing_token + 1
        await connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id)
            .values(lease_holder=holder, lease_expires_at=now + self._lease_s, fencing_token=token)
        )
        return SessionLease(session_id, holder, token, taken_over=row.lease_holder is not None)

    async def renew(self, connection: AsyncConnection, lease: SessionLease) -> None:
        """Hold it for another term. Raises `LeaseLost`."""
        expires_at = self._clock.now().timestamp() + self._lease_s
        await self._change(connection, lease, lease_expires_at=expires_at)

    async def release(self, connection: AsyncConnection, lease: SessionLease, *, unfinished: bool = False) -> None:
        """Give it back. `unfinished`: the work goes on, so the next holder takes it over. Raises `LeaseLost`."""
        holder = lease.holder if unfinished else None
        await self._change(connection, lease, lease_holder=holder, lease_expires_at=None)

    async def _change(self, connection: AsyncConnection, lease: SessionLease, **values: object) -> None:
        result = await connection.execute(
            update(sessions)
            .where(sessions.c.id == lease.session_id, sessions.c.fencing_token == lease.fencing_token)
            .values(**values)
        )
        if result.rowcount != 1:
            raise LeaseLost(f"session {lease.session_id} was taken over by another worker")
