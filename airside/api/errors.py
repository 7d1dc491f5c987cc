"""Errors to HTTP, in one place and in the error shape of the Managed Agents API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from airside.errors import (
    AirsideError,
    BadInput,
    Conflict,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

logger = structlog.get_logger()

_STATUS: tuple[tuple[type[AirsideError], int], ...] = (
    (BadInput, 400),
    (Unauthenticated, 401),
    (Refused, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooLarge, 413),
    (Unavailable, 503),
)
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    413: "request_too_large",
    422: "invalid_request_error",
    503: "overloaded_error",
}


def status_of(error: AirsideError) -> int:
    """The HTTP status of one of our errors."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def error_body(status: int, message: str, code: str, hint: str | None = None) -> dict[str, object]:
    """The body of an error answer."""
    detail: dict[str, object] = {"type": _TYPES.get(status, "api_error"), "message": message, "code": code}
    if hint:
        detail["hint"] = hint
    return {"type": "error", "error": detail}


def add_error_handlers(app: FastAPI) -> None:
    """Make every failure of a route answer in one shape."""

    async def ours(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AirsideError)
        status = status_of(error)
        return JSONResponse(error_body(status, error.message, error.code, error.hint), status)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError | ValidationError)
        return JSONResponse(error_body(400, _sentence(error), "bad_input"), 400)

    async def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = TooLarge.code if error.status_code == 413 else f"http_{error.status_code}"
        body = error_body(error.status_code, str(error.detail), code)
        return JSONResponse(body, error.status_code, headers=error.headers)

    async def defect(request: Request, error: Exception) -> JSONResponse:
        logger.error("request failed on a defect", path=request.url.path, exc_info=error)
        return JSONResponse(error_body(500, "an internal error, described in the server's log", "internal"), 500)

    app.add_exception_handler(AirsideError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, defect)


def _sentence(error: RequestValidationError | ValidationError) -> str:
    problems = []
    for detail in error.errors():
        if detail["type"] == "json_invalid" and isinstance(error, RequestValidationError):
            return _no_json(error, detail)
        # The first part of a request's place says which half of it: the field's name is what the caller knows it by.
        place = detail["loc"][1:] if isinstance(error, RequestValidationError) else detail["loc"]
        where = ".".join(str(part) for part in place)
        message = detail["msg"].removeprefix("Value error, ")
        problems.append(f"{where}: {message}" if where else message)
    return "; ".join(problems)


def _no_json(error: RequestValidationError, detail: Mapping[str, Any]) -> str:
    """What is wrong with a body that is no JSON, and where; the error's place is an offset into the body."""
    before = str(error.body)[: detail["loc"][-1]]
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"the body is no JSON: {detail['ctx']['error']}, line {line}, column {column}"
