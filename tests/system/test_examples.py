"""What `examples/` holds is read and run as a reader would."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest
from airside_system import System

from airside.config.file import parse_file
from airside.testing.simulated import SimulatedModels

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(EXAMPLES.rglob("airside.yaml"))


async def run(*command: str, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env={"PATH": os.defpath, "HOME": str(cwd)}
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


def test_each_example_stands_in_the_list() -> None:
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_an_example_file_has_no_mistake(path: Path) -> None:
    assert parse_file(path.read_text(), path.name).content.agents


async def test_the_program_drives_a_session_to_its_end(system: System) -> None:
    await system.apply(system.configuration())
    program = str(EXAMPLES / "from-a-program" / "run_session.py")
    for _ in range(2):  # a reader runs it again
        said = await run(
            sys.executable, program, "--url", system.url, "--token", system.data.admin_token(), cwd=system.place
        )
        assert said.splitlines()[-1] == "session.status_idle"
        assert "agent.message" in said


async def test_a_gateway_alone_serves_the_snapshot_that_was_made(tmp_path: Path) -> None:
    async with SimulatedModels() as models:
        snapshot = tmp_path / "snapshot.json"
        program = str(EXAMPLES / "gateway-alone" / "make_snapshot.py")
        arguments = ("--out", str(snapshot), "--base-url", f"{models.url}/vendor")
        key = (await run(sys.executable, program, *arguments, cwd=tmp_path)).strip()
        assert key not in snapshot.read_text()
        gateway = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "airside", "gateway", "--listen", "127.0.0.1:0",
            "--snapshot", str(snapshot), "--data", str(tmp_path / "data"),
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath, "ANTHROPIC_API_KEY": "sk-simulated"},
        )  # fmt: skip
        try:
            assert gateway.stdout
            url = json.loads(await asyncio.wait_for(gateway.stdout.readline(), 20))["url"]
            async with httpx2.AsyncClient(headers={"x-api-key": key, "anthropic-version": "2023-06-01"}) as http:
                question = {
                    "model": "claude-opus-5-5",
                    "max_tokens": 50,
                    "messages": [{"role": "user", "content": "Hello."}],
                }
                answer = await http.post(f"{url}/v1/messages", json=question)
            assert answer.status_code == 200, answer.text
            assert answer.json()["type"] == "message"
        finally:
            gateway.terminate()
            await gateway.wait()
