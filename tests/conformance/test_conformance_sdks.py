"""Every client against every provider family, feature by feature: the matrix in `docs/reference/conformance.md`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from conformance_clients import SDKS
from conformance_features import FEATURES, Trial
from conformance_matrix import CLOUDS, FAMILIES, ON_CLOUDS
from gateway_clouds import ENVIRONMENT, defined, snapshot_of
from gateway_control_plane import price
from gateway_processes import GatewayProcess

from airside.testing.simulated import SimulatedModels

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]
KINDS = {"gemini": "x_goog_api_key"}
MODELS = {"gemini": "gemini-3-simulated", "anthropic": "claude-simulated"}


@dataclass(frozen=True)
class Stack:
    gateway: GatewayProcess
    models: SimulatedModels

    def losses(self) -> list[str]:
        """What the newest call lost."""
        calls = [request for request in self.models.requests() if not request.path.endswith("/oauth2/token")]
        newest = self.gateway.records(len(calls))[-1]
        translation = newest.get("translation") or {"losses": []}
        return [loss["field"] for loss in translation["losses"]]


@pytest.fixture
async def stack(start: Callable[..., GatewayProcess], tmp_path: Path) -> AsyncIterator[Stack]:
    async with SimulatedModels() as models:
        urls = {
            "anthropic": models.anthropic_url("anthropic"),
            "openai-responses": models.openai_url("openai-responses"),
            "openai-chat": models.openai_url("openai-chat"),
            "gemini": models.gemini_url("gemini"),
        }
        snapshot = {
            "format": 1,
            "version": 1,
            "compiled_at": "2026-11-23T17:52:28Z",
            "keys": [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}],
            "providers": [
                {
                    "name": name,
                    "protocol": name,
                    "base_url": url,
                    "credential": {"kind": KINDS.get(name, "bearer"), "secret": "sk-sim"},
                }
                for name, url in urls.items()
            ],
            "models": [
                {
                    "name": f"on-{name}",
                    "route": [
                        {"to": [{"provider": name, "model": MODELS.get(name, "gpt-simulated"), "price": price()}]}
                    ],
                }
                for name in urls
            ],
        }
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(snapshot))
        yield Stack(start("--snapshot", str(path)), models)


@pytest.fixture
async def clouds(start: Callable[..., GatewayProcess], tmp_path: Path) -> AsyncIterator[Stack]:
    async with SimulatedModels() as models:
        snapshot = snapshot_of(defined(models, tmp_path), ENVIRONMENT)
        snapshot["keys"] = [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}]
        path = tmp_path / "snapshot.json"
        path.write_text(json.dumps(snapshot))
        yield Stack(start("--snapshot", str(path)), models)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("client", SDKS)
async def test_an_sdk_gets_every_feature_of_every_family(
    stack: Stack, client: str, family: str, publish: Callable[[str, str, str, str], None]
) -> None:
    async for name, outcome in every_feature(stack, client, f"on-{family}", family, family):
        publish(client, name, family, outcome)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("client", SDKS)
async def test_an_sdk_gets_every_feature_on_every_cloud(
    clouds: Stack, client: str, cloud: str, publish: Callable[[str, str, str, str], None]
) -> None:
    model, provider, family = CLOUDS[cloud]
    async for name, outcome in every_feature(clouds, client, model, provider, family):
        publish(client + ON_CLOUDS, name, cloud, outcome)


async def every_feature(
    stack: Stack, client: str, model: str, provider: str, family: str
) -> AsyncIterator[tuple[str, str]]:
    sdk = SDKS[client](stack.gateway.url, KEY["key"])
    try:
        for name, feature in FEATURES.items():
            stack.models.clear_faults(provider)
            yield name, await feature(Trial(sdk, model, family, provider, stack.models, stack.losses))
    finally:
        await sdk.close()
