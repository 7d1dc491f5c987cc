"""The control API: what a test in another process or language uses instead of `Simulation`. Loopback only."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import ip_address

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from airside.errors import BadInput, NotFound
from airside.events import JsonObject
from airside.testing.simulated.records import ReceivedRequest
from airside.testing.simulated.simulation import DEFAULT_PROVIDER, Simulation

_LONGEST_WAIT_S = 300.0


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _ScriptBody(_Body):
    script: str | list[dict[str, object]]  # YAML, or the same as JSON
    match: str | None = None
    provider: str | None = None


class _KeyBody(_Body):
    key: str | None
    provider: str = DEFAULT_PROVIDER


class _NameBody(_Body):
    name: str = Field(min_length=1)


class Control:
    """`/_control/...` as an ASGI application."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        routes = [
            Route("/_control/scripts", self._add_script, methods=["POST"]),
            Route("/_control/faults", self._add_fault, methods=["POST"]),
            Route("/_control/faults", self._faults, methods=["GET"]),
            Route("/_control/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_control/keys", self._demand_key, methods=["POST"]),
            Route("/_control/release", self._release, methods=["POST"]),
            Route("/_control/held/{name}", self._held, methods=["GET"]),
            Route("/_control/requests", self._requests, methods=["GET"]),
            Route("/_control/requests/{id}", self._request, methods=["GET"]),
            Route("/_control/reset", self._reset, methods=["POST"]),
        ]
        handlers = {BadInput: _bad_input, ValidationError: _bad_input, NotFound: _not_found, TimeoutError: _timed_out}
        self._app = Starlette(routes=routes, exception_handlers=handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is None or not ip_address(client[0]).is_loopback:
            refused = JSONResponse({"error": "the control API answers on loopback only"}, status_code=403)
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _add_script(self, request: Request) -> Response:
        body = _ScriptBody.model_validate_json(await request.body())
        self._simulation.script(body.script, match=body.match, provider=body.provider)
        return _done()

    async def _add_fault(self, request: Request) -> Response:
        fields = await _json_object(request)
        provider = fields.pop("provider", DEFAULT_PROVIDER)
        self._simulation.fault(str(provider), **fields)
        return _done()

    async def _faults(self, request: Request) -> Response:
        planned = self._simulation.provider(_provider(request)).faults.planned
        return JSONResponse({"faults": [fault.model_dump(mode="json", exclude_defaults=True) for fault in planned]})

    async def _clear_faults(self, request: Request) -> Response:
        self._simulation.clear_faults(_provider(request))
        return _done()

    async def _demand_key(self, request: Request) -> Response:
        body = _KeyBody.model_validate_json(await request.body())
        self._simulation.demand_key(body.key, body.provider)
        return _done()

    async def _release(self, request: Request) -> Response:
        self._simulation.release(_NameBody.model_validate_json(await request.body()).name)
        return _done()

    async def _held(self, request: Request) -> Response:
        """How many answers are held under a name; with `wait_s`, once there is one."""
        name, wait_s = request.path_params["name"], _wait_s(request)
        if wait_s:
            await self._simulation.wait_until_held(name, deadline_s=wait_s)
        return JSONResponse({"held": self._simulation.gates.held(name)})

    async def _requests(self, request: Request) -> Response:
        """What arrived; with `number` and `wait_s`, once there are so many."""
        provider, wait_s = request.query_params.get("provider"), _wait_s(request)
        if wait_s:
            number = _whole_number(request, "number", 1)
            await self._simulation.wait_for_request(provider, number=number, deadline_s=wait_s)
        return JSONResponse({"requests": [_shown(received) for received in self._simulation.requests(provider)]})

    async def _request(self, request: Request) -> Response:
        """One request; with `wait_s`, once it has ended."""
        wanted, wait_s = request.path_params["id"], _wait_s(request)
        found = next((received for received in self._simulation.requests() if received.id == wanted), None)
        if found is None:
            raise NotFound(f"no request {wanted} was received")
        if wait_s:
            await found.wait_ended(wait_s)
        return JSONResponse(_shown(found))

    async def _reset(self, request: Request) -> Response:
        del request
        self._simulation.reset()
        return _done()


def _shown(received: ReceivedRequest) -> JsonObject:
    ended_at = received.ended_at
    return {
        "id": received.id,
        "provider": received.provider,
        "operation": received.operation.value,
        "dialect": received.dialect.value,
        "method": received.method,
        "path": received.path,
        "headers": dict(received.headers),
        "key": received.key,
        "model": received.model,
        "body_base64": b64encode(received.body).decode(),
        "json": received.json,
        "began_at": received.began_at.isoformat(),
        "ended_at": None if ended_at is None else ended_at.isoformat(),
        "outcome": received.outcome.value,
        "status": received.status,
        "bytes_sent": received.bytes_sent,
        "step": received.step,
        "fault": None if received.fault is None else received.fault.model_dump(mode="json", exclude_defaults=True),
    }


def _done() -> Response:
    return JSONResponse({"done": True})


def _provider(request: Request) -> str:
    return request.query_params.get("provider", DEFAULT_PROVIDER)


def _wait_s(request: Request) -> float:
    """The `wait_s` of the query, 0 if absent. Raises `BadInput` unless it is a sensible number."""
    written = request.query_params.get("wait_s", "0")
    try:
        wait_s = float(written)
    except ValueError:
        raise BadInput(f"wait_s is not a number: {written!r}") from None
    if not 0 <= wait_s <= _LONGEST_WAIT_S:
        raise BadInput(f"wait_s is {written}, and must lie between 0 and {_LONGEST_WAIT_S:g}")
    return wait_s


def _whole_number(request: Request, name: str, otherwise: int) -> int:
    written = request.query_params.get(name, str(otherwise))
    if not written.isdecimal() or int(written) < 1:
        raise BadInput(f"{name} is not a whole number from 1: {written!r}")
    return int(written)


async def _json_object(request: Request) -> dict[str, object]:
    """The body, which must be a JSON object. Raises `BadInput`."""
    try:
        body = await request.json()
    except ValueError as problem:
        raise BadInput(f"the body is not JSON: {problem}") from problem
    if not isinstance(body, dict):
        raise BadInput("the body is not a JSON object")
    return body


def _bad_input(request: Request, problem: Exception) -> Response:
    del request
    return JSONResponse({"error": str(problem)}, status_code=400)


def _not_found(request: Request, problem: Exception) -> Response:
    del request
    return JSONResponse({"error": str(problem)}, status_code=404)


def _timed_out(request: Request, problem: Exception) -> Response:
    del request
    return JSONResponse({"error": str(problem)}, status_code=408)
