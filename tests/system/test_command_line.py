"""The command line against one running `airside up --simulated`: what people read, what scripts parse, how it ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from airside_command import Said, Up, airside
from airside_system import make_repository, script
from places import place_outside_tmp

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("command-line")]

RESULT_KEYS = {
    "session_id", "status", "stop_reason", "text", "model_calls", "tool_calls", "cost_usd", "usage", "duration_ms",
    "patch",
}  # fmt: skip
ANY_PORTS = ("--port", "0", "--gateway-port", "0", "--simulated-port", "0")


@pytest.fixture(scope="module")
def server() -> Iterator[Up]:
    with place_outside_tmp() as home:
        running = Up(home, "--simulated", *ANY_PORTS)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def result(server: Up) -> Said:
    repository = make_repository(server.home / "repository", {"a.txt": "one\n"})
    steps = script({"calls": [{"edit": {"path": "a.txt", "old": "one", "new": "two"}}]}, {"say": "Changed."})
    return server.airside("run", "scripted", steps, "--repository", str(repository), "--json")


def test_the_first_line_says_where_everything_is(server: Up) -> None:
    assert set(server.ready) == {"url", "gateway_url", "token", "data", "simulated_url"}
    assert server.ready["data"] == str(server.home / "data")
    status = server.airside("agents", "list", "--json")
    assert status.code == 0, status.errors


def test_each_process_shows_its_role(server: Up) -> None:
    assert set(server.children()) == {"control", "worker", "gateway", "simulated"}


def test_run_ends_with_one_line_that_says_it_all(result: Said) -> None:
    assert result.code == 0, result.errors
    assert set(result.last) == RESULT_KEYS
    assert (result.last["status"], result.last["stop_reason"], result.last["text"]) == ("idle", "end_turn", "Changed.")
    assert (result.last["model_calls"], result.last["tool_calls"]) == (2, 1)
    assert float(result.last["cost_usd"]) > 0
    assert "-one\n+two\n" in result.last["patch"]


def test_the_calls_of_a_run_are_listed_shown_and_followed(server: Up, result: Said) -> None:
    session = str(result.last["session_id"])
    calls = json.loads(server.airside("calls", "list", "--session", session, "--json").out)
    assert [call["outcome"] for call in calls] == ["completed", "completed"]
    shown = server.airside("calls", "show", calls[0]["id"])
    assert shown.code == 0
    assert calls[0]["provider_model"] in shown.out
    told = server.airside("calls", "show", calls[0]["id"], "--json").last
    assert told["cost_usd"] == calls[0]["cost_nanousd"] / 1e9
    followed = server.airside("calls", "tail", "--session", session, "--after", "0", "--count", "2", "--json")
    assert [json.loads(line)["id"] for line in followed.out.splitlines()] == [calls[1]["id"], calls[0]["id"]]
    assert server.airside("calls", "show", "call_none").code == 1


def test_lists_are_narrowed_down_by_an_agent_s_name(server: Up, result: Said) -> None:
    session = result.last["session_id"]
    listed = json.loads(server.airside("sessions", "list", "--agent", "scripted", "--json").out)
    assert session in [one["id"] for one in listed]
    by_id = json.loads(server.airside("sessions", "list", "--agent", listed[0]["agent"]["id"], "--json").out)
    assert [one["id"] for one in by_id] == [one["id"] for one in listed]
    assert server.airside("sessions", "list", "--agent", "agent_none").out.strip() == "No such sessions."
    assert "there is no agent 'nobody'" in server.airside("sessions", "list", "--agent", "nobody").errors
    assert server.airside("calls", "list", "--agent", "nobody").out.strip() == "No such model calls."


def test_run_shows_people_the_transcript(server: Up) -> None:
    said = server.airside("run", "scripted", script({"say": "Hello there."}))
    assert said.code == 0
    assert "Hello there." in said.out
    assert "model call" in said.out


def test_a_run_that_fails_ends_with_1(server: Up) -> None:
    said = server.airside("run", "scripted", "x", "--repository", "http://127.0.0.1:1/none.git", "--json")
    assert said.code == 1
    assert set(said.last) == RESULT_KEYS
    assert said.last["stop_reason"] == "retries_exhausted"
    assert said.errors.startswith("error: git clone failed: ")
    assert "http://127.0.0.1:1/none.git" in said.errors
    assert "\n  hint: Check the address" in said.errors
    again = server.airside("sessions", "send", said.last["session_id"], "Try again.", "--json")
    assert (again.code, again.last["stop_reason"]) == (1, "retries_exhausted")
    assert again.errors.startswith("error: git clone failed: ")


def test_a_run_that_reaches_its_budget_says_what_next(server: Up) -> None:
    arguments = ("run", "scripted", "Spend.", "--budget-usd", "0.01")
    said = server.airside(*arguments)
    assert said.code == 1
    assert "budget_reached" in said.out
    session = said.out.split(": budget_reached after", maxsplit=1)[0].split()[-1]
    for next_step in ("airside budgets list", f"airside sessions resume {session} --wait"):
        assert next_step in said.out
    as_json = server.airside(*arguments, "--json")
    assert (set(as_json.last), as_json.last["stop_reason"]) == (RESULT_KEYS, "budget_reached")
    assert f"airside sessions resume {as_json.last['session_id']} --wait" in as_json.errors


@pytest.mark.parametrize(
    ("amount", "complaint"),
    [
        ("-1", "'-1' is less than nothing"),
        ("0.001", "'0.001' is no amount in whole cents"),
        ("much", "'much' is no amount"),
    ],
)
def test_a_cap_that_is_no_amount_is_bad_usage(tmp_path: Path, amount: str, complaint: str) -> None:
    said = airside(tmp_path, "run", "scripted", "Spend.", "--budget-usd", amount, "--json")
    assert said.code == 2
    assert said.json["error"]["message"].startswith(complaint)
    assert "--budget-usd 2.50" in said.json["error"]["hint"]


def test_a_session_counts_against_its_user_and_team(server: Up) -> None:
    for scope in ("user:spent", "team:spent"):
        assert server.airside("budgets", "set", scope, "0.000001").code == 0
    for option in ("--user", "--team"):
        stopped = server.airside("run", "scripted", script({"say": "x"}), option, "spent", "--json")
        assert (stopped.code, stopped.last["stop_reason"]) == (1, "budget_reached")
        free = server.airside("run", "scripted", script({"say": "x"}), option, "rich", "--json")
        assert (free.code, free.last["text"]) == (0, "x"), free.out + free.errors
        shown = server.airside("sessions", "show", str(free.last["session_id"]), "--json").json
        assert shown[option.removeprefix("--")] == "rich"
        assert f"{option.removeprefix('--')}      rich" in server.airside("sessions", "show", shown["id"]).out
    refused = server.airside("run", "scripted", "x", "--user", "a b", "--json")
    assert refused.code == 2
    assert refused.json["error"]["message"].startswith("user: a name has 1 to 100 characters and no blank")
    for scope in ("user:spent", "team:spent"):
        assert server.airside("budgets", "remove", scope).code == 0


def test_a_repository_that_is_not_there_is_bad_usage(server: Up) -> None:
    said = server.airside("run", "scripted", "x", "--repository", str(server.home / "nowhere"))
    assert said.code == 2
    assert str(server.home / "nowhere") in said.errors


def test_a_folder_that_is_no_repository_is_bad_usage(server: Up, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    said = server.airside("run", "scripted", "x", "--repository", str(tmp_path / "plain"), "--json")
    assert (said.code, said.json["error"]["message"]) == (2, f"{tmp_path / 'plain'} is no git repository")
    assert "git init" in said.json["error"]["hint"]
    repository = make_repository(tmp_path / "repository", {"a/b.txt": "one\n"})
    within = server.airside("run", "scripted", "x", "--repository", str(repository / "a"), "--json")
    assert (within.code, within.json["error"]["hint"].startswith(f"Its repository is {repository}.")) == (2, True)
    subprocess.run(["git", "clone", "-q", "--bare", repository, tmp_path / "bare"], check=True)
    bare = server.airside("run", "scripted", script({"say": "x"}), "--repository", str(tmp_path / "bare"), "--json")
    assert bare.code == 0, bare.out + bare.errors


@pytest.mark.parametrize("prompt", ["", " \n\t"])
def test_a_prompt_that_says_nothing_is_bad_usage(server: Up, result: Said, prompt: str) -> None:
    for command in (("run", "scripted"), ("sessions", "send", str(result.last["session_id"]))):
        said = server.airside(*command, prompt, "--json")
        assert said.code == 2, said.out + said.errors
        assert said.json["error"]["message"] == "the prompt is empty"
        assert said.json["error"]["hint"]


def test_sessions_are_listed_and_shown(server: Up, result: Said) -> None:
    session = result.last["session_id"]
    listed = server.airside("sessions", "list", "--json")
    assert session in [one["id"] for one in listed.json]
    assert session in server.airside("sessions", "list").out
    shown = server.airside("sessions", "show", session, "--json").json
    assert shown["log"]["intact"]
    for word in (session, "scripted", "$"):
        assert word in server.airside("sessions", "show", session).out
    events = [json.loads(line) for line in server.airside("sessions", "events", session, "--json").out.splitlines()]
    assert [event["sequence"] for event in events] == list(range(1, len(events) + 1))
    assert "Changed." in server.airside("sessions", "events", session).out


def test_a_session_takes_more_and_is_paused_resumed_and_stopped(server: Up) -> None:
    begun = server.airside("run", "scripted", script({"say": "One."}), "--json").last["session_id"]
    sent = server.airside("sessions", "send", begun, script({"say": "Two."}), "--json")
    assert (sent.code, sent.last["text"]) == (0, "Two.")
    paused = server.airside("sessions", "pause", begun, "--json")
    assert (paused.code, paused.json["state"]) == (0, "interrupted")
    waiting = server.airside("sessions", "send", begun, script({"say": "Three."}), "--json")
    assert waiting.code == 0
    resumed = server.airside("sessions", "resume", begun, "--wait", "--json")
    assert (resumed.code, resumed.last["text"]) == (0, "Three.")
    stopped = server.airside("sessions", "stop", begun, "--json")
    assert (stopped.code, stopped.json["state"]) == (0, "cancelled")
    refused = server.airside("sessions", "send", begun, "more")
    assert refused.code == 1
    assert "cancelled" in refused.errors


def test_agents_are_listed_and_shown(server: Up) -> None:
    names = {agent["name"] for agent in server.airside("agents", "list", "--json").json}
    assert names >= {"scripted", "codex", "claude-code", "opencode"}
    assert server.airside("agents", "show", "codex", "--json").json["harness"] == "codex"
    assert "codex" in server.airside("agents", "show", "codex").out


def test_keys_are_made_shown_once_and_revoked(server: Up) -> None:
    made = server.airside("keys", "create", "--agent", "scripted", "--json").json
    assert made["key"].startswith("air_")
    listed = server.airside("keys", "list", "--json")
    assert made["id"] in listed.out
    assert made["key"] not in listed.out
    assert server.airside("keys", "revoke", made["id"]).code == 0
    again = {key["id"]: key for key in server.airside("keys", "list", "--json").json}
    assert again[made["id"]]["revoked_at"]


@pytest.mark.parametrize("by", ["agent", "session", "model", "provider"])
def test_usage_is_told_by(server: Up, result: Said, by: str) -> None:
    rows = server.airside("usage", "--by", by, "--json").json
    assert sum(row["model_calls"] for row in rows) >= result.last["model_calls"]
    assert server.airside("usage", "--by", by).code == 0


@pytest.mark.parametrize("command", [("usage",), ("calls", "list")])
def test_what_was_used_is_told_of_a_time(server: Up, result: Said, command: tuple[str, ...]) -> None:
    assert result.last["model_calls"]
    assert server.airside(*command, "--since", "1h", "--json").json
    assert server.airside(*command, "--since", "2h", "--until", "1h", "--json").json == []
    said = server.airside(*command, "--until", "yesterday")
    assert (said.code, "yet" in said.out, said.out.count("\n")) == (0, False, 1)


def test_what_is_exported_can_be_planned_without_a_change(server: Up) -> None:
    exported = server.airside("export")
    assert exported.code == 0
    assert set(yaml.safe_load(exported.out)) >= {"providers", "models", "agents", "environments"}
    file = server.home / "exported.yaml"
    file.write_text(exported.out)
    assert server.airside("plan", str(file), "--json").json["changes"] == []
    file.write_text(exported.out.replace("Repairs code with codex", "Mends code with codex"))
    planned = server.airside("plan", str(file), "--json").json["changes"]
    assert [(change["kind"], change["name"]) for change in planned] == [("agent", "codex")]
    applied = server.airside("apply", str(file))
    assert applied.code == 0
    assert "codex" in applied.out
    assert server.airside("plan", str(file), "--json").json["changes"] == []


def test_a_mistake_in_the_file_is_named_with_its_line(server: Up) -> None:
    file = server.home / "broken.yaml"
    file.write_text("agents:\n  fixer:\n    harness: clod-code\n    model: coder\n")
    said = server.airside("apply", str(file))
    assert said.code == 2
    assert "broken.yaml:3" in said.errors
    assert "claude-code" in said.errors
    file.write_text("agents:\n  fixer: {harness: codex\n")
    said = server.airside("plan", str(file))
    assert said.code == 2
    assert "broken.yaml:" in said.errors
    assert "\n  hint: Close the { of line 2 with }" in said.errors
    error = server.airside("plan", str(file), "--json").json["error"]
    assert "hint" not in error["message"]
    assert error["hint"].startswith("Close the { of line 2 with }")


def test_what_is_not_there_is_named_with_the_next_step(server: Up) -> None:
    for arguments, words in (
        (("run", "nobody", "x"), ("nobody", "hint")),
        (("agents", "show", "nobody"), ("nobody",)),
        (("sessions", "show", "sesn_nothing"), ("sesn_nothing",)),
        (("keys", "create", "--agent", "nobody"), ("nobody", "hint: Define it in a file")),
        (("keys", "revoke", "key_nothing"), ("key_nothing",)),
    ):
        said = server.airside(*arguments)
        assert said.code in {1, 2}, arguments
        for word in words:
            assert word in said.errors, (arguments, said.errors)
        as_json = server.airside(*arguments, "--json")
        assert as_json.json["error"]["message"], arguments


def test_a_remote_server_is_found_by_address_and_token(server: Up, tmp_path: Path) -> None:
    there = {"AIRSIDE_URL": str(server.ready["url"]), "AIRSIDE_TOKEN": str(server.ready["token"])}
    assert airside(tmp_path, "agents", "list", "--json", variables=there).code == 0
    wrong = airside(tmp_path, "agents", "list", variables=there | {"AIRSIDE_TOKEN": "wrong"})
    assert wrong.code == 1
    assert "hint: The admin token is in the file `admin-token`" in wrong.errors
    tokenless = airside(tmp_path, "agents", "list", variables={"AIRSIDE_URL": str(server.ready["url"])})
    assert tokenless.code == 2
    assert "AIRSIDE_TOKEN" in tokenless.errors


def test_the_nearest_word_about_the_server_counts(server: Up, tmp_path: Path) -> None:
    there = {"AIRSIDE_URL": str(server.ready["url"]), "AIRSIDE_TOKEN": str(server.ready["token"])}
    nothing, data = str(tmp_path / "nothing"), str(server.home / "data")
    listing = ("agents", "list", "--json")
    assert airside(tmp_path, *listing, variables={"AIRSIDE_DATA": data}).code == 0
    assert airside(tmp_path, *listing, variables=there | {"AIRSIDE_DATA": nothing}).code == 0
    assert airside(tmp_path, *listing, "--data", nothing, variables=there | {"AIRSIDE_DATA": data}).code == 1
    assert airside(tmp_path, *listing, variables={"AIRSIDE_URL": "", "AIRSIDE_DATA": data}).code == 0


@pytest.mark.parametrize("address", ["garbage", "127.0.0.1:7700", "http://", "http://host:port", "ftp://host"])
def test_an_address_that_is_none_is_bad_usage(tmp_path: Path, address: str) -> None:
    said = airside(tmp_path, "agents", "list", "--json", variables={"AIRSIDE_URL": address, "AIRSIDE_TOKEN": "x"})
    assert said.code == 2
    assert said.json["error"]["message"] == f"AIRSIDE_URL is {address!r}, which is no URL"
    assert "http://HOST:PORT" in said.json["error"]["hint"]


def test_without_a_server_the_next_step_is_named(tmp_path: Path) -> None:
    said = airside(tmp_path, "sessions", "list")
    assert said.code == 1
    assert "airside up" in said.errors
    for address in ("http://127.0.0.1:1", "not an address"):
        away = airside(tmp_path, "sessions", "list", variables={"AIRSIDE_URL": address, "AIRSIDE_TOKEN": "x"})
        assert away.code in {1, 2}
        assert "Traceback" not in away.errors
        assert address in away.errors


def test_bad_usage_ends_with_2(tmp_path: Path) -> None:
    for arguments in (
        ("fly",),
        ("sessions", "list", "--no-such-flag"),
        ("usage", "--by", "moon"),
        ("calls", "list", "--outcome", "moon"),
        ("run", "only-agent"),
    ):
        said = airside(tmp_path, *arguments)
        assert said.code == 2, arguments
        assert "Traceback" not in said.errors
        in_json = airside(tmp_path, *arguments, "--json")
        error = in_json.json["error"]
        assert (in_json.code, error["code"], error["bad_input"]) == (2, "bad_usage", True)
        assert "--help" in error["hint"]


@pytest.mark.parametrize("address", ["xyz", "127.0.0.1:7710", "http://"])
def test_a_worker_is_not_ready_without_the_address_of_a_gateway(tmp_path: Path, address: str) -> None:
    data = tmp_path / "data"
    said = airside(tmp_path, "worker", "--json", "--data", str(data), "--gateway-url", address)
    assert said.code == 2, said.errors
    assert said.json["error"]["message"] == f"--gateway-url {address!r} is no URL"
    assert "http://HOST:PORT" in said.json["error"]["hint"]
    assert not data.exists()


def test_a_second_up_on_the_same_data_is_refused(server: Up) -> None:
    said = airside(server.home, "up", "--json", "--data", str(server.home / "data"), *ANY_PORTS)
    assert said.code == 1
    assert said.json["error"]["code"] == "already_up"


def test_a_second_control_plane_on_the_same_data_is_refused_and_changes_nothing(server: Up) -> None:
    said = airside(server.home, "control", "--json", "--data", str(server.home / "data"), "--port", "0")
    assert said.code == 1
    error = said.json["error"]
    assert error["code"] == "already_up"
    assert f"(process {server.children()['control']}) runs on {server.home / 'data'}" in error["message"]
    assert "--data" in error["hint"]
    assert server.airside("agents", "list", "--json").code == 0


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ("--port", "control plane"),
        ("--gateway-port", "gateway"),
        ("--simulated-port", "server of the simulated models"),
    ],
)
def test_a_port_that_is_taken_is_named_and_nothing_is_left_running(
    server: Up, tmp_path: Path, option: str, part: str
) -> None:
    taken = str(server.ready["url"]).rsplit(":", 1)[1]
    ports = {"--port": "0", "--gateway-port": "0", "--simulated-port": "0", option: taken}
    words = [word for pair in ports.items() for word in pair]
    said = airside(tmp_path, "up", "--simulated", "--json", "--data", str(tmp_path / "data"), *words)
    assert said.code == 1
    error = said.json["error"]
    assert error["code"] == "port_taken"
    assert error["message"].startswith(f"the {part} cannot be started: port {taken} ")
    assert "--listen" not in str(error)
    assert f"{option} N" in error["hint"]
    assert not _running_on(tmp_path)


def _running_on(place: Path) -> list[str]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "cmdline").read_bytes().decode().replace("\0", " ")
            except OSError:
                continue
            if str(place / "data") in line:
                found.append(line)
    return found


def test_routes_are_explained_by_the_gateway_without_a_call(server: Up) -> None:
    listed = server.airside("routes", "list", "--json")
    assert listed.code == 0, listed.errors
    model = json.loads(listed.out)[0]["model"]
    before = server.airside("usage", "--json").out
    told = server.airside("routes", "explain", model, "--input-tokens", "500", "--header", "x-team:red", "--json").last
    assert (told["source"], told["step"], told["input_tokens"]) == ("gateway", 0, 500)
    assert told["candidates"][0]["expected_nanousd"] > 0
    shown = server.airside("routes", "explain", model)
    assert "step 1: every call -> this one, ordered" in shown.out
    assert model in server.airside("routes", "list").out
    assert "every call" in server.airside("routes", "show", model).out
    assert server.airside("usage", "--json").out == before
    assert server.airside("routes", "explain", "nobody").code == 2
    assert server.airside("routes", "explain", model, "--header", "nonsense").code == 2


def test_budgets_are_set_changed_shown_and_lifted(server: Up) -> None:
    budget = ("user:nobody", "--window", "day")
    set_to = server.airside("budgets", "set", budget[0], "5", *budget[1:], "--warn-at", "80%", "--json")
    assert set_to.code == 0, set_to.out + set_to.errors
    assert (set_to.last["scope"], set_to.last["limit_nanousd"]) == (budget[0], 5_000_000_000)
    assert "may spend $7.50 per day" in server.airside("budgets", "set", budget[0], "7.5", *budget[1:]).out
    (listed,) = [one for one in server.airside("budgets", "list", "--json").json if one["scope"] == budget[0]]
    assert (listed["id"], listed["limit_nanousd"]) == (set_to.last["id"], 7_500_000_000)
    assert "$7.50 per day" in server.airside("budgets", "show", *budget).out
    assert server.airside("budgets", "remove", *budget).code == 0
    gone = server.airside("budgets", "show", *budget, "--json")
    assert (gone.code, gone.json["error"]["code"]) == (1, "not_found")
    assert "airside budgets list" in gone.json["error"]["hint"]


@pytest.mark.parametrize(
    ("arguments", "next_step"),
    [
        (("agent:nobody", "5"), "define it under `agents:` in a file"),
        (("agent:scripted", "much"), "Write airside budgets set agent:scripted 2.50"),
        (("agent:scripted", "nan"), "Write airside budgets set agent:scripted 2.50"),
    ],
)
def test_a_budget_that_is_refused_comes_with_the_next_step(
    server: Up, arguments: tuple[str, ...], next_step: str
) -> None:
    assert next_step in server.airside("budgets", "set", *arguments, "--json").json["error"]["hint"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nothing:x", "5"), "'nothing:x' is no scope"),
        (("agent:nobody", "5"), "there is no agent 'nobody'"),
        (("agent:scripted", "much"), "'much' is no amount in dollars"),
        (("agent:scripted", "5", "--window", "fortnight"), "window: Input should be 'minute'"),
        (("agent:scripted", "5", "--timezone", "Mars/Phobos"), "Mars"),
        (("agent:scripted", "5", "--on-limit", "downgrade"), "downgrade_to"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_with_what_is_wrong(
    server: Up, arguments: tuple[str, ...], named: str
) -> None:
    said = server.airside("budgets", "set", *arguments, "--json")
    assert said.code == 2, said.out
    assert named in said.json["error"]["message"]
