"""The control plane on a free port, in this process, without a worker: what is asked of it is stored and answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from airside.api.services import Services
from airside.cli.processes import listen
from airside.server.control import ControlSettings, control_plane, serving
from airside.settings import Timing
from airside.storage.datadir import DataDirectory

CONFIG = """\
providers:
  north: {protocol: anthropic, base_url: "http://127.0.0.1:9/north"}
  south: {protocol: openai-responses, base_url: "http://127.0.0.1:9/south/v1", credential: env:SOUTH_KEY}
models:
  coder: north/claude-sonnet-4-5
  thinker: south/gpt-5.2
environments:
  sandboxed: {}
agents:
  fixer: {harness: claude-code, model: coder, environment: sandboxed, system: You fix tests.}
"""


@dataclass(frozen=True)
class ControlPlane:
    """A control plane that serves."""

    services: Services
    url: str
    client: httpx2.AsyncClient  # with the admin token

    async def apply(self, source: str) -> httpx2.Response:
        return await self.client.post("/v1/config/apply", json={"source": source, "filename": "airside.yaml"})


@pytest.fixture
async def control(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    data = DataDirectory.open(tmp_path / "data")
    variables = {"SOUTH_KEY": "sk-south-secret"}
    settings = ControlSettings(data, frozenset({"127.0.0.1"}), variables, Timing(event_poll_s=0.01))
    listening = listen("127.0.0.1", 0, "--port")
    async with control_plane(settings) as services, serving(services, listening) as url:
        headers = {"authorization": f"Bearer {data.admin_token()}"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, verify=False) as client:
            yield ControlPlane(services, url, client)


@pytest.fixture
async def configured(control: ControlPlane) -> ControlPlane:
    (await control.apply(CONFIG)).raise_for_status()
    return control
