"""Responses over WebSocket with programs of other people: the `websockets` client and Codex itself."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from gateway_control_plane import price
from gateway_processes import GatewayProcess
from websockets.asyncio.client import ClientConnection, connect

from airside.harnesses.codex.program import PROGRAM as CODEX
from airside.harnesses.installation import Installations
from airside.testing.simulated import SimulatedModels

KEY = json.loads((Path(__file__).parents[2] / "contracts" / "vectors" / "keys.json").read_text())["keys"][0]
CACHE = Path(__file__).parents[2] / ".cache"
HEADERS = {"authorization": f"Bearer {KEY['key']}", "openai-beta": "responses_websockets=2026-02-06"}
DEADLINE_S = 60.0


@pytest.fixture
async def models() -> AsyncIterator[SimulatedModels]:
    async with SimulatedModels() as serving:
        yield serving


FAMILIES = ("openai-responses", "openai-chat", "anthropic", "gemini")
MODELS = {"gemini": "gemini-3-simulated", "anthropic": "claude-simulated"}
KINDS = {"gemini": "x_goog_api_key", "anthropic": "x_api_key"}


@pytest.fixture
def gateway(start: Callable[..., GatewayProcess], models: SimulatedModels, tmp_path: Path) -> GatewayProcess:
    """One model for each family of providers, named like the family."""
    urls = {"anthropic": models.anthropic_url("sim"), "gemini": models.gemini_url("sim")}
    snapshot = {
        "format": 1,
        "version": 1,
        "compiled_at": "2026-11-23T17:52:28Z",
        "keys": [{"key_id": "key_1", "sha256": KEY["sha256"], "project": "proj_1"}],
        "providers": [
            {
                "name": family,
                "protocol": family,
                "base_url": urls.get(family, models.openai_url("sim")),
                "credential": {"kind": KINDS.get(family, "bearer"), "secret": "sk-sim"},
            }
            for family in FAMILIES
        ],
        "models": [
            {
                "name": family,
                "route": [{"to": [{"provider": family, "model": MODELS.get(family, "sim"), "price": price()}]}],
            }
            for family in FAMILIES
        ],
    }
    path = tmp_path / "snapshot.json"
    path.write_text(json.dumps(snapshot))
    return start("--snapshot", str(path))


async def create(socket: ClientConnection, family: str, text: str, **fields: object) -> list[dict[str, object]]:
    """Ask for one response; all its events."""
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    event = {"type": "response.create", "model": family, "store": False, "input": [message], **fields}
    await socket.send(json.dumps(event))
    events: list[dict[str, object]] = []
    while not events or events[-1]["type"] not in {"response.completed", "response.failed", "error"}:
        events.append(json.loads(await socket.recv()))
    return events


def words(events: list[dict[str, object]]) -> str:
    return "".join(str(event["delta"]) for event in events if event["type"] == "response.output_text.delta")


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_conversation_goes_over_one_socket(gateway: GatewayProcess, family: str) -> None:
    url = gateway.url.replace("http", "ws", 1) + "/v1/responses"
    async with asyncio.timeout(DEADLINE_S), connect(url, additional_headers=HEADERS) as socket:
        first = await create(socket, family, "Say.\n```script\n- say: one\n- say: two\n```\n")
        assert words(first) == "one"
        response = first[-1]["response"]
        assert isinstance(response, dict)
        second = await create(socket, family, "And on.", previous_response_id=response["id"])
        assert words(second) == "two"
        await (await socket.ping())
    records = gateway.records(2)
    assert [(record["outcome"], record["provider"]) for record in records] == [("completed", family)] * 2
    assert all(record["usage"]["output"] > 0 for record in records)


@pytest.fixture
def codex_home() -> Iterator[Path]:
    """A folder outside /tmp: Codex refuses to live there."""
    CACHE.mkdir(exist_ok=True)
    place = Path(tempfile.mkdtemp(dir=CACHE))
    yield place
    shutil.rmtree(place)


@pytest.mark.harness
@pytest.mark.timeout(120)
@pytest.mark.parametrize("family", FAMILIES)
async def test_codex_uses_its_tools_over_a_socket(
    gateway: GatewayProcess, models: SimulatedModels, codex_home: Path, family: str
) -> None:
    installations = Installations([CODEX], [CACHE / "harnesses"])
    installations.install("codex")
    workspace = codex_home / "workspace"
    workspace.mkdir()
    provider = "model_providers.gateway"
    settings = {
        "model": family,
        "model_provider": "gateway",
        f"{provider}.name": "gateway",
        f"{provider}.base_url": f"{gateway.url}/v1",
        f"{provider}.env_key": "GATEWAY_KEY",
        f"{provider}.wire_api": "responses",
        f"{provider}.supports_websockets": True,
        f"{provider}.request_max_retries": 0,
        f"{provider}.stream_max_retries": 0,
        "features.plugins": False,
        "features.apps": False,
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
    }
    overrides = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    prompt = "Do as the script says.\n```script\n- calls:\n    - bash: echo made > made.txt\n- say: It is made.\n```\n"
    process = await asyncio.create_subprocess_exec(
        str(installations.find("codex").executable),
        "exec",
        *overrides,
        "--json",
        "--skip-git-repo-check",
        "--dangerously-bypass-approvals-and-sandbox",
        prompt,
        cwd=workspace,
        env={"PATH": os.defpath, "HOME": str(codex_home), "GATEWAY_KEY": KEY["key"], "LANG": "C.UTF-8"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(DEADLINE_S):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert "It is made." in said.decode()
    assert (workspace / "made.txt").read_text() == "made\n"
    made = gateway.records(2)
    assert {record["outcome"] for record in made} == {"completed"}
    metrics = gateway.request("GET", "/metrics").body.decode()
    assert "airside_gateway_sockets_opened_total 0" not in metrics
    # The second call brought only the tool's result; the provider got the whole conversation.
    asked = models.requests()[-1].body.decode()
    assert "Do as the script says." in asked
    assert asked.count("echo made > made.txt") == 2, "in the prompt and in the call of the tool"
