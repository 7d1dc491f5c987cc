"""Puts the routes together."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airside import __version__
from airside.api import (
    agents,
    artifacts,
    budgets,
    config,
    environments,
    health,
    internal,
    keys,
    model_calls,
    rate_limits,
    routes,
    session_events,
    sessions,
    usage,
)
from airside.api.errors import add_error_handlers
from airside.api.services import Services

MOST_BODY_BYTES = 32 * 1024 * 1024


def create_app(services: Services) -> FastAPI:
    """The API over these services."""
    app = FastAPI(
        title="Airside",
        version=__version__,
        summary="Control plane for teams that run coding agents.",
        docs_url=None,  # the page would be fetched from somebody else's server
        redoc_url=None,
        openapi_url=None,  # the description is checked in under contracts/
    )
    app.state.services = services
    for module in (
        agents,
        environments,
        sessions,
        session_events,
        artifacts,
        keys,
        budgets,
        rate_limits,
        usage,
        model_calls,
        routes,
        config,
        internal,
        health,
    ):
        app.include_router(module.router)
    add_error_handlers(app)
    app.add_middleware(BodyLimit)
    return app


class BodyLimit:
    """Refuses bodies that are too large before they are read whole."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise HTTPException(413, f"the body is larger than {MOST_BODY_BYTES} bytes")
            return message

        await self._app(scope, counted, send)
