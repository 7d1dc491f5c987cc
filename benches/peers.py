"""Gateways of others, measured beside ours where `make bench-peers` could install them.

Each is asked for the same calls of the same upstream, in Anthropic's dialect, with a key that it checks if it has keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import stand
from load import Case, LoadFailed, Way, measure

PLACE = stand.ROOT / ".cache" / "bench-peers"
NAMES = ("litellm", "portkey")
#: How long a peer may take to start.
STARTS_WITHIN_S = 150
MASTER_KEY = "sk-bench-master"
LITELLM = """
model_list:
  - model_name: bench
    litellm_params: {{model: anthropic/bench-model, api_base: "{upstream}", api_key: sk-bench}}
general_settings: {{master_key: {master_key}}}
litellm_settings: {{telemetry: false, request_timeout: 60}}
"""


@contextlib.contextmanager
def litellm(place: Path, upstream: str) -> Iterator[Way]:
    """LiteLLM proxy as it starts by default, in one process, with its key check on."""
    config, port = place / "litellm.yaml", stand.free_port()
    config.write_text(LITELLM.format(upstream=upstream, master_key=MASTER_KEY))
    command = [
        str(PLACE / "litellm" / "bin" / "litellm"),
        f"--config={config}",
        "--host=127.0.0.1",
        f"--port={port}",
    ]
    environment = {**_plain_environment(place), "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with stand.process(command, place / "litellm.log", environment) as child:
        stand.wait_until_open(port, STARTS_WITHIN_S)
        headers = (f"x-api-key: {MASTER_KEY}", "anthropic-version: 2023-06-01")
        yield Way(f"http://127.0.0.1:{port}", child.pid, headers, share=0.015)


@contextlib.contextmanager
def portkey(place: Path, upstream: str) -> Iterator[Way]:
    """Portkey's gateway; it has no keys of its own, and one process."""
    port = stand.free_port()
    package = PLACE / "portkey" / "node_modules" / "@portkey-ai" / "gateway"
    command = [
        shutil.which("node") or "node",
        str(package / "build" / "start-server.js"),
        f"--port={port}",
        "--headless",
    ]
    environment = {**_plain_environment(place), "TRUSTED_CUSTOM_HOSTS": "127.0.0.1", "NODE_ENV": "production"}
    with stand.process(command, place / "portkey.log", environment) as child:
        stand.wait_until_open(port, STARTS_WITHIN_S)
        headers = (
            "x-portkey-provider: anthropic",
            f"x-portkey-custom-host: {upstream}/v1",
            "x-api-key: sk-bench",
            "authorization: Bearer sk-bench",
            "anthropic-version: 2023-06-01",
        )
        yield Way(f"http://127.0.0.1:{port}", child.pid, headers, share=0.1)


def _plain_environment(place: Path) -> Mapping[str, str]:
    """What a program needs to run, and no word about who runs it."""
    return {"PATH": os.defpath + ":/usr/local/bin", "HOME": str(place), "LANG": "C.UTF-8"}


def installed() -> Mapping[str, object]:
    """The peers that are there, with their versions."""
    found: dict[str, object] = {}
    for about in (PLACE / "litellm").glob("lib/python*/site-packages/litellm-*.dist-info/METADATA"):
        version = next(line for line in about.read_text().splitlines() if line.startswith("Version: "))
        found["litellm"] = version.removeprefix("Version: ")
    about = PLACE / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "package.json"
    if about.exists():
        found["portkey"] = json.loads(about.read_text())["version"]
    return found


@contextlib.contextmanager
def started(place: Path, upstream: str) -> Iterator[Mapping[str, Way]]:
    """Those that are there and give an answer; what does not is named on standard error by the caller."""
    ways: dict[str, Way] = {}
    with contextlib.ExitStack() as stack:
        for name, start in (("litellm", litellm), ("portkey", portkey)):
            if name not in installed():
                continue
            try:
                way = stack.enter_context(start(place, upstream))
                measure(way, Case("probe", 1, 1024, 1), 1, limit_s=60)
            except (SystemExit, LoadFailed, OSError) as failure:
                print(f"{name} is installed and does not serve: {failure}")
                continue
            ways[name] = way
        yield ways
