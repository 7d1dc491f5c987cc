"""Health, and the shell of the UI: what anybody may see."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import BaseModel

from airside import __version__
from airside.api.auth import public_router
from airside.api.services import Use
from airside.errors import AirsideError, NotFound

router = public_router("health")

_PAGE_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Health(BaseModel):
    """The process lives."""

    status: str
    version: str


@router.get("/healthz")
async def health() -> Health:
    """Answers as long as the process lives."""
    return Health(status="ok", version=__version__)


@router.get("/readyz")
async def readiness(services: Use) -> JSONResponse:
    """Whether the control plane can do its work: 200 or 503, with the reason."""
    try:
        async with services.database.read() as connection:
            await services.stores.projects.list(connection)
    except AirsideError as error:
        return JSONResponse({"status": "not_ready", "reasons": [error.message]}, 503)
    return JSONResponse({"status": "ready", "reasons": []})


@router.get("/", include_in_schema=False)
async def root() -> RedirectResponse:
    """People who open the address want the UI."""
    return RedirectResponse("/ui")


@router.get("/ui", include_in_schema=False)
async def ui() -> Response:
    """The UI."""
    page = _static() / "index.html"
    if not page.is_file():
        raise NotFound("the UI is not built", hint="Run `make ui`.")
    return Response(page.read_bytes(), media_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)


def _static() -> Traversable:
    return resources.files("airside") / "web" / "static"
