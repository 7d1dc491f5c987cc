"""What an agent may do is what it was granted, whatever its repository says."""

import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from harness_lab import ALL_ALLOWED, HARNESSES, Lab, calls, said, scripted
from hostile_repository import commit_opencode_files, run_git, write_hostile_home, write_hostile_repository

from airside.harnesses.contract import HarnessFailed, ToolResult, TurnEnd
from airside.sandboxes.contract import GatewayAddress, SandboxSpec, SandboxUnavailable
from airside.sandboxes.process import ProcessDriver
from airside.tools.grants import BuiltinTool, Permission

# What each tool is called by each harness, as models see it.
READ, EDIT, BASH, WEB = BuiltinTool.READ, BuiltinTool.EDIT, BuiltinTool.BASH, BuiltinTool.WEB
NAMES = {
    "claude-code": {READ: "Read", EDIT: "Write", BASH: "Bash", WEB: "WebFetch"},
    "codex": {READ: "view_image", BASH: "exec_command", WEB: "web_search"},
    "opencode": {READ: "read", EDIT: "write", BASH: "bash", WEB: "webfetch"},
    "scripted": {READ: "read", EDIT: "write", BASH: "bash"},
}


def offered(lab: Lab) -> set[str]:
    """The tools in the last request to the model."""
    tools = lab.models.requests()[-1].json.get("tools") or []
    return {tool.get("name") or tool.get("function", {}).get("name") or tool["type"] for tool in tools}


async def test_a_hostile_repository_changes_nothing(lab: Lab, harness: str) -> None:
    write_hostile_repository(lab.paths.workspace)
    talk = await lab.start(harness)
    steps = """
- calls:
    - bash: "(setsid python3 decoy.py >/dev/null 2>&1 &) ; until test -e decoy-listens; do sleep 0.01; done; env"
- calls:
    - bash: cat PLANTED.md >/dev/null; ls
- say: Nothing happened.
"""
    events = await talk.turn(scripted(steps))
    assert said(events) == ["Nothing happened."]
    await talk.turn(scripted("- say: A second turn."))
    await talk.running.close()
    assert [place.name for place in lab.paths.workspace.iterdir() if place.name.startswith("canary")] == []
    [environment, _] = [event.text for event in events if isinstance(event, ToolResult)]
    assert "CLAUDE_CANARY" not in environment
    assert "9321" not in environment
    # Two of them hand the token on to commands; it opens nothing but the gateway.
    assert ("air_session_token" in environment) == (harness in {"claude-code", "opencode"})
    everything = b"".join(request.body for request in lab.models.requests())
    assert b"PLANTED-" not in everything
    assert {request.key for request in lab.models.requests()} == {"air_session_token"}


@pytest.mark.harness
@pytest.mark.timeout(120)
async def test_git_works_on_beside_what_is_concealed(lab: Lab) -> None:
    workspace = lab.paths.workspace
    commit_opencode_files(workspace)
    (workspace / "opencode.jsonc").write_text("{}\n")  # of an earlier turn, and not committed
    (workspace / ".opencode" / "new.md").write_text("new\n")
    as_it_was = run_git(workspace, "status", "--porcelain", "--untracked-files=all")
    talk = await lab.start("opencode")
    steps = """
- calls:
    - bash: cat opencode.json .opencode/plugin/helpful.js; git status --porcelain
- calls:
    - bash: set -e; echo two >code.py; git add -A; git commit -qm second
- calls:
    - bash: set -e; echo three >code.py; git commit -qam third; git checkout -qb other
- calls:
    - bash: set -e; echo four >code.py; git stash -q; git stash pop -q; git commit -qam fourth; git rebase -q main
- calls:
    - bash: set -e; git reset -q --hard; git checkout -q main; git merge -q other
- say: Committed.
"""
    events = await talk.turn(scripted(steps))
    assert said(events) == ["Committed."]
    reading, *working = [result.text.strip() for _, result in calls(events)]
    assert [line.rpartition(": ")[2] for line in reading.splitlines()] == ["Permission denied"] * 2
    assert [text for text in working if text not in ("", "(no output)")] == []
    await talk.running.close()
    assert not list(workspace.glob("canary*"))
    history = run_git(workspace, "log", "--format=%s", "--name-only", "main~3..main").split()
    assert history == ["fourth", "code.py", "third", "code.py", "second", "code.py"]
    assert run_git(workspace, "status", "--porcelain", "--untracked-files=all") == as_it_was
    assert {line[0] for line in run_git(workspace, "ls-files", "-t").splitlines()} == {"H"}
    assert not (workspace / ".git" / "info").exists()


@pytest.mark.harness
@pytest.mark.timeout(120)
async def test_the_marks_of_a_turn_that_was_killed_are_taken_back(lab: Lab) -> None:
    workspace = lab.paths.workspace
    commit_opencode_files(workspace)
    (workspace / ".git" / "info").mkdir()
    (workspace / ".git" / "info" / "exclude").write_text("*.log\n")
    await lab.start("opencode")
    assert "S opencode.json" in run_git(workspace, "ls-files", "-t")
    (workspace / ".git" / "index.lock").touch()
    await lab.sandbox("opencode").stop_leftovers()
    second = await lab.start("opencode")
    (workspace / ".git" / "index.lock").touch()
    await second.running.close()
    assert "S opencode.json" not in run_git(workspace, "ls-files", "-t")
    assert (workspace / ".git" / "info" / "exclude").read_text() == "*.log\n"


@pytest.mark.harness
@pytest.mark.timeout(120)
@pytest.mark.parametrize("left", [(".opencode",), ("opencode.json",), ()])
async def test_opencode_is_not_started_where_its_traps_cannot_be_concealed(lab: Lab, left: tuple[str, ...]) -> None:
    workspace = lab.paths.workspace
    commit_opencode_files(workspace)
    for name in {".opencode", "opencode.json"} - set(left):
        run_git(workspace, "rm", "-rq", name)
    if left:
        with pytest.raises(SandboxUnavailable, match=f"{left[0]} in the workspace") as refused:
            await lab.start("opencode", "process")
        assert "`bubblewrap`" in (refused.value.hint or "")
    else:
        talk = await lab.start("opencode", "process")
        assert said(await talk.turn(scripted("- say: Harmless."))) == ["Harmless."]
    assert not list(workspace.glob("canary*"))
    assert "S " not in run_git(workspace, "ls-files", "-t")


async def test_the_projects_own_instructions_are_heard(lab: Lab, harness: str) -> None:
    if harness == "scripted":
        pytest.skip("our small agent reads no instruction files")
    write_hostile_repository(lab.paths.workspace)
    talk = await lab.start(harness)
    await talk.turn(scripted("- say: Heard."))
    # Codex is told to read the file; the others read it by themselves.
    words = b"holds a file AGENTS.md" if harness == "codex" else b"THE-PROJECTS-OWN-WORDS"
    assert words in lab.models.requests()[-1].body


async def test_settings_that_were_left_in_home_change_nothing(lab: Lab, harness: str) -> None:
    write_hostile_home(lab.paths.home)
    talk = await lab.start(harness)
    assert said(await talk.turn(scripted("- calls:\n    - bash: env\n- say: Nothing."))) == ["Nothing."]
    await talk.running.close()
    assert [place.name for place in lab.paths.workspace.iterdir()] == []
    everything = b"".join(request.body for request in lab.models.requests())
    assert b"PLANTED-" not in everything
    assert {request.key for request in lab.models.requests()} == {"air_session_token"}


async def test_a_tool_that_is_denied_is_not_there(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness, builtin={**ALL_ALLOWED, BASH: Permission.DENY})
    name = NAMES[harness][BASH]
    # The model calls it all the same, by the name and the arguments it knows.
    given = "{cmd: touch canary}" if harness == "codex" else "{command: touch canary}"
    steps = f"- calls:\n    - tool: {{name: {name}, input: {given}, even_if_not_offered: true}}\n- say: Well."
    events = await talk.turn(scripted(steps))
    assert {NAMES[harness][tool] for tool in (READ, EDIT) if tool in NAMES[harness]} <= offered(lab)
    assert not {name, NAMES[harness].get(WEB)} & offered(lab)
    assert events[-1].reason is TurnEnd.END_TURN
    assert not (lab.paths.workspace / "canary").exists()


async def test_reading_that_is_denied_is_not_offered(lab: Lab, harness: str) -> None:
    talk = await lab.start(harness, builtin={**ALL_ALLOWED, READ: Permission.DENY})
    await talk.turn(scripted("- say: Well."))
    assert NAMES[harness][BASH] in offered(lab)
    assert NAMES[harness][READ] not in offered(lab)


@pytest.mark.harness
@pytest.mark.timeout(120)
async def test_a_codex_that_does_not_know_what_it_is_governed_by_is_not_started(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airside.harnesses.codex.settings._OFF", ("of_tomorrow", "hooks"))
    with pytest.raises(HarnessFailed, match=r"does not know .*: features\.of_tomorrow\n") as refused:
        await lab.start("codex")
    assert "airside harness install codex" in str(refused.value.hint)
    assert not lab.processes()


def test_a_tool_is_granted_only_by_a_cell_that_allows_it(lab: Lab) -> None:
    cells = {READ: Permission.ALLOW, EDIT: Permission.ASK, BASH: Permission.DENY}
    spec = lab.spec("scripted", builtin=cells)
    assert [tool for tool in BuiltinTool if spec.may_use(tool)] == [READ]


async def test_editing_that_is_denied_leaves_the_files_alone(lab: Lab, harness: str) -> None:
    (lab.paths.workspace / "kept").write_text("as it was\n")
    talk = await lab.start(harness, builtin={**ALL_ALLOWED, BuiltinTool.EDIT: Permission.DENY})
    events = await talk.turn(
        scripted(
            "- calls:\n    - bash: cat kept\n"
            "- calls:\n    - edit: {path: kept, old: as it was, new: changed}\n- say: Tried."
        )
    )
    assert (lab.paths.workspace / "kept").read_text() == "as it was\n"
    assert events[-1].reason is TurnEnd.END_TURN
    reading, *changing = calls(events)
    assert "as it was" in reading[1].text
    assert all(result.is_error for _, result in changing)


@pytest.mark.harness
async def test_codex_refuses_a_home_under_tmp_and_says_what_to_do(lab: Lab) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as home:
        paths = replace(lab.paths, home=Path(home))
        spec = SandboxSpec(lab.session_id, paths, GatewayAddress(lab.models.url))
        with pytest.raises(HarnessFailed, match="HOME under /tmp") as refused:
            await HARNESSES["codex"].start(lab.spec("codex"), ProcessDriver().build(spec))
    assert refused.value.hint == "choose a data directory elsewhere, or the sandbox `bubblewrap`"
