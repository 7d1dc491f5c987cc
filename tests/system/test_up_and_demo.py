"""`airside up` from its start to its end, `airside demo`, and data directories that cannot be used."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.request import urlopen

import pytest
from airside_command import Up, airside
from airside_system import script
from places import place_outside_tmp

pytestmark = pytest.mark.timeout(240)

DEMO_KEYS = {
    "harness", "tests_before", "tests_after", "model_calls", "fallbacks", "cost_usd", "tool_calls", "session_id", "url",
}  # fmt: skip
ANY_PORTS = ("--port", "0", "--gateway-port", "0", "--simulated-port", "0")


@pytest.fixture
def home() -> Iterator[Path]:
    with place_outside_tmp() as made:
        yield made


@pytest.fixture
def up(home: Path) -> Iterator[Callable[..., Up]]:
    running: list[Up] = []

    def begin(*arguments: str) -> Up:
        running.append(Up(home, *ANY_PORTS, *arguments))
        return running[-1]

    yield begin
    for one in running:
        one.stop()


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        # A busy machine may be slow to answer; nobody there is known at once.
        with urlopen(f"{url}/healthz", timeout=20) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.usefixtures("installed")
def test_the_demo_repairs_the_repository_on(harness: str, home: Path) -> None:
    said = airside(home, "demo", "--harness", harness, "--json")
    assert said.code == 0, said.out + said.errors
    result = said.last
    assert set(result) == DEMO_KEYS
    assert result["harness"] == harness
    assert result["tests_before"] == {"passed": 2, "failed": 1}
    assert result["tests_after"] == {"passed": 3, "failed": 0}
    assert result["fallbacks"] == 1
    assert result["model_calls"] >= 4
    assert result["tool_calls"] >= 3
    assert float(result["cost_usd"]) > 0
    assert not answers(result["url"]), "without --keep nothing stays up"


def test_the_demo_can_be_kept_and_looked_at(home: Path) -> None:
    said = airside(home, "demo", "--harness", "scripted", "--keep", "--json")
    assert said.code == 0, said.errors
    assert set(said.last) == DEMO_KEYS | {"data", "pid"}
    url, data = said.last["url"], Path(said.last["data"])
    try:
        assert answers(url)
        assert json.loads((data / "running.json").read_text())["url"] == url
        shown = airside(home, "sessions", "show", said.last["session_id"], "--json", "--data", str(data))
        assert shown.json["log"]["intact"]
    finally:
        os.kill(said.last["pid"], signal.SIGTERM)
    until(lambda: not answers(url), "it ends when it is told to")


def test_it_serves_until_it_is_told_to_end_and_ends_cleanly(up: Callable[..., Up]) -> None:
    running = up("--simulated")
    urls = [running.ready["url"], running.ready["gateway_url"], running.ready["simulated_url"]]
    assert answers(urls[0])
    assert answers(urls[1])
    with urlopen(f"{urls[0]}/ui", timeout=5) as page:
        assert b"Airside" in page.read()
    assert running.end() == (0, "")
    assert not any(answers(url) for url in urls)
    assert not (running.home / "data" / "running.json").exists()


def test_what_dies_is_started_again_where_it_was(up: Callable[..., Up]) -> None:
    running = up("--simulated")
    for role in ("gateway", "worker", "control"):
        before = running.children()[role]
        os.kill(before, signal.SIGKILL)

        def is_back(role: str = role, before: int = before) -> bool:
            return running.children().get(role, before) != before

        until(is_back, f"{role} is started again")
    until(lambda: answers(running.ready["url"]) and answers(running.ready["gateway_url"]), "both serve as before")
    until(lambda: running.airside("agents", "list", "--json").code == 0, "the API answers")
    done = running.airside("run", "scripted", script({"say": "Still here."}), "--json")
    assert (done.code, done.last["text"]) == (0, "Still here."), running.told(done)
    assert running.end()[0] == 0


def test_a_hangup_replaces_the_gateway_without_a_refused_call(up: Callable[..., Up]) -> None:
    running = up("--simulated")
    before = running.children()["gateway"]
    running.process.send_signal(signal.SIGHUP)

    def is_replaced() -> bool:
        assert answers(running.ready["gateway_url"])
        return before not in running.children().values()

    until(is_replaced, "the old gateway has left")
    assert "gateway" in running.children()
    assert "process ended and is started again" not in (running.home / "up.log").read_text()
    assert answers(running.ready["gateway_url"])
    done = running.airside("run", "scripted", script({"say": "Still here."}), "--json")
    assert (done.code, done.last["text"]) == (0, "Still here."), running.told(done)
    assert running.end()[0] == 0


def test_a_session_is_there_after_everything_was_down(up: Callable[..., Up]) -> None:
    first = up("--simulated")
    session = first.airside("run", "scripted", script({"say": "One."}), "--json").last["session_id"]
    assert first.end()[0] == 0
    second = up("--simulated")
    sent = second.airside("sessions", "send", session, script({"say": "Two."}), "--json")
    assert (sent.code, sent.last["text"]) == (0, "Two.")
    assert second.airside("sessions", "show", session, "--json").json["log"]["intact"]


def test_events_are_followed_to_rest_as_json_too(up: Callable[..., Up]) -> None:
    running = up("--simulated")
    begun = running.airside("run", "scripted", script({"say": "One."}), "--json").last["session_id"]
    running.airside("sessions", "send", begun, script({"say": "Two.", "hold": "for ever"}), "--no-wait")
    until(lambda: running.airside("sessions", "show", begun, "--json").json["state"] == "running", "it works")
    following = running.begin("sessions", "events", begun, "--follow", "--json")
    assert following.stdout is not None
    lines = [following.stdout.readline()]  # it has begun
    running.airside("sessions", "stop", begun)
    lines += following.communicate(timeout=60)[0].splitlines()
    assert json.loads(lines[-1])["type"] == "session.status_terminated"


def test_a_run_whose_server_goes_away_says_how_to_find_it_again(up: Callable[..., Up]) -> None:
    running = up("--simulated")
    held = script({"say": "Two.", "hold": "for ever"})
    run = running.begin("run", "scripted", held, "--json")
    until(lambda: running.airside("sessions", "list", "--status", "running", "--json").json, "it works")
    (session,) = running.airside("sessions", "list", "--json").json
    running.stop()
    out, _ = run.communicate(timeout=120)
    error = json.loads(out)["error"]
    assert run.returncode == 1
    assert error["code"] == "no_server"
    assert session["id"] in error["message"]
    assert f"airside sessions events {session['id']} --follow" in error["hint"]


def test_a_broken_file_brings_nothing_up(home: Path) -> None:
    file = home / "airside.yaml"
    file.write_text("models:\n  coder: nowhere/gpt\n")
    arguments = (
        "up",
        "--json",
        "--data",
        str(home / "data"),
        "--file",
        str(file),
        "--port",
        "0",
        "--gateway-port",
        "0",
    )
    said = airside(home, *arguments)
    assert said.code == 2
    assert f"{file}:2" in said.json["error"]["message"]
    file.write_text("models: {}\n")
    assert Up(home, "--file", str(file), "--port", "0", "--gateway-port", "0").end()[0] == 0


def test_what_to_look_out_for_in_the_file_is_said_at_the_start(up: Callable[..., Up], home: Path) -> None:
    file = home / "airside.yaml"
    file.write_text("providers:\n  north: {protocol: anthropic, credential: env:NO_SUCH_KEY}\n")
    running = up("--file", str(file))
    assert running.ready["url"]
    assert "warning: provider 'north' takes its credential from NO_SUCH_KEY" in (home / "up.log").read_text()
    assert running.end()[0] == 0


def test_a_signing_key_that_is_none_is_named(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "session-key").write_text("garbage")
    said = airside(home, "up", "--json", "--data", str(home / "data"), "--port", "0", "--gateway-port", "0")
    assert said.code == 2, said.errors
    assert str(home / "data" / "session-key") in said.json["error"]["message"]


def _data_of_an_earlier_run(home: Path) -> Path:
    running = Up(home, "--port", "0", "--gateway-port", "0")
    assert running.end()[0] == 0
    return home / "data"


def test_a_data_directory_of_a_newer_version_is_left_alone(home: Path) -> None:
    data = _data_of_an_earlier_run(home)
    with closing(sqlite3.connect(data / "control.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (data / "control.db").read_bytes()
    said = airside(home, "up", "--json", "--data", str(data), "--port", "0", "--gateway-port", "0")
    assert said.code == 2
    assert said.json["error"]["code"] == "data_directory_newer"
    assert said.json["error"]["hint"]
    assert (data / "control.db").read_bytes() == before


@pytest.mark.parametrize("name", ["control.db", "engine.db"])
def test_a_damaged_database_is_named_and_left_alone(home: Path, name: str) -> None:
    data = _data_of_an_earlier_run(home)
    (data / name).write_bytes(b"this is no database" * 300)
    before = (data / name).read_bytes()
    said = airside(home, "up", "--json", "--data", str(data), "--port", "0", "--gateway-port", "0")
    assert said.code in {1, 2}
    error = said.json["error"]
    assert name in error["message"] + str(error["hint"])
    assert error["hint"]
    assert (data / name).read_bytes() == before


def test_without_its_queue_it_goes_on_from_the_sessions(up: Callable[..., Up]) -> None:
    first = up("--simulated")
    held = script({"say": "Two.", "hold": "for ever"})
    begun = first.airside("run", "scripted", script({"say": "Done."}), "--json").last["session_id"]
    first.airside("sessions", "send", begun, held, "--no-wait")
    until(lambda: first.airside("sessions", "show", begun, "--json").json["state"] == "running", "it works")
    os.kill(first.children()["worker"], signal.SIGKILL)
    assert first.end()[0] == 0
    for file in (first.home / "data").glob("engine.db*"):
        file.unlink()
    second = up("--simulated")

    def is_taken_up() -> bool:
        return '"session.resumed"' in second.airside("sessions", "events", begun, "--json").out

    until(is_taken_up, "it is taken up again")
    second.airside("sessions", "stop", begun)
    assert second.airside("sessions", "show", begun, "--json").json["log"]["intact"]


def test_a_place_that_cannot_be_written_is_named(home: Path) -> None:
    (home / "file").write_text("in the way")
    said = airside(home, "up", "--json", "--data", str(home / "file" / "data"))
    assert said.code == 1
    assert said.json["error"]["code"] == "data_directory_unusable"
