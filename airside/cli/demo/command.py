"""Runs the demo: a server of its own, a repository, a harness, and an account of what happened."""

from __future__ import annotations

import json
import shutil
import signal
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer

from airside.agents.harness_name import HarnessName
from airside.cli.demo.project import PROMPT, SCRIPT, TestOutcome, apply_patch, make_repository, run_tests
from airside.cli.failures import FAILED, reported
from airside.cli.harness import require_installed
from airside.cli.options import JsonOption
from airside.cli.output import dollars, show, show_json
from airside.cli.program import airside_command
from airside.cli.run import RunRequest, run_session
from airside.cli.target import Api, Target, api_of
from airside.errors import Unavailable
from airside.settings import environment

_DRAIN_S = 60


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that was started for the demo."""

    process: subprocess.Popen[str]
    ready: Mapping[str, str]

    @property
    def target(self) -> Target:
        return Target(self.ready["url"], self.ready["token"])


def demo(
    harness: Annotated[HarnessName, typer.Option(help="Which harness does the work.")] = HarnessName.CODEX,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the server up afterwards.")] = False,
    as_json: JsonOption = False,
) -> None:
    """A real coding agent repairs a small repository on simulated models, of which the first one rate-limits."""
    with reported(as_json=as_json):
        require_installed(harness)
        folder = _folder()
        repository = folder / "till"
        make_repository(repository)
        before = run_tests(repository)
        if not as_json:
            _introduce(harness, repository, before)
        with _server(folder / "data", keep=keep) as server:
            account = _run(server, harness, repository, before, quiet=as_json)
        if as_json:
            told = {key: value for key, value in account.items() if not key.startswith("_")}
            show_json(told | ({"data": server.ready["data"], "pid": server.process.pid} if keep else {}))
        else:
            _tell(account, keep=keep, server=server)
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    if account["tests_after"]["failed"] or account["_result"]["stop_reason"] != "end_turn":
        raise SystemExit(FAILED)


def _folder() -> Path:
    """A temporary folder, not below /tmp: some harnesses refuse a home there."""
    variables = environment()
    named = variables.get("XDG_CACHE_HOME")
    for candidate in (Path(named) if named else Path.home() / ".cache", Path("/var/tmp")):  # noqa: S108 - last resort
        parent = candidate / "airside"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix="demo-", dir=parent))
        except OSError:
            continue
    raise Unavailable("no place for the demo's files", hint="Set XDG_CACHE_HOME to a folder that can be written.")


@contextmanager
def _server(data: Path, *, keep: bool) -> Iterator[_Server]:
    """A server on free ports with simulated models; left up for good with `keep`."""
    ports = ("--port", "0", "--gateway-port", "0", "--simulated-port", "0")
    process = subprocess.Popen(
        airside_command("up", "--data", str(data), *ports, "--simulated", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    done = False
    try:
        yield _Server(process, _ready(process))
        done = True
    finally:
        if not (keep and done):
            process.send_signal(signal.SIGTERM)
            process.wait(_DRAIN_S)


def _ready(process: subprocess.Popen[str]) -> Mapping[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    said = json.loads(line) if line.strip() else {"error": {"message": "it ended without a word", "hint": None}}
    if "error" in said:
        raise Unavailable(f"the demo's server did not come up: {said['error']['message']}", hint=said["error"]["hint"])
    ready: Mapping[str, str] = {str(key): str(value) for key, value in said.items()}
    return ready


def _run(
    server: _Server, harness: HarnessName, repository: Path, before: TestOutcome, *, quiet: bool
) -> dict[str, Any]:
    _set_the_scene(server.ready["simulated_url"])
    with api_of(server.target) as api:
        result = run_session(api, RunRequest(str(harness), PROMPT, str(repository)), quiet=quiet)
        calls = _calls(api, result["session_id"])
    if result["patch"]:
        apply_patch(repository, result["patch"])
    after = run_tests(repository)
    return {
        "harness": str(harness),
        "tests_before": before.as_json(),
        "tests_after": after.as_json(),
        "model_calls": result["model_calls"],
        "fallbacks": result["usage"]["fallbacks"],
        "cost_usd": result["cost_usd"],
        "tool_calls": result["tool_calls"],
        "session_id": result["session_id"],
        "url": server.ready["url"],
        "_result": result,
        "_calls": calls,
    }


def _set_the_scene(simulated_url: str) -> None:
    """Tell the simulated models what to say, and the first vendor to rate-limit the first call."""
    with httpx2.Client(base_url=simulated_url) as client:
        client.post("/_control/scripts", json={"match": PROMPT, "script": SCRIPT}).raise_for_status()
        limited = {"provider": "north", "status": 429, "headers": {"retry-after": "1"}, "times": 1}
        client.post("/_control/faults", json=limited).raise_for_status()


def _calls(api: Api, session_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = api.get(
        f"/v1/sessions/{session_id}/events", types="span.model_request_end", limit=1000
    )["data"]
    return events


def _introduce(harness: HarnessName, repository: Path, before: TestOutcome) -> None:
    show(f"A small repository with a fault in it: {before}.", "bold")
    show(f"  {repository}", "dim")
    show(f"{harness} works on it in a sandbox. Its models are simulated; everything else is real.", "bold")
    show("")


def _tell(account: dict[str, Any], *, keep: bool, server: _Server) -> None:
    result, calls = account["_result"], account["_calls"]
    after = TestOutcome(**account["tests_after"])
    before = TestOutcome(**account["tests_before"])
    show("")
    show("What it changed:", "bold")
    show(result["patch"].rstrip() or "(nothing)", "green")
    show("")
    show(f"Tests before:   {before}", "red" if before.failed else "")
    show(f"Tests after:    {after}", "red" if after.failed else "green")
    show(f"Model calls:    {account['model_calls']}, of which {account['fallbacks']} fell back to the second vendor:")
    for call in calls:
        show(f"  {_route(call)}", "dim")
    show(f"Tool calls:     {account['tool_calls']}")
    cost = dollars(round(account["cost_usd"] * 1_000_000_000))
    show(f"Cost:           {cost}, at the list price of the models that are simulated")
    if calls:
        added = statistics.median(call["gateway_us"] for call in calls)
        show(f"Gateway added:  {added / 1000:.2f} ms to a call (median of {len(calls)})")
    show(f"Whole session:  {result['duration_ms'] / 1000:.1f} s")
    if keep:
        show("")
        show(f"The server is still up at {server.ready['url']}. Look around with:", "bold")
        show(f"  airside sessions show {account['session_id']} --data {server.ready['data']}")
        show(f"  airside sessions events {account['session_id']} --data {server.ready['data']}")
        show(f"End it with `kill {server.process.pid}`; its files are in {Path(server.ready['data']).parent}.", "dim")


def _route(call: Mapping[str, Any]) -> str:
    tried = [f"{one['provider']} said {one['status']}" for one in call["attempts"] if one["outcome"] == "failed"]
    tried += [f"{one['provider']} cooling down" for one in call["attempts"] if one.get("reason") == "cooling_down"]
    answered = f"{call['provider']} answered" if call["provider"] else "nobody answered"
    return ", ".join([*tried, answered]) + f" for {dollars(call['cost_nanousd'])}"
