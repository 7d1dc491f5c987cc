"""Everything that can go wrong at a vendor, seen from the client's side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from simulated_talks import script

from airside.testing.simulated import SimulatedModels
from airside.testing.simulated.faults import BadFault
from airside.testing.simulated.records import Outcome

PROMPT = script("- say: This is a text that is long enough to be sent in more than one piece, as it should be.")
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
HEADERS = {"authorization": "Bearer k", "x-goog-api-key": "k", "anthropic-version": "2023-06-01"}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("v1/messages", {"model": "m", "max_tokens": 1000, "messages": MESSAGES}),
    "openai-responses": ("v1/responses", {"model": "m", "input": PROMPT}),
    "openai-chat": ("v1/chat/completions", {"model": "m", "messages": MESSAGES}),
    "gemini": ("v1beta/models/m:generateContent", {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}),
}


@pytest.fixture(params=BODIES)
def dialect(request: pytest.FixtureRequest) -> str:
    return request.param


class Client:
    """Asks one provider in one dialect, below the SDKs."""

    def __init__(self, models: SimulatedModels, http: httpx2.AsyncClient, dialect: str) -> None:
        resource, self.body = BODIES[dialect]
        self.url = f"{models.url}/vendor/{resource}"
        self._dialect = dialect
        self._http = http

    async def ask(self, *, stream: bool = True) -> httpx2.Response:
        url, body = self.asked(stream=stream)
        return await self._http.post(url, headers=HEADERS, json=body)

    @asynccontextmanager
    async def asking(self, *, stream: bool = True) -> AsyncIterator[httpx2.Response]:
        url, body = self.asked(stream=stream)
        async with self._http.stream("POST", url, headers=HEADERS, json=body) as response:
            yield response

    def asked(self, *, stream: bool) -> tuple[str, dict[str, Any]]:
        """Where to and what, in the vendor's way of asking for a stream."""
        if self._dialect != "gemini":
            return self.url, {**self.body, "stream": stream}
        call = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
        return self.url.replace(":generateContent", call), self.body


@pytest.fixture
def client(models: SimulatedModels, http: httpx2.AsyncClient, dialect: str) -> Client:
    return Client(models, http, dialect)


async def test_a_status_comes_so_many_times_and_then_no_more(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", status=429, headers={"retry-after": "7"}, times=2)
    refused = [await client.ask() for _ in range(2)]
    assert [response.status_code for response in refused] == [429, 429]
    assert refused[0].headers["retry-after"] == "7"
    assert (await client.ask()).status_code == 200


@pytest.mark.parametrize(
    ("status", "anthropic_type"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
async def test_an_error_has_the_shape_of_its_dialect(
    models: SimulatedModels, client: Client, dialect: str, status: int, anthropic_type: str
) -> None:
    models.fault("vendor", status=status, message="As planned.", times=1)
    response = await client.ask()
    body = response.json()
    assert (response.status_code, body["error"]["message"]) == (status, "As planned.")
    if dialect == "anthropic":
        assert (body["type"], body["error"]["type"]) == ("error", anthropic_type)
        assert body["request_id"] == response.headers["request-id"]
    elif dialect == "gemini":
        assert set(body["error"]) == {"code", "message", "status"}
        assert body["error"]["code"] == status
    else:
        assert set(body["error"]) == {"message", "type", "param", "code"}
        assert response.headers["x-request-id"]


async def test_the_sdks_raise_what_they_raise_for_the_vendor(
    models: SimulatedModels, claude: anthropic.AsyncAnthropic, gpt: openai.AsyncOpenAI
) -> None:
    models.fault("claude", status=529)
    models.fault("gpt", status=429)
    with pytest.raises(anthropic.InternalServerError) as overloaded:
        await claude.messages.create(**BODIES["anthropic"][1])
    assert overloaded.value.status_code == 529
    with pytest.raises(openai.RateLimitError):
        await gpt.responses.create(**BODIES["openai-responses"][1])


async def test_an_error_may_have_a_body_of_its_own(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", status=503, body="<html>down</html>", headers={"content-type": "text/html"}, times=1)
    response = await client.ask()
    assert (response.text, response.headers["content-type"]) == ("<html>down</html>", "text/html")
    models.fault("vendor", status=500, body={"oops": True}, times=1)
    assert (await client.ask()).json() == {"oops": True}


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_cut_after_exactly_so_many_bytes(
    models: SimulatedModels, client: Client, stream: bool
) -> None:
    models.fault("vendor", cut_after_bytes=150, times=1)
    received = b""
    with pytest.raises(httpx2.RemoteProtocolError):  # noqa: PT012 - what came before the error counts
        async with client.asking(stream=stream) as response:
            assert response.status_code == 200
            async for piece in response.aiter_raw():
                received += piece
    assert len(received) == 150
    (request,) = models.requests("vendor")
    assert (await request.wait_ended(), request.bytes_sent) == (Outcome.BROKEN_OFF, 150)
    assert (await client.ask(stream=stream)).status_code == 200


@pytest.mark.parametrize("fault", [{"reset": True}, {"reset": True, "cut_after_bytes": 60}])
async def test_a_connection_is_reset(models: SimulatedModels, client: Client, fault: dict[str, Any]) -> None:
    models.fault("vendor", **fault, times=1)
    host, port = models.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    url, asked = client.asked(stream=True)
    body = json.dumps(asked).encode()
    head = f"POST {url.removeprefix(models.url)} HTTP/1.1\r\nhost: x\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    head += f"content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    with pytest.raises(ConnectionResetError):
        await reader.read(-1)
    writer.close()
    (request,) = models.requests("vendor")
    assert await request.wait_ended() is Outcome.BROKEN_OFF


async def test_a_stall_before_the_head_ends_when_it_is_released(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", stall={"where": "before_head", "name": "s"}, times=1)
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(client.ask())
        await models.wait_until_held("s")
        assert models.requests("vendor")[0].status is None
        models.release("s")
    assert asking.result().status_code == 200


@pytest.mark.parametrize(("stall", "seen"), [({"where": "after_head"}, 0), ({"where": "after_bytes", "bytes": 77}, 77)])
async def test_a_stall_after_the_head_keeps_back_the_rest(
    models: SimulatedModels, client: Client, stall: dict[str, Any], seen: int
) -> None:
    models.fault("vendor", stall={**stall, "name": "s"}, times=1)
    async with client.asking() as response:
        assert response.status_code == 200
        await models.wait_until_held("s")
        pieces = response.aiter_raw()
        received = b""
        while len(received) < seen:
            received += await anext(pieces)
        assert len(received) == seen
        models.release("s")
        received += b"".join([piece async for piece in pieces])
    assert received.startswith(b"event: " if b"event: " in received else b"data: ")
    assert (await models.requests("vendor")[0].wait_ended()) is Outcome.COMPLETED


async def test_a_stall_without_a_name_lasts_until_the_client_goes(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", stall={"where": "after_head"}, times=1)
    async with client.asking() as response:
        assert response.status_code == 200
        assert not models.requests("vendor")[0].ended
    assert await models.requests("vendor")[0].wait_ended() is Outcome.CLIENT_CLOSED


async def test_an_empty_answer_is_a_good_head_and_an_end(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", empty=True, times=2)
    for stream in (True, False):
        response = await client.ask(stream=stream)
        assert (response.status_code, response.content) == (200, b"")


async def test_garbage_in_the_body_is_no_answer(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", garbage="body", times=2)
    for stream in (True, False):
        response = await client.ask(stream=stream)
        assert response.status_code == 200
        assert response.content == bytes(range(256))


async def test_garbage_instead_of_a_head_is_no_http(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", garbage="head", times=1)
    with pytest.raises(httpx2.RemoteProtocolError):
        await client.ask()


@pytest.mark.parametrize("when", ["before_content", "after_content"])
async def test_a_stream_reports_a_failure_in_its_dialect(
    models: SimulatedModels, client: Client, dialect: str, when: str
) -> None:
    models.fault("vendor", in_stream_error={"when": when, "status": 529, "message": "Too busy."}, times=1)
    response = await client.ask()
    assert response.status_code == 200
    events = response.text.strip().split("\n\n")
    assert ("This is a text" in response.text) == (when == "after_content")
    last = json.loads(events[-1].split("data: ", 1)[1])
    if dialect == "anthropic":
        assert last["error"] == {"type": "overloaded_error", "message": "Too busy."}
    elif dialect == "openai-chat":
        assert last["error"]["message"] == "Too busy."
        assert "[DONE]" not in response.text
    elif dialect == "gemini":
        assert last == {"error": {"code": 529, "message": "Too busy.", "status": "UNAVAILABLE"}}
    else:
        assert last["type"] == "response.failed"
        assert last["response"]["error"]["message"] == "Too busy."
        assert last["sequence_number"] == len(events) - 1


async def test_responses_can_fail_with_a_bare_error_event(models: SimulatedModels, gpt: openai.AsyncOpenAI) -> None:
    models.fault("gpt", in_stream_error={"event": "error", "message": "Too busy."}, times=1)
    stream = await gpt.responses.create(**BODIES["openai-responses"][1], stream=True)
    *_, last = [event async for event in stream]
    assert (last.type, last.message, last.param) == ("error", "Too busy.", None)


async def test_what_a_stream_would_report_is_a_status_without_one(models: SimulatedModels, client: Client) -> None:
    models.fault("vendor", in_stream_error={"status": 529}, times=1)
    assert (await client.ask(stream=False)).status_code == 529


class ManualClock:
    """A clock that notes how long it was asked to sleep, and does not."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_slowness_is_taken_from_the_clock(http: httpx2.AsyncClient, dialect: str) -> None:
    clock = ManualClock()
    async with SimulatedModels(clock) as models:
        models.fault("vendor", slow_head_ms=1500, times=1)
        client = Client(models, http, dialect)
        assert (await client.ask()).status_code == 200
        assert clock.slept == [1.5]
        models.script("- say: abcdefgh\n  pace: {chunk_chars: 3, delay_ms: 20}")
        client.body = json.loads(json.dumps(client.body).replace("```script", "```"))
        assert (await client.ask()).status_code == 200
    assert clock.slept == [1.5, 0.02, 0.02, 0.02]


async def test_faults_concern_whom_they_are_meant_for(models: SimulatedModels, http: httpx2.AsyncClient) -> None:
    models.fault("vendor", status=500, dialect="openai-chat", model="other")
    models.fault("vendor", status=503, operation="count_tokens")
    chat, messages = Client(models, http, "openai-chat"), Client(models, http, "anthropic")
    assert (await chat.ask()).status_code == 200
    chat.body = {**chat.body, "model": "other"}
    assert (await chat.ask()).status_code == 500
    messages.body = {**messages.body, "model": "other"}
    assert (await messages.ask()).status_code == 200
    messages.url += "/count_tokens"
    assert (await messages.ask()).status_code == 503


async def test_faults_are_shown_in_the_order_they_were_planned_and_can_be_cleared(
    models: SimulatedModels, client: Client
) -> None:
    models.fault("vendor", status=500, times=1)
    models.fault("vendor", status=429)
    assert [(await client.ask()).status_code for _ in range(3)] == [500, 429, 429]
    models.clear_faults("vendor")
    assert (await client.ask()).status_code == 200


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({}, "names what goes wrong"),
        ({"times": 3}, "names what goes wrong"),
        ({"status": 200}, "at status"),
        ({"status": 500, "empty": True}, "is one of"),
        ({"reset": True, "empty": True}, "alone or with cut_after_bytes"),
        ({"status": 500, "times": 0}, "at times"),
        ({"stall": {"where": "somewhere"}}, "at stall.where"),
        ({"explode": True}, "at explode"),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_its_place(
    models: SimulatedModels, fields: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(BadFault, match=complaint):
        models.fault("vendor", **fields)
