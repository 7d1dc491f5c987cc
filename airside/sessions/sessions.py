"""Where sessions are kept: making, finding and moving them through their states."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.agents.agents import Agent
from airside.clock import Clock
from airside.errors import NotFound
from airside.events import JsonObject
from airside.ids import AgentId, EnvironmentId, Ids, ProjectId, SessionId
from airside.sessions.log import GENESIS
from airside.sessions.repository_address import refuse_credentials
from airside.sessions.states import OVER, SessionState, Wanted, check_transition
from airside.storage.tables import sessions


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository that a session works on: a path on the server or a URL, and what to check out of it."""

    url: str
    branch: str | None = None
    commit: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session as it stands."""

    session_id: SessionId
    project_id: ProjectId
    agent_id: AgentId
    agent_version: int
    environment_id: EnvironmentId
    title: str | None
    metadata: Mapping[str, str]
    repository: Repository | None
    budget_nanousd: int | None
    user: str | None
    team: str | None
    state: SessionState
    stop_reason: JsonObject | None
    wanted: Wanted | None
    native_session_id: str | None
    harness_version: str | None
    base_commit: str | None
    event_count: int
    head_sha256: str
    fencing_token: int
    lease_holder: str | None
    lease_expires_at: float | None
    tokens_expire_at: datetime | None
    active_seconds: float
    created_at: datetime
    updated_at: datetime
    archived_at: datetime | None

    @property
    def is_over(self) -> bool:
        """True if nothing more can happen to it."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is made with."""

    agent: Agent
    environment_id: EnvironmentId
    repository: Repository | None = None
    title: str | None = None
    metadata: Mapping[str, str] | None = None
    budget_nanousd: int | None = None
    #: Whose budgets and rate limits its calls count against, beside the agent's.
    user: str | None = None
    team: str | None = None


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions to list; what is None does not matter."""

    agent_id: AgentId | None = None
    agent_version: int | None = None
    states: Collection[SessionState] = ()
    created_from: datetime | None = None
    created_until: datetime | None = None
    include_archived: bool = False


class Sessions:
    """The sessions of all projects."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def create(self, connection: AsyncConnection, new: NewSession) -> Session:
        """A session that waits for its first input. Raises `BadInput` for a repository URL with a credential in it."""
        if new.repository is not None:
            refuse_credentials(new.repository.url)
        session_id, now = self._ids.session(), self._clock.now()
        await connection.execute(
            insert(sessions).values(
                id=session_id,
                project_id=new.agent.project_id,
                agent_id=new.agent.agent_id,
                agent_version=new.agent.version,
                environment_id=new.environment_id,
                title=new.title,
                metadata=dict(new.metadata or {}),
                resources=_resources(new.repository),
                budget_nanousd=new.budget_nanousd,
                user=new.user,
                team=new.team,
                state=SessionState.IDLE,
                event_count=0,
                head_sha256=GENESIS,
                fencing_token=0,
                active_seconds=0.0,
                created_at=now,
                updated_at=now,
            )
        )
        return await self.get(connection, session_id)

    async def get(self, connection: AsyncConnection, session_id: SessionId) -> Session:
        """One session. Raises `NotFound`."""
        row = (await connection.execute(select(sessions).where(sessions.c.id == session_id))).mappings().first()
        if row is None:
            raise NotFound(f"there is no session {session_id}", hint="`airside sessions list` shows the sessions.")
        return _session(dict(row))

    async def list(
        self,
        connection: AsyncConnection,
        project_id: ProjectId,
        wanted: SessionFilter,
        *,
        after: SessionId | None = None,
        limit: int = 20,
        ascending: bool = False,
    ) -> Sequence[Session]:
        """A page of sessions by age, newest first unless `ascending`, beginning behind `after`."""
        column = sessions.c
        query = select(sessions).where(column.project_id == project_id)
        if wanted.agent_id is not None:
            query = query.where(column.agent_id == wanted.agent_id)
        if wanted.agent_version is not None:
            query = query.where(column.agent_version == wanted.agent_version)
        if wanted.states:
            query = query.where(column.state.in_(wanted.states))
        if wanted.created_from is not None:
            query = query.where(column.created_at >= wanted.created_from)
        if wanted.created_until is not None:
            query = query.where(column.created_at < wanted.created_until)
        if not wanted.include_archived:
            query = query.where(column.archived_at.is_(None))
        if after is not None:
            query = query.where(column.id > after if ascending else column.id < after)
        query = query.order_by(column.id if ascending else column.id.desc()).limit(limit)
        return [_session(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def move(
        self,
        connection: AsyncConnection,
        session_id: SessionId,
        state: SessionState,
        *,
        stop_reason: JsonObject | None = None,
    ) -> None:
        """Put a session into a state. Raises `Conflict` if it may not go there from where it is."""
        current = await self.get(connection, session_id)
        check_transition(session_id, current.state, state)
        values: dict[str, Any] = {"state": state, "stop_reason": stop_reason, "updated_at": self._clock.now()}
        if state is SessionState.ARCHIVED:
            values["archived_at"] = self._clock.now()
        await self.change(connection, session_id, **values)

    async def change(self, connection: AsyncConnection, session_id: SessionId, **values: Any) -> None:
        """Set columns of one session."""
        await connection.execute(update(sessions).where(sessions.c.id == session_id).values(**values))

    async def unattended(self, connection: AsyncConnection, now: float) -> Sequence[SessionId]:
        """Sessions that should be moving while nobody holds their lease."""
        column = sessions.c
        query = select(column.id).where(
            or_(
                column.state.in_(
                    [SessionState.QUEUED, SessionState.PROVISIONING, SessionState.RUNNING, SessionState.RECOVERING]
                ),
                column.wanted.is_not(None),
            ),
            column.state.not_in(list(OVER)),
            or_(column.lease_expires_at.is_(None), column.lease_expires_at <= now),
        )
        return [SessionId(row.id) for row in await connection.execute(query.order_by(column.updated_at).limit(100))]

    async def revoked(self, connection: AsyncConnection) -> Sequence[tuple[SessionId, datetime]]:
        """Sessions that are over while tokens of theirs have not expired, and when the last of these will."""
        column = sessions.c
        query = select(column.id, column.tokens_expire_at).where(
            column.state.in_(list(OVER)), column.tokens_expire_at > self._clock.now()
        )
        return [(SessionId(row.id), row.tokens_expire_at) for row in await connection.execute(query)]


def _resources(repository: Repository | None) -> list[JsonObject]:
    if repository is None:
        return []
    return [{"url": repository.url, "branch": repository.branch, "commit": repository.commit}]


def _session(row: dict[str, Any]) -> Session:
    resources = row.pop("resources")
    repository = Repository(**resources[0]) if resources else None
    state, wanted = SessionState(row.pop("state")), row.pop("wanted")
    return Session(
        session_id=row.pop("id"),
        repository=repository,
        state=state,
        wanted=Wanted(wanted) if wanted else None,
        **row,
    )
