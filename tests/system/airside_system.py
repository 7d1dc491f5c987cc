"""A system under test: its processes, and short ways to say what a test does with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import yaml

from airside.agents.harness_name import HarnessName
from airside.cli.up import Stack, UpSettings, build_stack
from airside.server.adapters import installations
from airside.settings import SHARED_HARNESSES, environment
from airside.storage.datadir import DataDirectory
from airside.supervision import Supervised
from airside.testing.simulated import SimulatedModels

DEADLINE_S = 60.0
PROTOCOLS = {"anthropic": "claude-sonnet-4-5", "openai-responses": "gpt-5.2", "openai-chat": "gpt-5.2"}
AT_REST = {"idle", "waiting", "interrupted", "failed", "cancelled", "archived"}
# Short, so that a test does not wait; long against what a busy machine delays.
TIMING = {"AIRSIDE_LEASE_S": "4", "AIRSIDE_REAP_S": "0.3", "AIRSIDE_CONTROL_POLL_S": "0.05"}


def install_harnesses() -> None:
    known = installations([SHARED_HARNESSES])
    for name in HarnessName:
        known.install(name)


def script(*steps: Mapping[str, Any], said: str = "Do as the script says.") -> str:
    """A prompt that tells the simulated model what to answer."""
    return f"{said}\n```script\n{yaml.safe_dump(list(steps), sort_keys=False)}```\n"


def make_repository(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Begin"]):
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)
    return folder


async def until(condition: Callable[[], Awaitable[Any]], what: str, deadline_s: float = DEADLINE_S) -> Any:
    """Ask again and again until the answer is true; fails with `what` after the deadline."""
    try:
        async with asyncio.timeout(deadline_s):
            while not (found := await condition()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"{what}: not within {deadline_s:.0f} s") from None


class System:
    """Processes of one installation, with simulated models in the test's own process."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = DataDirectory.open(place / "data")
        self.models = SimulatedModels()
        self.variables = {**environment(), **TIMING}
        self.stack: Stack = build_stack(UpSettings(self.data, 0, 0), self.variables)
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._open.enter_async_context(self.models)
        self._http = await self._open.enter_async_context(httpx2.AsyncClient(trust_env=False, timeout=30))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            await self._show_events()
        await self.stack.stop()
        if error is not None:
            self._show_logs()
        await self._open.__aexit__(kind, error, traceback)

    async def _show_events(self) -> None:
        with contextlib.suppress(Exception):
            for session in (await self.get("/v1/sessions"))["data"]:
                print(session["id"], session["state"], session["stop_reason"])
                for event in await self.events(session["id"]):
                    print(" ", json.dumps(event, ensure_ascii=False)[:400])

    def _show_logs(self) -> None:
        for log in sorted(self.data.logs.glob("*.log")):
            print(f"--- {log.name}\n{log.read_text()[-6000:]}")
        for request in self.models.requests():
            print(request.path, request.status, request.outcome, request.step, request.began_at)

    # --- processes ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.stack.control.start()
        await self.apply(self.configuration())
        await self.stack.gateway.start()
        await self.stack.worker.start()

    async def stop(self) -> None:
        await self.stack.stop()

    async def restart(self) -> None:
        """Everything down and up again on the same data directory, as after a reboot."""
        await self.stop()
        self.stack = build_stack(UpSettings(self.data, 0, 0), self.variables)
        await self.stack.start()

    async def second_worker(self) -> Supervised:
        """Another worker beside the first."""
        other = build_stack(UpSettings(self.data, 0, 0), self.variables)
        other.gateway.ready = self.stack.gateway.ready
        await other.worker.start()
        return other.worker

    def kill(self, part: Supervised) -> None:
        pid = part.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    async def gone(self, part: Supervised) -> None:
        async def is_gone() -> bool:
            return part.pid is None

        await until(is_gone, f"{part.role.name} is gone")

    async def kill_and_wait(self, part: Supervised) -> None:
        self.kill(part)
        await self.gone(part)

    # --- the API --------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.stack.target.url

    async def call(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        headers = {"authorization": f"Bearer {self.data.admin_token()}"}
        answer = await self._http.request(method, f"{self.url}{path}", json=body, params=query, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str, **query: Any) -> Any:
        return await self.call("GET", path, **query)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self.call("POST", path, body or {})

    async def gateway(self, path: str, **given: Any) -> httpx2.Response:
        return await self._http.post(f"{self.stack.gateway_url}{path}", **given)

    def configuration(self, **more: Any) -> dict[str, Any]:
        """One agent per harness, all on one model that every dialect can reach."""
        return {
            "providers": {
                protocol: {
                    "protocol": protocol,
                    "base_url": self.models.url + ("/sim" if protocol == "anthropic" else "/sim/v1"),
                    "headers": {"authorization": "Bearer simulated"},
                }
                for protocol in PROTOCOLS
            },
            "models": {"coder": [f"{protocol}/{model}" for protocol, model in PROTOCOLS.items()]},
            "agents": {str(name): {"harness": str(name), "model": "coder"} for name in HarnessName},
            **more,
        }

    async def apply(self, configuration: Mapping[str, Any]) -> Any:
        source = yaml.safe_dump(dict(configuration), sort_keys=False)
        return await self.post("/v1/config/apply", {"source": source, "filename": "airside.yaml"})

    # --- sessions -------------------------------------------------------------------------------------------------

    async def begin(self, agent: str, prompt: str, repository: Path | None = None, **more: Any) -> str:
        body: dict[str, Any] = {"agent": agent, "initial_events": [message(prompt)], **more}
        if repository is not None:
            body["resources"] = [{"type": "git_repository", "url": str(repository)}]
        return str((await self.post("/v1/sessions", body))["id"])

    async def send(self, session: str, prompt: str) -> None:
        await self.post(f"/v1/sessions/{session}/events", {"events": [message(prompt)]})

    async def session(self, session: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/v1/sessions/{session}")
        return found

    async def in_state(self, session: str, *states: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any] | None:
            found = await self.session(session)
            return found if found["state"] in states else None

        try:
            found: dict[str, Any] = await until(reached, f"session is {' or '.join(states)}")
        except AssertionError as late:
            events = [json.dumps(event) for event in await self.events(session)]
            raise AssertionError("\n".join([str(late), *events])) from late
        return found

    async def at_rest(self, session: str) -> dict[str, Any]:
        return await self.in_state(session, *AT_REST)

    async def events(self, session: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(f"/v1/sessions/{session}/events", limit=1000))["data"]
        return found

    async def said(self, session: str) -> list[str]:
        return [text_of(event) for event in await self.events(session) if event["type"] == "agent.message"]

    async def is_intact(self, session: str) -> None:
        """The log is whole, and numbered without gaps."""
        verdict = await self.get(f"/v1/sessions/{session}/events/verify")
        assert verdict["intact"], verdict
        sequences = [event["sequence"] for event in await self.events(session)]
        assert sequences == list(range(1, len(sequences) + 1))

    def workspace(self, session: str) -> Path:
        return self.data.root / "sessions" / session / "workspace"

    # --- what the providers saw -----------------------------------------------------------------------------------

    def last_conversation(self) -> str:
        """The newest request a model got, as text."""
        return json.dumps(self.models.requests()[-1].json, ensure_ascii=False)

    async def journal_is_complete(self, session: str) -> Sequence[dict[str, Any]]:
        """Every request that reached a provider is in the journal, once; returns the session's model calls."""
        asked = [request for request in self.models.requests() if request.status is not None]

        async def calls() -> list[dict[str, Any]] | None:
            ended = [e for e in await self.events(session) if e["type"] == "span.model_request_end"]
            attempts = sum(_attempts(call) for call in ended)
            return ended if attempts >= len(asked) else None

        found: list[dict[str, Any]] = await until(calls, "the journal has every request")
        assert len({call["call_id"] for call in found}) == len(found)
        return found


def _attempts(call: Mapping[str, Any]) -> int:
    """How many requests to providers a journal record stands for; a lost call's own are not known, it was one."""
    return 1 if call["outcome"] == "lost" else sum(one["outcome"] != "skipped" for one in call["attempts"])


def message(text: str) -> dict[str, Any]:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def text_of(event: Mapping[str, Any]) -> str:
    return "".join(block.get("text", "") for block in event["content"])


def kinds(events: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(event["type"]) for event in events]
