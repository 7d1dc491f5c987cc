"""A session from its first prompt to its patch, on every harness."""

from __future__ import annotations

import json
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import anthropic
import pytest
from airside_system import System, kinds, make_repository, script

pytestmark = pytest.mark.timeout(120)

FILES = {"calc.py": "def add(a, b):\n    return a - b\n", "docs/note.txt": "keep\n"}
MEND = script(
    {"say": "I look at it.", "calls": [{"read": "calc.py"}]},
    {"calls": [{"edit": {"path": "calc.py", "old": "    return a - b", "new": "    return a + b  # mended"}}]},
    {"calls": [{"bash": "git status --short && python3 -c 'import calc; print(calc.add(2, 3))'"}]},
    {"calls": [{"write": {"path": "new/file.txt", "content": "made\n"}}]},
    {"say": "Mended."},
)


async def test_an_agent_changes_a_repository_and_leaves_a_patch(system: System, harness: str) -> None:
    repository = make_repository(system.place / "repository", FILES)
    session = await system.begin(harness, MEND, repository)
    found = await system.at_rest(session)
    assert (found["status"], found["stop_reason"]) == ("idle", {"type": "end_turn"})
    assert (await system.said(session))[-1] == "Mended."
    events = await system.events(session)
    assert kinds(events)[:2] == ["user.message", "session.status_running"]
    assert kinds(events)[-1] == "session.status_idle"
    uses = [event["id"] for event in events if event["type"] == "agent.tool_use"]
    results = [event for event in events if event["type"] == "agent.tool_result"]
    assert len(uses) == 4
    assert [event["tool_use_id"] for event in results] == uses
    assert not any(event["is_error"] for event in results)
    assert (repository / "calc.py").read_text() == FILES["calc.py"]
    artifacts = (await system.get(f"/v1/sessions/{session}/artifacts"))["data"]
    made = [event["artifact_sha256"] for event in events if event["type"] == "session.artifact_created"]
    assert made == [artifact["sha256"] for artifact in artifacts]
    patch = await patch_of(system, session)
    assert "+    return a + b  # mended" in patch
    assert "new/file.txt" in patch
    await system.is_intact(session)


@pytest.mark.harness
@pytest.mark.timeout(180)
async def test_what_opencode_may_not_see_disturbs_neither_patch_nor_snapshot(system: System, installed: None) -> None:
    traps = {"opencode.json": "{}\n", ".opencode/agent/helper.md": "Help.\n"}
    repository = make_repository(system.place / "repository", {**FILES, **traps})
    first = script({"calls": [{"write": {"path": "opencode.jsonc", "content": "{}\n"}}]}, {"say": "Written."})
    session = await system.begin("opencode", first, repository)
    await system.at_rest(session)
    steps = [
        "git add -A && git commit -qm Nothing --allow-empty",
        "cat opencode.jsonc; echo more >more.txt; git add -A",
    ]
    await system.send(session, script(*({"calls": [{"bash": step}]} for step in steps), {"say": "Committed."}))
    await system.at_rest(session)
    assert (await system.said(session))[-1] == "Committed."
    results = [event for event in await system.events(session) if event["type"] == "agent.tool_result"]
    assert "Permission denied" in results[-1]["content"][0]["text"]
    changed = [line for line in (await patch_of(system, session)).splitlines() if line.startswith("diff ")]
    assert changed == ["diff --git a/more.txt b/more.txt", "diff --git a/opencode.jsonc b/opencode.jsonc"]
    unpacked = system.place / "unpacked"
    with tarfile.open(fileobj=BytesIO(await newest_of(system, session, "workspace"))) as archive:
        archive.extractall(unpacked, filter="data")
    assert all((unpacked / name).read_text() for name in ("opencode.jsonc", *traps))
    assert not (unpacked / ".git" / "info").exists()
    assert marks_of_index(unpacked) == {"H"}


def marks_of_index(repository: Path) -> set[str]:
    """What `git ls-files -t` tags files with: H what is tracked as usual, S what git was told to leave alone."""
    listed = subprocess.run(["git", "ls-files", "-t"], cwd=repository, check=True, capture_output=True, text=True)
    return {line[0] for line in listed.stdout.splitlines()}


async def patch_of(system: System, session: str) -> str:
    artifacts = (await system.get(f"/v1/sessions/{session}/artifacts"))["data"]
    assert {artifact["kind"] for artifact in artifacts} == {"patch", "workspace", "harness_files"}
    return (await newest_of(system, session, "patch")).decode()


async def newest_of(system: System, session: str, kind: str) -> bytes:
    artifacts = (await system.get(f"/v1/sessions/{session}/artifacts"))["data"]
    newest = [artifact for artifact in artifacts if artifact["kind"] == kind][-1]
    path = f"/v1/sessions/{session}/artifacts/{newest['id']}/content"
    answer = await system._http.get(
        f"{system.url}{path}", headers={"authorization": f"Bearer {system.data.admin_token()}"}
    )
    return answer.content


async def test_what_it_used_is_what_the_providers_counted(system: System, harness: str) -> None:
    session = await system.begin(harness, MEND)
    await system.at_rest(session)
    calls = await system.journal_is_complete(session)
    usage = (await system.session(session))["usage"]
    assert usage["model_calls"] == len(calls) == 5
    assert usage["cost_nanousd"] == sum(call["cost_nanousd"] for call in calls) > 0
    assert usage["output_tokens"] == sum(call["model_usage"]["output_tokens"] for call in calls) > 0
    rows = (await system.get("/v1/usage", by="session"))["data"]
    assert [(row["key"], row["cost_nanousd"]) for row in rows] == [(session, usage["cost_nanousd"])]


async def test_a_second_turn_remembers_the_first(system: System, harness: str) -> None:
    session = await system.begin(harness, script({"say": "The word is marmalade."}, said="FIRST-PROMPT"))
    await system.at_rest(session)
    await system.send(session, script({"say": "It was marmalade."}, said="SECOND-PROMPT"))
    await system.at_rest(session)
    assert (await system.said(session)) == ["The word is marmalade.", "It was marmalade."]
    conversation = system.last_conversation()
    assert conversation.count("FIRST-PROMPT") == conversation.count("SECOND-PROMPT") == 1
    assert "The word is marmalade." in conversation
    resumed = [event for event in await system.events(session) if event["type"] == "session.resumed"]
    assert [event["tier"] for event in resumed] == ["native"]


async def test_the_official_sdk_follows_a_session_to_idle(system: System) -> None:
    async with anthropic.AsyncAnthropic(base_url=system.url, api_key=system.data.admin_token()) as sdk:
        agent = await sdk.beta.agents.create(name="sdk", model="coder", extra_body={"harness": "scripted"})
        environment = await sdk.beta.environments.create(name="box", config={"type": "cloud"})
        session = await sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        text = script({"calls": [{"bash": "echo hello"}]}, {"say": "Done."})
        await sdk.beta.sessions.events.send(
            session.id, events=[{"type": "user.message", "content": [{"type": "text", "text": text}]}]
        )
        streamed = []
        async with await sdk.beta.sessions.events.stream(session.id) as stream:
            async for event in stream:
                streamed.append(event)
                if event.type == "session.status_idle":
                    break
        assert streamed[-1].stop_reason.type == "end_turn"
        assert [event.content[0].text for event in streamed if event.type == "agent.message"] == ["Done."]
        listed = [event async for event in sdk.beta.sessions.events.list(session.id)]
        assert [event.id for event in listed] == [event.id for event in streamed]
        final = await sdk.beta.sessions.retrieve(session.id)
        assert final.usage.output_tokens > 0
        assert final.usage.list_cost is not None


async def test_messages_sent_while_it_works_are_taken_in_order(system: System) -> None:
    session = await system.begin("scripted", script({"say": "one", "hold": "first"}))
    await system.models.wait_until_held("first", deadline_s=30)
    await system.send(session, script({"say": "two"}))
    await system.send(session, script({"say": "three"}))
    system.models.release("first")
    await system.at_rest(session)
    assert await system.said(session) == ["one", "two", "three"]
    assert kinds(await system.events(session)).count("session.status_idle") == 1


async def test_a_repository_that_is_not_there_fails_the_turn_and_says_why(system: System) -> None:
    session = await system.begin("scripted", script({"say": "x"}), system.place / "nowhere")
    found = await system.at_rest(session)
    assert (found["state"], found["stop_reason"]["type"]) == ("idle", "retries_exhausted")
    (error,) = [event for event in await system.events(session) if event["type"] == "session.error"]
    assert "does not exist" in error["error"]["message"]
    assert error["error"]["retry_status"]["type"] == "exhausted"
    assert system.models.requests() == []


async def test_a_model_that_keeps_failing_ends_the_turn_and_the_next_one_works(system: System) -> None:
    system.models.fault("sim", status=400, message="no such thing")
    session = await system.begin("scripted", script({"say": "x"}))
    found = await system.at_rest(session)
    assert found["stop_reason"]["type"] == "retries_exhausted"
    assert any(event["type"] == "session.error" for event in await system.events(session))
    system.models.clear_faults("sim")
    await system.send(session, script({"say": "Better now."}))
    assert (await system.at_rest(session))["stop_reason"]["type"] == "end_turn"
    assert (await system.said(session))[-1] == "Better now."


async def test_a_token_that_a_command_prints_is_not_in_the_log(system: System, harness: str) -> None:
    look = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -ao 'airs_.*' | head -n 3; echo looked"
    session = await system.begin(harness, script({"calls": [{"bash": look}]}, {"say": "Looked."}))
    await system.at_rest(session)
    (result,) = [event for event in await system.events(session) if event["type"] == "agent.tool_result"]
    text = json.dumps(result["content"])
    assert "looked" in text
    assert "[redacted: Airside credential]" in text, "there is a token to be found"
    assert "airs_ey" not in json.dumps(await system.events(session))
