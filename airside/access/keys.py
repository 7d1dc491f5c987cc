"""Long-lived keys: `air_<environment>_<43 base62><6 base62>`, of which only a SHA-256 is kept.

The last six characters are a CRC-32 of the rest, so that a mistyped or truncated key is told apart from a revoked one
without asking anybody, and so that scanners can recognise a leaked one (the idea is GitHub's).
"""

from __future__ import annotations

import hashlib
import secrets
import zlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.clock import Clock
from airside.errors import NotFound
from airside.ids import AgentId, Ids, KeyId, ProjectId
from airside.storage.tables import keys

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_CHARACTERS = 43  # 256 bits
_CHECK_CHARACTERS = 6  # 32 bits


def _base62(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, remainder = divmod(number, 62)
        characters.append(_BASE62[remainder])
    return "".join(reversed(characters))


def new_key(environment: str = "live") -> str:
    """A fresh key, 256 bits of it random."""
    body = f"air_{environment}_{_base62(secrets.randbits(256), _RANDOM_CHARACTERS)}"
    return body + _base62(zlib.crc32(body.encode()), _CHECK_CHARACTERS)


def is_well_formed(key: str) -> bool:
    """True if the checksum fits: says nothing about whether anybody issued it."""
    body, check = key[:-_CHECK_CHARACTERS], key[-_CHECK_CHARACTERS:]
    return key.startswith("air_") and _base62(zlib.crc32(body.encode()), _CHECK_CHARACTERS) == check


def sha256_of(key: str) -> str:
    """What is stored instead of the key. No slow hash is needed: 256 random bits cannot be guessed."""
    return hashlib.sha256(key.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as we know it: everything but the key."""

    key_id: KeyId
    project_id: ProjectId
    agent_id: AgentId
    name: str | None
    user: str | None
    team: str | None
    sha256: str
    hint: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class Keys:
    """The keys of all projects."""

    def __init__(self, clock: Clock, ids: Ids) -> None:
        self._clock = clock
        self._ids = ids

    async def create(
        self,
        connection: AsyncConnection,
        project_id: ProjectId,
        agent_id: AgentId,
        *,
        name: str | None,
        expires_at: datetime | None,
        user: str | None = None,
        team: str | None = None,
    ) -> tuple[StoredKey, str]:
        """A new key for one agent, and the key itself: shown now and never again."""
        secret = new_key()
        stored = StoredKey(
            key_id=self._ids.key(),
            project_id=project_id,
            agent_id=agent_id,
            name=name,
            user=user,
            team=team,
            sha256=sha256_of(secret),
            hint=f"{secret[:12]}...{secret[-4:]}",
            created_at=self._clock.now(),
            expires_at=expires_at,
            revoked_at=None,
        )
        await connection.execute(
            insert(keys).values(
                id=stored.key_id,
                project_id=project_id,
                agent_id=agent_id,
                name=name,
                user=user,
                team=team,
                sha256=stored.sha256,
                hint=stored.hint,
                created_at=stored.created_at,
                expires_at=expires_at,
            )
        )
        return stored, secret

    async def list(self, connection: AsyncConnection, project_id: ProjectId | None = None) -> list[StoredKey]:
        """Every key, revoked ones included, oldest first."""
        query = select(keys).order_by(keys.c.created_at, keys.c.id)
        if project_id is not None:
            query = query.where(keys.c.project_id == project_id)
        rows = (await connection.execute(query)).mappings()
        return [_stored(dict(row)) for row in rows]

    async def revoke(self, connection: AsyncConnection, key_id: KeyId) -> StoredKey:
        """Take a key back for good. Twice is the same as once. Raises `NotFound`."""
        await connection.execute(
            update(keys).where(keys.c.id == key_id, keys.c.revoked_at.is_(None)).values(revoked_at=self._clock.now())
        )
        row = (await connection.execute(select(keys).where(keys.c.id == key_id))).mappings().first()
        if row is None:
            raise NotFound(f"there is no key {key_id}", hint="`airside keys list` shows the keys.")
        return _stored(dict(row))


def _stored(row: dict[str, object]) -> StoredKey:
    return StoredKey(key_id=KeyId(str(row.pop("id"))), **row)  # type: ignore[arg-type]
