"""What the API is made of, handed in by the composition root."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from airside.clock import Clock
from airside.config.stores import Stores
from airside.dataplanes.feed import SnapshotFeed
from airside.dataplanes.gateway.route_explainer import GatewayRoutes
from airside.engine.engine import Engine
from airside.ids import Ids
from airside.recording.bodies import Bodies
from airside.sessions.artifacts import Artifacts
from airside.sessions.inputs import SessionInputs
from airside.sessions.journal_intake import JournalIntake
from airside.sessions.log import EventLog
from airside.sessions.sessions import Sessions
from airside.sessions.turns import Turns
from airside.settings import Timing
from airside.spending.ledger import Ledger
from airside.storage.database import Database


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes use."""

    database: Database
    stores: Stores
    sessions: Sessions
    turns: Turns
    inputs: SessionInputs
    log: EventLog
    artifacts: Artifacts
    feed: SnapshotFeed
    routes: GatewayRoutes
    intake: JournalIntake
    ledger: Ledger
    bodies: Bodies
    engine: Engine
    environment: Mapping[str, str]
    clock: Clock
    ids: Ids
    timing: Timing
    admin_token: str
    gateway_token: str
    allowed_hosts: frozenset[str]
    stopping: asyncio.Event  # set when the process is about to end, so that open streams end by themselves


def services_of(request: Request) -> Services:
    """The services of the app that took this request."""
    services: Services = request.app.state.services
    return services


Use = Annotated[Services, Depends(services_of)]
