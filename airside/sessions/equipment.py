"""What a worker drives sessions with, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from airside.agents.agents import Agent
from airside.agents.harness_name import HarnessName
from airside.clock import Clock
from airside.config.stores import Stores
from airside.environments.environments import Environment
from airside.environments.sandbox_kind import SandboxKind
from airside.errors import Unavailable
from airside.harnesses.contract import Harness
from airside.harnesses.installation import Installation
from airside.ids import ExecutorId, Ids
from airside.routing.definitions import ModelDefinition, ProviderDefinition, protocols_of
from airside.routing.protocols import ProviderProtocol
from airside.sandboxes.contract import GatewayAddress, Sandbox, SandboxDriver, SandboxPaths, SandboxSpec
from airside.sessions.artifacts import Artifacts
from airside.sessions.leases import SessionLeases
from airside.sessions.log import EventLog
from airside.sessions.sessions import Session, Sessions
from airside.sessions.tokens import SessionTokens
from airside.sessions.turns import Turns
from airside.sessions.workspace import Cloner
from airside.settings import Timing
from airside.storage.database import Database
from airside.storage.datadir import DataDirectory


class JournalBarrier(Protocol):
    """A way to wait until the control plane knows of every call a gateway has finished."""

    async def flush(self) -> bool:
        """True once everything so far is stored; False if that takes too long or the gateway is away."""
        ...


@dataclass(frozen=True, slots=True)
class Equipment:
    """Everything a driver needs. Shared by all sessions of one worker."""

    executor_id: ExecutorId
    database: Database
    stores: Stores
    sessions: Sessions
    turns: Turns
    log: EventLog
    leases: SessionLeases
    artifacts: Artifacts
    tokens: SessionTokens
    data: DataDirectory
    cloner: Cloner
    harnesses: Mapping[HarnessName, Harness]
    installation: Callable[[HarnessName], Installation]
    sandboxes: Mapping[SandboxKind, SandboxDriver]
    gateway: GatewayAddress
    journal: JournalBarrier
    clock: Clock
    ids: Ids
    timing: Timing

    def sandbox(self, session: Session, environment: Environment, installation: Installation) -> Sandbox:
        """The session's sandbox, over folders that exist. Raises `Unavailable` if this machine cannot fence so."""
        driver = self.sandboxes[environment.definition.sandbox]
        reason = driver.unavailable_because()
        if reason is not None:
            raise Unavailable(reason, code="sandbox_unavailable")
        folders = self.data.session(session.session_id)
        for folder in (folders.home, folders.run):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        memory_mb = environment.definition.memory_mb
        return driver.build(
            SandboxSpec(
                session_id=session.session_id,
                paths=SandboxPaths(folders.workspace, folders.home, folders.run),
                gateway=self.gateway,
                programs=(installation.folder,),
                memory_bytes=memory_mb << 20 if memory_mb else None,
                processes=environment.definition.processes,
            )
        )

    async def protocol(self, agent: Agent) -> ProviderProtocol:
        """The dialect in which the agent's harness reaches its model: one that a provider of the model speaks itself,
        where there is one, else the harness's best, which the gateway translates.

        Raises `Unavailable` if the model is no longer defined.
        """
        async with self.database.read() as connection:
            models = await self.stores.models.list(connection, agent.project_id)
            providers = await self.stores.providers.list(connection, agent.project_id)
        stored = models.get(agent.definition.model)
        if stored is None:
            raise Unavailable(
                f"agent {agent.name!r} uses model {agent.definition.model!r}, which is no longer defined",
                code="unknown_model",
                hint="Define the model, or give the agent another one.",
            )
        served = protocols_of(
            ModelDefinition.model_validate(stored.definition),
            {name: ProviderDefinition.model_validate(kept.definition) for name, kept in providers.items()},
        )
        spoken = self.harnesses[agent.definition.harness].families
        return next((protocol for protocol in spoken if protocol in served), spoken[0])
