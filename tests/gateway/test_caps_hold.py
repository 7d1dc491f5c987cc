"""Caps hold: hundreds of calls at once, cut, cancelled and killed, on one gateway and two, with the real control plane.

Callers and providers speak two dialects, so that half of the calls are translated.

Whatever happens to them, no scope settles more than its limit, control plane, journal and ledger say the same sums, and
the providers gave no more than that.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx2
import pytest
from gateway_processes import GatewayProcess
from gateway_provider import Provider
from sqlalchemy import select

from airside.api.services import Services
from airside.cli.processes import listen
from airside.server.control import ControlSettings, control_plane, serving
from airside.settings import Timing
from airside.storage.datadir import DataDirectory
from airside.storage.tables import budget_ledger, model_calls

CALLS = 200
PEOPLE = [("ann", "core"), ("bob", "core"), ("cid", "edge")]
NANO = 10**9
#: Nano-dollars for a token, in and out, as configured.
PRICES = {"north": (1_000, 2_000), "south": (2_000, 4_000)}
CONFIG = """\
providers:
  north:
    protocol: anthropic
    base_url: "{url}/north"
    models: {{real: {{prices: {{input: 1, output: 2}}, max_output_tokens: 300}}}}
  south:
    protocol: openai-chat
    base_url: "{url}/south/v1"
    models: {{real: {{prices: {{input: 2, output: 4}}, max_output_tokens: 300}}}}
models:
  coder: [north/real, south/real]
agents:
  fixer: {{harness: claude-code, model: coder}}
budgets:
  - {{scope: project, limit_usd: 0.80, on_limit: refuse}}
  - {{scope: "team:core", limit_usd: 0.46, window: month, timezone: Europe/Berlin, warn_at: 50%}}
  - {{scope: "user:*", limit_usd: 0.34}}
  - {{scope: "agent:fixer", limit_usd: 0.72}}
  - {{scope: "model:coder", limit_usd: 0.66}}
  - {{scope: "provider:north", limit_usd: 0.40}}
  - {{scope: "provider:south", limit_usd: 0.60}}
"""


class FaultyProvider(Provider):
    """Does what the text of a request tells it to, and counts what it really gave, in nano-dollars by its own name.

    North speaks Messages and says what it counts at once, south speaks Chat and says it in the end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: Counter[str] = Counter()

    def _gives(self, handler: BaseHTTPRequestHandler, *, input_tokens: int = 0, output_tokens: int = 0) -> None:
        name = handler.path.split("/")[1]
        of_input, of_output = PRICES[name]
        with self.lock:
            self.given[name] += input_tokens * of_input + output_tokens * of_output

    def answer(self, handler: BaseHTTPRequestHandler, body: Any) -> None:
        with self.lock:
            self.requests += 1
        content = body["messages"][0]["content"]
        plan = json.loads(content if isinstance(content, str) else content[0]["text"])
        limit = body.get("max_tokens") or body["max_completion_tokens"]
        usage = {"input_tokens": plan["input"], "output_tokens": min(plan["output"], limit)}
        if plan["fault"] == "error" or (plan["fault"] == "elsewhere" and not speaks_chat(handler)):
            self._send(handler, 500, {"type": "error", "error": {"type": "api_error", "message": "no"}})
        elif body.get("stream"):
            self._gives(handler, input_tokens=plan["input"], output_tokens=1)
            if plan["fault"] != "cut" and not plan["gives_up"]:
                self._gives(handler, output_tokens=max(0, usage["output_tokens"] - 1))
            self._stream_of(handler, usage, plan["fault"])
        else:
            self._gives(handler, **{**usage, "output_tokens": 0 if plan["gives_up"] else usage["output_tokens"]})
            self._send(handler, 200, whole(handler, usage))

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
        text = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def _stream_of(self, handler: BaseHTTPRequestHandler, usage: dict[str, int], fault: str) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.close_connection = True
        beginning, end = events(handler, usage)
        try:
            for event in [*beginning, *([] if fault == "cut" else end)]:
                if speaks_chat(handler):
                    handler.wfile.write(f"data: {event}\n\n".encode())
                else:
                    self._event(handler, event)
        except OSError:
            pass  # the gateway hung up or died


def speaks_chat(handler: BaseHTTPRequestHandler) -> bool:
    return handler.path.startswith("/south/")


def in_chat(usage: dict[str, int]) -> dict[str, int]:
    return {"prompt_tokens": usage["input_tokens"], "completion_tokens": usage["output_tokens"]}


def whole(handler: BaseHTTPRequestHandler, usage: dict[str, int]) -> dict[str, Any]:
    """A whole answer in the provider's dialect."""
    if speaks_chat(handler):
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        return {"object": "chat.completion", "choices": [choice], "usage": in_chat(usage)}
    return {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }


def events(handler: BaseHTTPRequestHandler, usage: dict[str, int]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The first events of a stream in the provider's dialect, and the last."""
    if speaks_chat(handler):
        delta = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "word"}}]}
        stop = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        last = {"choices": [], "usage": in_chat(usage)}
        return [json.dumps(delta)] * 2, [json.dumps(stop), json.dumps(last), "[DONE]"]
    start = {"type": "message_start", "message": {"role": "assistant", "usage": {**usage, "output_tokens": 1}}}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word"}}
    last = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}
    return [start, block, delta, delta], [{"type": "content_block_stop", "index": 0}, last, {"type": "message_stop"}]


@dataclass(frozen=True)
class Installation:
    """A control plane, keys of some people, and gateways that can be killed."""

    services: Services
    client: httpx2.AsyncClient
    keys: Sequence[str]
    gateways: Sequence[GatewayProcess]


@asynccontextmanager
async def installation(place: Path, provider: Provider, count: int) -> AsyncIterator[Installation]:
    data = DataDirectory.open(place / "control")
    settings = ControlSettings(data, frozenset({"127.0.0.1"}), {}, Timing(event_poll_s=0.05))
    listening = listen("127.0.0.1", 0, "--port")
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(control_plane(settings))
        url = await stack.enter_async_context(serving(services, listening))
        headers = {"authorization": f"Bearer {data.admin_token()}"}
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=30)
        )
        applied = await client.post("/v1/config/apply", json={"source": CONFIG.format(url=provider.url)})
        assert applied.is_success, applied.text
        keys = []
        for user, team in PEOPLE:
            made = await client.post("/v1/keys", json={"agent": "fixer", "user": user, "team": team})
            keys.append(made.json()["key"])
        token_file = place / "join-token"
        token_file.write_text(data.gateway_token())
        options = ["--control", url, "--join-token-file", str(token_file)]
        gateways = [GatewayProcess(place / f"gateway-{number}", options) for number in range(count)]
        for gateway in gateways:
            await asyncio.to_thread(gateway.start)
            stack.callback(gateway.stop)
            await asyncio.to_thread(gateway.wait_for_snapshot, 1)
        yield Installation(services, client, keys, gateways)


async def one_call(client: httpx2.AsyncClient, gateway: GatewayProcess, key: str, dice: random.Random) -> str:
    """Make one call; says what became of it for its caller."""
    fault, gives_up = dice.choice([*["none"] * 3, *["elsewhere"] * 3, "cut", "error"]), dice.random() < 0.15
    # As many tokens as text of this length may be.
    words = "word " * dice.randint(1, 400)
    plan = {
        "input": len(words) // 4,
        "output": dice.randint(1, 400),
        "fault": fault,
        "gives_up": gives_up,
        "words": words,
    }
    body = {
        "model": "coder",
        "max_tokens": dice.randint(50, 300),
        "stream": dice.random() < 0.7,
        "messages": [{"role": "user", "content": json.dumps(plan)}],
    }
    door = dice.choice(["/v1/messages", "/v1/chat/completions"])
    try:
        async with client.stream(
            "POST", f"{gateway.url}{door}", json=body, headers={"authorization": f"Bearer {key}"}
        ) as answer:
            if gives_up:
                return "given up"
            async for _ in answer.aiter_bytes():
                pass
            return str(answer.status_code)
    except httpx2.HTTPError:
        return "broken"


async def storm(
    system: Installation, seed: int, after: int = 0, then: Callable[[], None] | None = None
) -> Counter[str]:
    """All calls at once, spread over the gateways; `then` happens in the middle of them, once `after` are over."""
    dice, outcomes = random.Random(seed), Counter[str]()
    limits = httpx2.Limits(max_connections=CALLS)
    async with httpx2.AsyncClient(trust_env=False, timeout=30, limits=limits) as client, asyncio.TaskGroup() as group:

        async def run(number: int, own: random.Random) -> None:
            gateway = system.gateways[number % len(system.gateways)]
            outcomes[await one_call(client, gateway, system.keys[number % len(system.keys)], own)] += 1
            if then is not None and outcomes.total() == after:
                await asyncio.to_thread(then)

        for number in range(CALLS):
            group.create_task(run(number, random.Random(dice.random())))
    return outcomes


async def journal_is_in(system: Installation) -> None:
    """Every record of every gateway is stored."""
    for gateway in system.gateways:
        async with asyncio.timeout(20):
            while True:
                state = (await asyncio.to_thread(gateway.readiness))["journal"]
                if state["acknowledged"] == state["sequence"]:
                    break
                await asyncio.sleep(0.05)


async def check_books(system: Installation, provider: FaultyProvider) -> Counter[str]:
    """No scope is over its limit, every book says the same, and no less than was given. Returns how calls ended."""
    async with system.services.database.read() as connection:
        records = [row[0] for row in await connection.execute(select(model_calls.c.record))]
        ledger = (await connection.execute(select(budget_ledger))).all()
    charged: Counter[tuple[str, int]] = Counter()
    for record in records:
        for charge in record["charges"]:
            charged[charge["scope"], charge["window_start"]] += charge["nanousd"]
            assert charge["nanousd"] in {0, record["cost_nanousd"]} or record["outcome"] == "lost"
        assert record["cost_nanousd"] <= record["hold_nanousd"]
    settled: Counter[tuple[str, int]] = Counter()
    for row in ledger:
        settled[row.scope, row.window_start] += row.settled_nanousd
    assert +charged == +settled
    for budget in (await system.client.get("/v1/budgets")).json()["data"]:
        for position in budget["positions"]:
            assert position["spent_nanousd"] <= budget["limit_nanousd"], position
            used = position["spent_nanousd"] + position["held_nanousd"]
            assert used <= budget["limit_nanousd"], position
    usage = (await system.client.get("/v1/usage", params={"by": "model"})).json()["data"]
    assert sum(row["cost_nanousd"] for row in usage) == sum(record["cost_nanousd"] for record in records)
    project = next(scope for scope, _ in charged if scope.startswith("project:"))
    assert charged[project, 0] == sum(record["cost_nanousd"] for record in records)
    for name, given in provider.given.items():
        assert given <= charged[f"provider:{name}", 0], name
    completed = [record for record in records if record["outcome"] == "completed"]
    ways = {(record["front_door"], record["provider"]) for record in completed}
    assert len(ways) == 4, f"both dialects at both providers: {ways}"
    return Counter(record["outcome"] for record in records)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("gateways", [1, 2])
async def test_caps_hold_under_a_storm_of_broken_calls(tmp_path: Path, gateways: int) -> None:
    with FaultyProvider() as provider:
        async with installation(tmp_path, provider, gateways) as system:
            outcomes = await storm(system, seed=gateways)
            await journal_is_in(system)
            ended = await check_books(system, provider)
            for gateway in system.gateways:
                assert await asyncio.to_thread(gateway.stop) == 0
            budgets = (await system.client.get("/v1/budgets")).json()["data"]
            held = [position["held_nanousd"] for budget in budgets for position in budget["positions"]]
    assert outcomes["200"] > 10, outcomes
    assert outcomes["402"] > 10, outcomes
    assert {"completed", "refused", "cut"} <= ended.keys(), ended
    assert not any(held), "what a gateway does not spend goes back when it stops"


@pytest.mark.timeout(120)
async def test_caps_hold_when_a_gateway_is_killed_in_the_middle(tmp_path: Path) -> None:
    with FaultyProvider() as provider:
        async with installation(tmp_path, provider, 2) as system:
            victim = system.gateways[1]

            def kill_and_start_again() -> None:
                victim.kill()
                victim.start()
                victim.wait_for_snapshot(1)

            outcomes = await storm(system, seed=7, after=CALLS // 3, then=kill_and_start_again)
            await journal_is_in(system)
            await check_books(system, provider)
            await storm(system, seed=8)
            await journal_is_in(system)
            ended = await check_books(system, provider)
    assert outcomes["200"] > 10, outcomes
    assert ended["completed"] > 10, ended
