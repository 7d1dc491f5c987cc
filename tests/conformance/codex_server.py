"""Codex's app-server as its own users run it, taking the gateway for OpenAI: it then lets its provider compact."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airside_system import SHARED_HARNESSES, installations

_ANSWERS_WITHIN_S = 60
_LONGEST_LINE = 1 << 22


class CodexServer:
    """One server with one conversation."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._requests = 0
        self._thread_id = ""

    async def open(self, model: str, folder: Path) -> None:
        """Begin the conversation."""
        await self._ask("initialize", {"clientInfo": {"name": "conformance", "version": "1"}})
        await self._send({"method": "initialized"})
        policy = {"approvalPolicy": "never", "sandbox": "danger-full-access"}
        opened = await self._ask("thread/start", {"cwd": str(folder), "model": model, **policy})
        self._thread_id = opened["result"]["thread"]["id"]

    async def say(self, text: str) -> str:
        """The agent's last words of a turn."""
        await self._ask("turn/start", {"threadId": self._thread_id, "input": [{"type": "text", "text": text}]})
        said = [item["text"] for item in await self._items_of_turn() if item["type"] == "agentMessage"]
        return str(said[-1])

    async def compact(self) -> list[str]:
        """Have the conversation compacted; the kinds of items that came of it."""
        await self._ask("thread/compact/start", {"threadId": self._thread_id})
        return [item["type"] for item in await self._items_of_turn()]

    async def _items_of_turn(self) -> list[dict[str, Any]]:
        items = []
        while True:
            message = await self._receive()
            if message.get("method") == "item/completed":
                items.append(message["params"]["item"])
            elif message.get("method") == "turn/completed":
                assert message["params"]["turn"]["status"] == "completed", message
                return items

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._requests += 1
        await self._send({"id": self._requests, "method": method, "params": params})
        while (answer := await self._receive()).get("id") != self._requests:
            pass
        assert "error" not in answer, answer
        return answer

    async def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        await self._process.stdin.drain()

    async def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            line = await self._process.stdout.readline()
        assert line, "Codex has ended"
        message: dict[str, Any] = json.loads(line)
        return message


@contextlib.asynccontextmanager
async def codex_server(*, url: str, key: str, model: str, home: Path, folder: Path) -> AsyncIterator[CodexServer]:
    """A conversation with the real Codex, which has its own name for the gateway: OpenAI."""
    home.mkdir()
    folder.mkdir()
    settings = {
        "model_provider": "gateway",
        "model_providers.gateway.name": "OpenAI",
        "model_providers.gateway.base_url": f"{url}/v1",
        "model_providers.gateway.env_key": "GATEWAY_KEY",
        "model_providers.gateway.wire_api": "responses",
        "check_for_update_on_startup": False,
        "analytics.enabled": False,
        **{f"features.{name}": False for name in ("apps", "plugins", "remote_plugin", "memories")},
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={json.dumps(value)}")]
    process = await asyncio.create_subprocess_exec(
        str(installations([SHARED_HARNESSES]).find("codex").executable),
        *words,
        "app-server",
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(home), "CODEX_HOME": str(home), "GATEWAY_KEY": key},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=_LONGEST_LINE,
    )
    server = CodexServer(process)
    try:
        await server.open(model, folder)
        yield server
    finally:
        process.kill()
        await process.wait()
