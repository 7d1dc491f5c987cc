"""Routes as the gateway explains them: with what it knows of the health of providers and of sessions."""

from __future__ import annotations

import json
from collections.abc import Callable

import airside_gateway
import pytest
from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess
from gateway_provider import Provider

SNAPSHOT = {
    "format": 1,
    "version": 3,
    "compiled_at": "2026-01-01T00:00:00Z",
    "unknown_price": {
        "policy": "ceiling",
        "ceiling": {
            "tiers": [{"input_uncached": 1, "cache_read": 1, "cache_write_5m": 1, "cache_write_1h": 1, "output": 1}]
        },
    },
    "providers": [
        {"name": "p", "protocol": "anthropic", "base_url": "http://127.0.0.1:1", "credential": {"kind": "none"}}
    ],
    "models": [{"name": "m", "route": [{"to": [{"provider": "p", "model": "x"}]}]}],
}


def test_a_route_is_explained_by_the_configuration_alone() -> None:
    told = json.loads(airside_gateway.explain_route(json.dumps(SNAPSHOT), '{"model": "m"}', 0))
    assert (told["candidates"][0]["provider"], told["health"], told["snapshot_version"]) == ("p", None, 3)
    with pytest.raises(ValueError, match="no model 'other'"):
        airside_gateway.explain_route(json.dumps(SNAPSHOT), '{"model": "other"}', 0)


def test_conditions_are_judged_as_the_gateway_judges_them() -> None:
    airside_gateway.check_condition("request.input_tokens > 180000 && time.weekday == 'sunday'")
    with pytest.raises(ValueError, match="known are request"):
        airside_gateway.check_condition("request.size > 3")


def test_the_gateway_explains_with_the_health_it_sees(
    joined: Callable[..., GatewayProcess], control: ControlPlane, provider: Provider
) -> None:
    control.serve_from(provider)
    gateway = joined()
    gateway.wait_for_snapshot(1)
    answer = gateway.request(
        "POST",
        "/internal/v1/routes/explain",
        {"model": "m", "input_tokens": 10},
        headers={"authorization": f"Bearer {control.token}"},
    )
    assert answer.status == 200, answer
    told = answer.json
    assert (told["health"], told["candidates"][0]["rests"]) == ([], False)
    refused = gateway.request("POST", "/internal/v1/routes/explain", {}, headers={"authorization": "Bearer nobody"})
    assert refused.status == 401
