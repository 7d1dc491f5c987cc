"""The snapshot feed: compiles when something changed, numbers what is new, and wakes whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.tokens import SessionTokenSigner
from airside.agents.agents import Agent
from airside.clock import Clock
from airside.config.stores import RECORDING_SETTING, UNKNOWN_PRICE_SETTING, Stores
from airside.dataplanes.compiler import Sources, compile_snapshot, content_sha256
from airside.dataplanes.snapshot import RevokedSession, Snapshot
from airside.ids import GatewayId, ProjectId
from airside.recording.definitions import RecordingDefinition
from airside.routing.definitions import ModelDefinition, ProviderDefinition, UnknownPriceDefinition
from airside.spending.budgets import StoredBudget
from airside.spending.rate_limits import RateLimitDefinition
from airside.storage.database import Database
from airside.storage.tables import snapshots

Revoked = Callable[[AsyncConnection], Awaitable[list[RevokedSession]]]


@dataclass(slots=True)
class _Follower:
    """A gateway that polls: the version it has, and when it was last heard from."""

    version: int
    heard_at: float
    url: str | None


@dataclass(slots=True)
class SnapshotFeed:
    """The newest snapshot of this installation. `environment` is where credentials are read from."""

    database: Database
    stores: Stores
    signer: SessionTokenSigner
    environment: Mapping[str, str]
    revoked: Revoked
    clock: Clock
    _current: Snapshot | None = None
    _stopped: bool = False
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _followers: dict[GatewayId, _Follower] = field(default_factory=dict)

    async def refresh(self) -> Snapshot:
        """Compile what the database says now; a new version only if it says something new."""
        async with self._refreshing, self.database.write() as connection:
            sources = await self._sources(connection)
            newest = await self._newest(connection)
            version, sha256 = newest or (0, "")
            snapshot = compile_snapshot(sources, max(1, version), self.clock.now(), self.environment)
            if content_sha256(snapshot) != sha256:
                snapshot = snapshot.model_copy(update={"version": version + 1})
                await connection.execute(
                    insert(snapshots).values(
                        version=snapshot.version, sha256=content_sha256(snapshot), compiled_at=snapshot.compiled_at
                    )
                )
        async with self._changed:
            self._current = snapshot
            self._changed.notify_all()
        return snapshot

    async def _newest(self, connection: AsyncConnection) -> tuple[int, str] | None:
        query = select(snapshots.c.version, snapshots.c.sha256).order_by(snapshots.c.version.desc()).limit(1)
        row = (await connection.execute(query)).first()
        return (row.version, row.sha256) if row else None

    async def _sources(self, connection: AsyncConnection) -> Sources:
        """Everything of every project. Names of providers and models are those of the one project there is so far."""
        stores = self.stores
        providers: dict[str, ProviderDefinition] = {}
        models: dict[str, ModelDefinition] = {}
        agents: list[Agent] = []
        budgets: list[StoredBudget] = []
        rate_limits: list[RateLimitDefinition] = []
        unknown_price = UnknownPriceDefinition()
        recordings: dict[ProjectId, RecordingDefinition] = {}
        for project in await stores.projects.list(connection):
            project_id = project.project_id
            for name, kept in (await stores.providers.list(connection, project_id)).items():
                providers[name] = ProviderDefinition.model_validate(kept.definition)
            for name, kept in (await stores.models.list(connection, project_id)).items():
                models[name] = ModelDefinition.model_validate(kept.definition)
            settings = await stores.settings.list(connection, project_id)
            if UNKNOWN_PRICE_SETTING in settings:
                unknown_price = UnknownPriceDefinition.model_validate(settings[UNKNOWN_PRICE_SETTING].definition)
            if RECORDING_SETTING in settings:
                recording = settings[RECORDING_SETTING].definition
                recordings[project_id] = RecordingDefinition.model_validate(recording)
            agents += await stores.agents.list(connection, project_id)
            budgets += (await stores.budgets.list(connection, project_id)).values()
            limits = await stores.rate_limits.list(connection, project_id)
            rate_limits += [RateLimitDefinition.model_validate(kept.definition) for kept in limits.values()]
        return Sources(
            providers=providers,
            models=models,
            agents=agents,
            keys=await stores.keys.list(connection),
            budgets=budgets,
            rate_limits=rate_limits,
            revoked=await self.revoked(connection),
            unknown_price=unknown_price,
            recordings=recordings,
            token_key_id=self.signer.key_id,
            token_public_key=self.signer.public_key,
        )

    async def next_after(
        self, version: int, gateway_id: GatewayId, wait_s: float, url: str | None = None
    ) -> Snapshot | None:
        """The newest snapshot once it is newer than `version`; None if it is not within `wait_s`.

        `url`: where the gateway that asks can itself be asked.
        """
        self._hear(gateway_id, version, url)
        try:
            async with self._changed:
                await asyncio.wait_for(self._changed.wait_for(lambda: self._stopped or self._is_newer(version)), wait_s)
                return self._current if self._is_newer(version) else None
        except TimeoutError:
            return None
        finally:
            self._hear(gateway_id, version, url)

    def _is_newer(self, version: int) -> bool:
        return self._current is not None and self._current.version > version

    async def stop(self) -> None:
        """Let everybody who waits go, empty-handed."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _hear(self, gateway_id: GatewayId, version: int, url: str | None) -> None:
        self._followers[gateway_id] = _Follower(version, self.clock.monotonic(), url)

    @property
    def current(self) -> Snapshot | None:
        """The newest snapshot; None before the first one is compiled."""
        return self._current

    def gateways(self) -> list[str]:
        """Where the gateways heard from in the last minute can be asked, the latest first."""
        recently = self.clock.monotonic() - 60
        heard = sorted(self._followers.values(), key=lambda one: one.heard_at, reverse=True)
        return [one.url for one in heard if one.url is not None and one.heard_at >= recently]

    async def adopted(self, version: int, wait_s: float = 2.0) -> bool:
        """True once every gateway heard from in the last minute runs on `version` or newer; False after `wait_s`."""
        deadline = self.clock.monotonic() + wait_s
        while not self._all_have(version):
            if self.clock.monotonic() >= deadline:
                return False
            await self.clock.sleep(0.01)
        return True

    def _all_have(self, version: int) -> bool:
        recently = self.clock.monotonic() - 60
        return all(one.version >= version for one in self._followers.values() if one.heard_at >= recently)
