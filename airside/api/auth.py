"""Who may call: decided on the route object, denied unless a route says otherwise.

Every router is made by one of the three functions here, so a route without a decision cannot be written by accident;
a test walks all routes and checks.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Depends, Request

from airside.api.services import Use
from airside.errors import Refused, Unauthenticated


def presented(request: Request) -> str | None:
    """The credential of a request: a bearer token, or `x-api-key` as the official SDK sends it."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return value.strip()
    return request.headers.get("x-api-key") or None


def _check(request: Request, expected: str, what: str, file: str) -> None:
    given = presented(request)
    if given is None:
        raise Unauthenticated(
            "no credential was sent", hint=f"Send the {what} as `Authorization: Bearer ...` or `x-api-key`."
        )
    if not hmac.compare_digest(given.encode(), expected.encode()):
        raise Unauthenticated(
            f"this is not the {what} of this server",
            hint=f"The {what} is in the file `{file}` of the server's data directory.",
        )


def require_admin(request: Request, services: Use) -> None:
    """Let in whoever holds the admin token."""
    _check(request, services.admin_token, "admin token", "admin-token")


def require_gateway(request: Request, services: Use) -> None:
    """Let in gateways that hold the join token."""
    _check(request, services.gateway_token, "gateway token", "gateway-token")


def require_known_host(request: Request, services: Use) -> None:
    """Refuse requests under a name we do not go by: a web page of somebody else, by DNS rebinding."""
    host = request.headers.get("host", "")
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.lower() not in services.allowed_hosts:
        raise Refused(
            f"this server does not go by the name {name[:100]!r}",
            code="unknown_host",
            hint="Start it with --allowed-host NAME to make it known.",
        )


def admin_router(prefix: str, tag: str) -> APIRouter:
    """Routes for holders of the admin token."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(require_known_host), Depends(require_admin)])


def gateway_router(prefix: str, tag: str) -> APIRouter:
    """Routes for gateways."""
    return APIRouter(prefix=prefix, tags=[tag], dependencies=[Depends(require_known_host), Depends(require_gateway)])


def public_router(tag: str) -> APIRouter:
    """Routes for everybody: health and the shell of the UI, which hold no data."""
    return APIRouter(tags=[tag], dependencies=[Depends(require_known_host)])
