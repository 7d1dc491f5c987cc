"""The same from outside: the control API, and the server as a process."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from simulated_talks import script

import airside
from airside.testing.simulated import SimulatedModels


class Control:
    """Talks to `/_control`."""

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self.url = f"{url}/_control"
        self._http = http

    async def post(self, path: str, **body: Any) -> httpx2.Response:
        return await self._http.post(f"{self.url}/{path}", json=body)

    async def get(self, path: str, **query: Any) -> Any:
        response = await self._http.get(f"{self.url}/{path}", params=query)
        assert response.status_code == 200, response.text
        return response.json()

    async def delete(self, path: str, **query: Any) -> httpx2.Response:
        return await self._http.delete(f"{self.url}/{path}", params=query)


@pytest.fixture
def control(models: SimulatedModels, http: httpx2.AsyncClient) -> Control:
    return Control(models.url, http)


async def ask(http: httpx2.AsyncClient, url: str, prompt: str, **fields: Any) -> httpx2.Response:
    body = {"model": "m", "input": prompt, **fields}
    return await http.post(f"{url}/responses", headers={"authorization": "Bearer k"}, json=body)


@pytest.mark.parametrize("steps", ["- say: Scripted.", [{"say": "Scripted."}]])
async def test_a_script_is_registered(
    models: SimulatedModels, control: Control, http: httpx2.AsyncClient, steps: Any
) -> None:
    assert (await control.post("scripts", script=steps, match="greet")).status_code == 200
    response = await ask(http, models.openai_url(), "Please greet.")
    assert response.json()["output"][0]["content"][0]["text"] == "Scripted."


async def test_faults_are_planned_listed_and_cleared(
    models: SimulatedModels, control: Control, http: httpx2.AsyncClient
) -> None:
    await control.post("faults", provider="gpt", status=429, headers={"retry-after": "1"}, times=2)
    assert (await ask(http, models.openai_url("gpt"), "hi")).status_code == 429
    listed = await control.get("faults", provider="gpt")
    assert listed == {"faults": [{"status": 429, "headers": {"retry-after": "1"}, "times": 1}]}
    await control.delete("faults", provider="gpt")
    assert (await ask(http, models.openai_url("gpt"), "hi")).status_code == 200


async def test_requests_are_shown_with_key_and_bytes(
    models: SimulatedModels, control: Control, http: httpx2.AsyncClient
) -> None:
    await control.post("faults", status=500, times=1)
    await ask(http, models.openai_url(), "hi")
    (shown,) = (await control.get("requests", provider="default", number=1, wait_s=5))["requests"]
    assert (shown["key"], shown["status"], shown["outcome"]) == ("k", 500, "completed")
    assert json.loads(base64.b64decode(shown["body_base64"])) == shown["json"] == {"model": "m", "input": "hi"}
    assert shown["fault"] == {"status": 500, "times": 1}
    assert await control.get(f"requests/{shown['id']}", wait_s=5) == shown
    assert (await control.get("requests", provider="other"))["requests"] == []


async def test_a_held_answer_is_waited_for_and_released(
    models: SimulatedModels, control: Control, http: httpx2.AsyncClient
) -> None:
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(http, models.openai_url(), script("- say: Held.\n  hold: gate"), stream=True))
        assert await control.get("held/gate", wait_s=5) == {"held": 1}
        await control.post("release", name="gate")
    assert "response.completed" in asking.result().text
    assert await control.get("held/gate") == {"held": 0}


async def test_keys_are_demanded_and_everything_is_reset(
    models: SimulatedModels, control: Control, http: httpx2.AsyncClient
) -> None:
    await control.post("keys", key="other", provider="default")
    assert (await ask(http, models.openai_url(), "hi")).status_code == 401
    await control.post("reset")
    assert (await ask(http, models.openai_url(), "hi")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "complaint"),
    [
        ("scripts", {"script": "- sya: x"}, "0.sya"),
        ("scripts", {"match": "x"}, "script"),
        ("scripts", {"script": "- say: x", "wrong": 1}, "wrong"),
        ("faults", {"status": 20}, "at status"),
        ("release", {"name": ""}, "name"),
    ],
)
async def test_wrong_orders_are_refused_with_the_reason(
    control: Control, path: str, body: dict[str, Any], complaint: str
) -> None:
    response = await control.post(path, **body)
    assert response.status_code == 400
    assert complaint in response.json()["error"]


async def test_other_mistakes_have_their_statuses(control: Control, http: httpx2.AsyncClient) -> None:
    statuses = {
        "requests/req_none": 404,
        "held/gate?wait_s=0.01": 408,
        "held/gate?wait_s=soon": 400,
        "held/gate?wait_s=1e9": 400,
        "requests?wait_s=1&number=none": 400,
        "nothing": 404,
    }
    for path, status in statuses.items():
        assert (await http.get(f"{control.url}/{path}")).status_code == status, path
    assert (await http.post(f"{control.url}/faults", content=b"{")).status_code == 400


# --- as a process --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "airside.testing.simulated", *arguments),
        cwd=Path(airside.__file__).parents[1],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.communicate()


async def test_the_process_says_where_it_is_and_stops_when_told(http: httpx2.AsyncClient) -> None:
    async with process("--port", "0", "--json") as running, asyncio.timeout(30):
        assert running.stdout is not None
        url = json.loads(await running.stdout.readline())["url"]
        response = await ask(http, f"{url}/v1", script("- say: Up."))
        assert response.json()["output"][0]["content"][0]["text"] == "Up."
        (shown,) = (await Control(url, http).get("requests"))["requests"]
        assert shown["provider"] == "default"
        running.send_signal(signal.SIGTERM)
        assert await running.wait() == 0


async def test_the_process_stops_in_the_middle_of_an_answer(http: httpx2.AsyncClient) -> None:
    async with process() as running, asyncio.timeout(30):
        assert running.stdout is not None
        said = (await running.stdout.readline()).decode()
        assert said.startswith("Simulated models are ready at http://127.0.0.1:")
        url = said.split()[-1]
        body = {"model": "m", "input": script("- say: Held.\n  hold: gate"), "stream": True}
        async with http.stream(
            "POST", f"{url}/v1/responses", headers={"authorization": "Bearer k"}, json=body
        ) as response:
            assert response.status_code == 200
            running.send_signal(signal.SIGTERM)
            assert await running.wait() == 0
            with pytest.raises(httpx2.TransportError):
                await response.aread()
        assert running.stderr is not None
        assert await running.stderr.read() == b""


async def test_a_port_that_is_taken_is_reported() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with process("--port", str(port)) as running, asyncio.timeout(30):
            _, complaint = await running.communicate()
    assert running.returncode == 1
    assert complaint.decode() == f"cannot listen on port {port}: Address already in use\n"
