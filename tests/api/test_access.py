"""Every route says who may call it, and nobody else can."""

from __future__ import annotations

import re

import httpx2
import pytest
from fastapi.routing import APIRoute

from airside.api.app import create_app
from airside.api.auth import require_admin, require_gateway, require_known_host

PUBLIC = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/"), ("GET", "/ui")}
INJECTION = "' OR '1'='1"


def routes(control) -> list[tuple[str, str, APIRoute]]:
    routers = [included.original_router for included in create_app(control.services).routes]
    found = [
        (method, route.path, route)
        for router in routers
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    ]
    assert len(found) > 30
    return found


def demands(route: APIRoute) -> set[object]:
    return {dependency.call for dependency in route.dependant.dependencies}


async def test_every_route_has_decided_who_may_call_it(control) -> None:
    for method, path, route in routes(control):
        assert require_known_host in demands(route), f"{method} {path}"
        gate = {require_admin, require_gateway} & demands(route)
        assert len(gate) == (0 if (method, path) in PUBLIC else 1), f"{method} {path}"
        assert (require_gateway in gate) == path.startswith("/internal/"), f"{method} {path}"


async def test_nobody_gets_in_without_the_right_token(control) -> None:
    wrong = [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer nobody"},
        {"authorization": f"Bearer {INJECTION}"},
        {"x-api-key": INJECTION},
        {"authorization": "Basic YWRtaW46YWRtaW4="},
    ]
    admin, gateway = control.services.admin_token, control.services.gateway_token
    async with httpx2.AsyncClient(base_url=control.url, trust_env=False) as client:
        for method, path, _ in routes(control):
            if (method, path) in PUBLIC:
                continue
            other = admin if path.startswith("/internal/") else gateway
            for headers in [*wrong, {"authorization": f"Bearer {other}"}, {"authorization": f"Bearer {admin[:-1]}"}]:
                answer = await client.request(method, re.sub(r"{\w+}", "x", path), headers=headers, json={})
                assert answer.status_code == 401, f"{method} {path} {headers}"
                assert answer.json()["error"]["type"] == "authentication_error"


async def test_the_token_is_taken_either_way_the_sdk_sends_it(control) -> None:
    async with httpx2.AsyncClient(base_url=control.url, trust_env=False) as client:
        token = control.services.admin_token
        for headers in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"bearer {token}"},
            {"x-api-key": token},
        ):
            assert (await client.get("/v1/agents", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost:4000/#@evil", "evil@127.0.0.1", "", "127.0.0.1#", "[::]"],
)
async def test_a_name_we_do_not_go_by_is_refused(control, host: str) -> None:
    answer = await control.client.get("/v1/agents", headers={"host": host})
    assert answer.status_code == 403
    assert answer.json()["error"]["code"] == "unknown_host"
    assert (await control.client.get("/ui", headers={"host": host})).status_code == 403


async def test_anybody_may_ask_for_health(control) -> None:
    async with httpx2.AsyncClient(base_url=control.url, trust_env=False) as client:
        assert (await client.get("/healthz")).json()["status"] == "ok"
        assert (await client.get("/readyz")).json() == {"status": "ready", "reasons": []}
