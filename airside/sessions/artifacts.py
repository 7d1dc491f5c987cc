"""Artifacts: what a turn leaves behind, kept by content.

A file is stored once under its SHA-256, whatever how many turns produced it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.errors import NotFound
from airside.ids import ArtifactId, Ids, SessionId, TurnId
from airside.storage.datadir import write_private
from airside.storage.tables import artifacts


class ArtifactKind(StrEnum):
    """What an artifact is."""

    PATCH = "patch"  # all changes since the session began, as `git diff --binary` writes them
    WORKSPACE = "workspace"  # the whole workspace, tar.gz
    HARNESS_FILES = "harness_files"  # the harness's own session files under HOME, tar.gz


@dataclass(frozen=True, slots=True)
class Artifact:
    """One stored artifact."""

    artifact_id: ArtifactId
    session_id: SessionId
    turn_id: TurnId | None
    kind: ArtifactKind
    sha256: str
    size_bytes: int
    created_at: datetime


class Artifacts:
    """The artifacts of all sessions, in one folder."""

    def __init__(self, folder: Path, clock: Clock, ids: Ids) -> None:
        self._folder = folder
        self._clock = clock
        self._ids = ids

    def keep(self, content: bytes) -> str:
        """Put content on disk and return its SHA-256. Safe to repeat."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._path(digest)
        if not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, content)
        return digest

    async def record(
        self,
        connection: AsyncConnection,
        session_id: SessionId,
        turn_id: TurnId | None,
        kind: ArtifactKind,
        sha256: str,
    ) -> Artifact:
        """Note that a kept content is this artifact."""
        made = Artifact(
            self._ids.artifact(),
            session_id,
            turn_id,
            kind,
            sha256,
            self._path(sha256).stat().st_size,
            self._clock.now(),
        )
        await connection.execute(
            insert(artifacts).values(
                id=made.artifact_id,
                session_id=session_id,
                turn_id=turn_id,
                kind=kind,
                sha256=sha256,
                size_bytes=made.size_bytes,
                created_at=made.created_at,
            )
        )
        return made

    async def of_session(self, connection: AsyncConnection, session_id: SessionId) -> Sequence[Artifact]:
        """All of a session, oldest first."""
        query = select(artifacts).where(artifacts.c.session_id == session_id).order_by(artifacts.c.id)
        return [
            Artifact(
                ArtifactId(row.id),
                SessionId(row.session_id),
                TurnId(row.turn_id) if row.turn_id else None,
                ArtifactKind(row.kind),
                row.sha256,
                row.size_bytes,
                row.created_at,
            )
            for row in await connection.execute(query)
        ]

    async def latest(self, connection: AsyncConnection, session_id: SessionId, kind: ArtifactKind) -> Artifact | None:
        """The newest of a kind."""
        found = [artifact for artifact in await self.of_session(connection, session_id) if artifact.kind is kind]
        return found[-1] if found else None

    def content(self, sha256: str) -> bytes:
        """What was kept under that hash. Raises `NotFound` if it is gone or no longer what it was."""
        try:
            content = self._path(sha256).read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"the artifact {sha256} is no longer on disk") from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise NotFound(f"the artifact {sha256} is damaged on disk")
        return content

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256
