"""Session tokens: what a session's sandbox presents to the gateway."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.tokens import SessionTokenSigner
from airside.agents.agents import Agent
from airside.clock import Clock
from airside.config.stores import Stores
from airside.dataplanes.snapshot import SessionClaims
from airside.harnesses.contract import Secret
from airside.sessions.sessions import Session
from airside.spending.budgets import SESSION_SCOPE
from airside.storage.tables import snapshots

TOKEN_LIFE = timedelta(hours=24)


async def session_cap(connection: AsyncConnection, stores: Stores, session: Session) -> int | None:
    """The most a session may spend over its whole life, in nano-dollars: its own cap or the project's for sessions,
    whichever is lower; None if there is neither.
    """
    budgets = await stores.budgets.list(connection, session.project_id)
    of_project = budgets.get(SESSION_SCOPE)
    caps = [session.budget_nanousd, of_project.definition.limit_nanousd if of_project else None]
    return min((cap for cap in caps if cap is not None), default=None)


class SessionTokens:
    """Mints tokens for sessions."""

    def __init__(self, signer: SessionTokenSigner, stores: Stores, clock: Clock) -> None:
        self._signer = signer
        self._stores = stores
        self._clock = clock

    async def mint(self, connection: AsyncConnection, session: Session, agent: Agent) -> tuple[Secret, datetime]:
        """A token for a process that is about to start, and when it expires."""
        now = self._clock.now()
        expires_at = now + TOKEN_LIFE
        newest = select(func.coalesce(func.max(snapshots.c.version), 0))
        claims = SessionClaims(
            key_id=self._signer.key_id,
            session_id=session.session_id,
            agent_id=agent.agent_id,
            agent_name=agent.name,
            agent_version=agent.version,
            user=session.user,
            team=session.team,
            project=session.project_id,
            harness=agent.definition.harness,
            models=[agent.definition.model],
            budget_nanousd=await session_cap(connection, self._stores, session),
            issued_at=int(now.timestamp()),
            expires_at=int(expires_at.timestamp()),
            minimum_snapshot=int((await connection.execute(newest)).scalar_one()),
        )
        return Secret(self._signer.sign(claims.model_dump_json().encode())), expires_at
