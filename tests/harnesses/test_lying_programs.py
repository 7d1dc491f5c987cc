"""Programs in a harness's place that fail, babble or lie, and adapters that stay upright."""

import asyncio
import textwrap
from pathlib import Path

import pytest
from harness_lab import Lab, said

from airside.harnesses.contract import HarnessFailed, Started, ToolResult, TurnEnd, TurnEnded
from airside.harnesses.starting import wait_until_up
from airside.sandboxes.contract import GatewayAddress, SandboxSpec
from airside.sandboxes.process import ProcessDriver

NAMES = ["claude-code", "codex", "opencode", "scripted"]


def put_program(lab: Lab, text: str) -> Path:
    """A program that an adapter is to take for its harness."""
    place = lab.folder / "program"
    place.write_text("#!/usr/bin/python3\n" + textwrap.dedent(text))
    place.chmod(0o755)
    return place


async def start(lab: Lab, name: str, text: str):
    """Start it in the place of a harness, without isolation: it need not be shown inside anything."""
    sandbox = ProcessDriver().build(SandboxSpec(lab.session_id, lab.paths, GatewayAddress(lab.models.url)))
    installation = lab.folder if name != "scripted" else lab.folder / "a" / "b" / "c" / "d"
    return await lab.start(name, sandbox=sandbox, executable=put_program(lab, text), installation=installation)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "scripted"])
async def test_a_program_that_ends_at_once_is_told_with_what_it_said(lab: Lab, name: str) -> None:
    with pytest.raises(HarnessFailed, match="exit code 3: no luck today"):
        await start(lab, name, "import sys\nsys.exit(print('no luck today', file=sys.stderr) or 3)")
    assert not lab.processes()


async def test_our_agent_that_cannot_be_loaded_is_told_with_what_python_said(lab: Lab) -> None:
    with pytest.raises(HarnessFailed, match="No module named 'airside'"):
        await start(lab, "scripted", "")
    assert not lab.processes()


CLAUDE = """
    import json, sys
    def say(thing): print(thing if isinstance(thing, str) else json.dumps(thing), flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "control_request":
            say("warning: something")
            say({"type": "control_response", "response": {"response": {"claude_code_version": 9}}})
            say({"type": "control_request", "request_id": "q1", "request": {"subtype": "can_use_tool"}})
        elif message["type"] == "control_response":
            sys.stderr.write(json.dumps(message))
        else:
            say("\\x00\\xff{{{")
            say({"type": "assistant"})
            say({"type": "assistant", "message": {"content": [{"type": "text"}, 7, {"type": "tool_use"}, None]}})
            say({"type": "assistant", "message": {"content": "text", "model": []}})
            say({"type": "user", "message": {"content": [{"type": "tool_result", "content": [3, {"type": 1}]}]}})
            say({"type": "stream_event", "event": [], "parent_tool_use_id": 4})
            say({"type": "system", "subtype": "api_retry", "attempt": "many"})
            say({"type": ["result"]})
            say("x" * 300000)
            say({"type": "assistant", "message": {"content": [{"type": "text", "text": "Still here."}]}})
            say({"type": "result", "errors": 3, "result": None, "is_error": True})
"""


async def test_claude_code_may_babble(lab: Lab) -> None:
    talk = await start(lab, "claude-code", CLAUDE)
    events = await talk.turn("Hello.")
    assert said(events) == ["Still here."]
    assert events[-1] == TurnEnded(TurnEnd.FAILED, "Claude Code failed without saying why")
    assert isinstance(events[0], Started)
    assert talk.running.process_group in lab.processes()


CODEX = """
    import json, sys
    def say(thing): print(thing if isinstance(thing, str) else json.dumps(thing), flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        number = message.get("id")
        if message.get("method") == "initialize":
            say({"id": number, "result": []})
        elif message.get("method") == "thread/start":
            say({"method": "noise"})
            say({"id": number, "result": {"thread": {"id": "t1"}}})
        elif message.get("method") == "turn/start":
            say({"id": 99, "error": {}})
            say({"id": "abc", "method": "item/tool/requestUserInput", "params": None})
            say({"id": number, "result": {"turn": None}})
            say("garbage")
            for item in (None, {}, {"type": "commandExecution", "id": "c1", "command": 5}, {"type": "reasoning"}):
                say({"method": "item/started", "params": {"item": item}})
                say({"method": "item/completed", "params": {"item": item}})
            spoken = {"type": "agentMessage", "text": "No."}
            say({"method": "item/completed", "params": {"threadId": "other", "item": spoken}})
            error = {"codexErrorInfo": {"x": []}, "message": "1/x"}
            say({"method": "error", "params": {"willRetry": True, "error": error}})
            say({"method": "item/completed", "params": {"item": {"type": "agentMessage", "text": "Still here."}}})
            say({"method": "turn/completed", "params": {"turn": {"status": "melted"}}})
"""


async def test_codex_may_babble(lab: Lab) -> None:
    talk = await start(lab, "codex", CODEX)
    events = await talk.turn("Hello.")
    assert said(events) == ["Still here."]
    assert events[-1] == TurnEnded(TurnEnd.FAILED, "Codex failed without saying why")
    [result] = [event for event in events if isinstance(event, ToolResult) and event.call_id == "c1"]
    assert not result.is_error


async def test_codex_that_does_not_take_the_input_ends_the_turn(lab: Lab) -> None:
    refusing = CODEX.replace(
        'say({"id": 99, "error": {}})', 'say({"id": number, "error": {"message": "busy"}}); continue'
    )
    talk = await start(lab, "codex", refusing)
    assert (await talk.turn("Hello."))[-1] == TurnEnded(TurnEnd.FAILED, "Codex did not take the input: busy")


OPENCODE = """
    import base64, json, os, sys
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    REFUSED = "nothing"
    BABBLE = [
        {"type": "server.connected"},
        {"type": 5, "properties": 7},
        {"type": "message.updated", "properties": {"sessionID": "s1", "info": {"role": "user", "id": "m1"}}},
        {"type": "message.part.updated", "properties": {"sessionID": "s1", "part": {"type": "tool", "state": 1}}},
        {"type": "message.part.delta", "properties": {"sessionID": "s1", "field": "text", "partID": []}},
        {"type": "session.status", "properties": {"sessionID": "s1", "status": {"type": "retry", "attempt": "x"}}},
        {"type": "session.error", "properties": {"sessionID": "s1", "error": {"data": []}}},
        {"type": "session.idle", "properties": {"sessionID": "s1"}},
    ]
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            password = base64.b64encode(("opencode:" + os.environ["OPENCODE_SERVER_PASSWORD"]).encode()).decode()
            if self.headers["authorization"] != "Basic " + password:
                self.send_error(401)
            elif self.path == "/event":
                self.wfile.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n: comment\\n\\ndata: {broken\\n\\n")
                for event in BABBLE[:1]:
                    self.wfile.write(b"data: " + json.dumps(event).encode() + b"\\n\\n")
                prompted.acquire()
                for event in BABBLE[1:]:
                    self.wfile.write(b"data: " + json.dumps(event).encode() + b"\\n\\n")
                prompted.acquire()
            else:
                self.answer({"version": []})
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            if self.path.endswith(REFUSED):
                return self.send_error(500)
            self.answer({"id": "s1"})
            if self.path.endswith("prompt_async"):
                prompted.release()
        def answer(self, body):
            self.wfile.write(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + json.dumps(body).encode())
        def log_message(self, *_): pass
    import threading
    prompted = threading.Semaphore(0)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers)
    print("opencode server listening on somewhere", flush=True)
    server.serve_forever()
"""


async def test_opencode_may_babble(lab: Lab) -> None:
    talk = await start(lab, "opencode", OPENCODE)
    events = await talk.turn("Hello.")
    assert events[-1] == TurnEnded(TurnEnd.FAILED, "OpenCode failed without saying why")


async def test_opencode_that_refuses_the_prompt_ends_the_turn(lab: Lab) -> None:
    talk = await start(lab, "opencode", OPENCODE.replace('"nothing"', '"prompt_async"'))
    ended = (await talk.turn("Hello."))[-1]
    assert ended.reason is TurnEnd.FAILED
    assert ended.detail.startswith("OpenCode answered 500")


async def test_opencode_that_opens_no_session_does_not_start(lab: Lab) -> None:
    with pytest.raises(HarnessFailed, match="opened no session, and answered 500"):
        await start(lab, "opencode", OPENCODE.replace('"nothing"', '"/session"'))
    assert not lab.processes()


class Silent:
    """A process that never says anything, and that notes when it is stopped."""

    stopped_after_s: float | None = None

    async def stop(self, grace_s: float = 5.0) -> None:
        self.stopped_after_s = grace_s


async def test_a_program_that_never_answers_is_given_up_and_stopped() -> None:
    process = Silent()
    with pytest.raises(HarnessFailed, match=r"Codex did not come up within 0\.01 s"):
        await wait_until_up(process, "Codex", asyncio.Event().wait(), within_s=0.01)
    assert process.stopped_after_s == 0
