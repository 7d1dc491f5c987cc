"""`/v1/sessions/{id}/artifacts`: patches and snapshots that turns left behind. Ours alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from fastapi import Response
from pydantic import BaseModel

from airside.api.auth import admin_router
from airside.api.services import Use
from airside.errors import NotFound
from airside.ids import SessionId
from airside.sessions.artifacts import ArtifactKind

router = admin_router("/v1/sessions/{session_id}/artifacts", "artifacts")


class ArtifactResource(BaseModel):
    """One artifact."""

    type: Literal["artifact"] = "artifact"
    id: str
    turn_id: str | None
    kind: ArtifactKind
    sha256: str
    size_bytes: int
    created_at: datetime


class ArtifactPage(BaseModel):
    """All artifacts of a session, oldest first."""

    data: Sequence[ArtifactResource]
    next_page: None = None


@router.get("")
async def list_artifacts(session_id: str, services: Use) -> ArtifactPage:
    """What the turns of a session left behind."""
    async with services.database.read() as connection:
        await services.sessions.get(connection, SessionId(session_id))
        found = await services.artifacts.of_session(connection, SessionId(session_id))
    return ArtifactPage(
        data=[
            ArtifactResource(
                id=one.artifact_id,
                turn_id=one.turn_id,
                kind=one.kind,
                sha256=one.sha256,
                size_bytes=one.size_bytes,
                created_at=one.created_at,
            )
            for one in found
        ]
    )


@router.get("/{artifact_id}/content")
async def download_artifact(session_id: str, artifact_id: str, services: Use) -> Response:
    """The bytes of an artifact, never rendered by a browser: an agent wrote them."""
    async with services.database.read() as connection:
        found = await services.artifacts.of_session(connection, SessionId(session_id))
    artifact = next((one for one in found if one.artifact_id == artifact_id), None)
    if artifact is None:
        raise NotFound(f"session {session_id} has no artifact {artifact_id}")
    content = await asyncio.to_thread(services.artifacts.content, artifact.sha256)
    name = f"{artifact.kind}.{'patch' if artifact.kind is ArtifactKind.PATCH else 'tar.gz'}"
    return Response(
        content,
        media_type="application/octet-stream",
        headers={
            "content-disposition": f'attachment; filename="{name}"',
            "x-content-type-options": "nosniff",
        },
    )
