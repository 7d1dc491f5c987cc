"""Puts the routes together."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
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
from airside.api.errors import add_error_handlers, error_body
from airside.api.services import Services
from airside.errors import TooLarge

MOST_BODY_BYTES = 32 * 1024 * 1024
_TOO_LARGE = f"the body is larger than {MOST_BODY_BYTES} bytes"


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
    """Refuses bodies that are too large before they are read whole: by the length they declare, or as they come."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _declared_length(scope) > MOST_BODY_BYTES:
            refusal = JSONResponse(error_body(413, _TOO_LARGE, TooLarge.code), 413)
            await refusal(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, counted, send)


def _declared_length(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")
    return int(length) if length.isdecimal() else 0
