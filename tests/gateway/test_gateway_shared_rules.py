"""The functions that the control plane shares with the gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import airside_gateway
import pytest
from gateway_control_plane import price

from airside.dataplanes.journal import TokenUsage
from airside.dataplanes.snapshot import Price, SessionClaims

VECTORS = Path(__file__).parents[2] / "contracts" / "vectors"


def test_usage_is_priced_in_whole_nanodollars_rounded_up_once() -> None:
    usage = TokenUsage(input_uncached=10, cache_read=4, output=3)
    prices = Price.model_validate(price())
    assert airside_gateway.price_usage(prices.model_dump_json(), usage.model_dump_json()) == 10_000 + 400 + 6_000
    fraction = {"tiers": [{**price()["tiers"][0], "output": 1}]}
    assert airside_gateway.price_usage(json.dumps(fraction), '{"output": 1}') == 1
    with pytest.raises(ValueError, match="tier"):
        airside_gateway.price_usage('{"tiers": []}', "{}")


def test_a_snapshot_is_judged_as_the_gateway_judges_it() -> None:
    snapshot: dict[str, Any] = {"format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z"}
    airside_gateway.validate_snapshot(json.dumps(snapshot))
    for change, words in (
        ({"format": 2}, "install a newer gateway"),
        ({"models": [{"name": "m", "route": []}]}, "no route"),
        ({"version": "x"}, "cannot be read"),
    ):
        with pytest.raises(ValueError, match=words):
            airside_gateway.validate_snapshot(json.dumps(snapshot | change))


def test_session_tokens_are_judged_as_the_gateway_judges_them() -> None:
    vectors = json.loads((VECTORS / "session_tokens.json").read_text())
    signer = {"key_id": vectors["key_id"], "ed25519": vectors["ed25519"]}
    snapshot = {"format": 1, "version": 1, "compiled_at": "2026-01-01T00:00:00Z", "session_token_keys": [signer]}
    for vector in vectors["tokens"]:
        if "problem" in vector:
            with pytest.raises(ValueError, match=vector["problem"]):
                airside_gateway.verify_session_token(vector["token"], json.dumps(snapshot), vectors["now"])
            continue
        claims = airside_gateway.verify_session_token(vector["token"], json.dumps(snapshot), vectors["now"])
        assert SessionClaims.model_validate_json(claims) == SessionClaims.model_validate(vector["claims"])
    revoked = {"session_id": "sesn_1", "until": "2100-01-01T00:00:00Z"}
    with pytest.raises(ValueError, match="revoked"):
        airside_gateway.verify_session_token(
            vectors["tokens"][0]["token"], json.dumps(snapshot | {"revoked_sessions": [revoked]}), vectors["now"]
        )
