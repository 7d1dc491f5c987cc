"""The loop: a message comes in, the model is asked until it calls no more tools, and every step is reported."""

from __future__ import annotations

import argparse
import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from airside.harnesses.scripted.agent.conversation import Conversation
from airside.harnesses.scripted.agent.dialects import DIALECTS
from airside.harnesses.scripted.agent.model import Model, ModelFailed
from airside.harnesses.scripted.agent.stopping import Stopped, Stopper
from airside.harnesses.scripted.agent.tools import Toolbox

_UNKNOWN_OUTCOME = "The process ended before this call's result was recorded, so its outcome is unknown."
_PAYMENT_REQUIRED = 402


def report(kind: str, **fields: Any) -> None:
    """Write one report."""
    print(json.dumps({"type": kind, **fields}), flush=True)  # noqa: T201


class Agent:
    """One conversation, its model and its tools."""

    def __init__(self, conversation: Conversation, model: Model, tools: Toolbox, stopper: Stopper) -> None:
        self._conversation = conversation
        self._model = model
        self._tools = tools
        self._stopper = stopper

    def turn(self, text: str) -> None:
        """Answer one message, and report how that ended."""
        self._conversation.add({"role": "user", "text": text})
        try:
            while self._step():
                pass
        except Stopped:
            report("turn_ended", reason="interrupted")
        except ModelFailed as failure:
            reason = "budget_reached" if failure.status == _PAYMENT_REQUIRED else "failed"
            report("turn_ended", reason=reason, detail=str(failure))
        finally:
            self._conversation.answer_open_calls(_UNKNOWN_OUTCOME)

    def _step(self) -> bool:
        """Ask the model once and do what it says; True if it wants to hear the results."""
        answer = self._model.ask(self._conversation.entries, self._tools.offered, report)
        self._conversation.add({"role": "assistant", "text": answer.text, "calls": answer.calls})
        if answer.thinking:
            report("thinking", text=answer.thinking)
        if answer.text:
            report("message", text=answer.text)
        if not answer.calls:
            report("turn_ended", reason="refusal" if answer.refused else "end_turn")
            return False
        for call in answer.calls:
            report("tool_use", id=call["id"], name=call["name"], input=call["input"])
        for call in answer.calls:
            self._call(call)
        return True

    def _call(self, call: dict[str, Any]) -> None:
        output, failed = self._tools.use(call["name"], call["input"], self._stopper)
        self._conversation.add({"role": "tool", "id": call["id"], "text": output, "is_error": failed})
        report("tool_result", id=call["id"], text=output, is_error=failed)
        self._stopper.check()


def _listen(messages: queue.Queue[str | None], stopper: Stopper) -> None:
    """Pass on what comes in: messages to the loop, a stop at once to whatever is going on."""
    for line in sys.stdin:
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if message.get("type") == "interrupt":
            stopper.stop()
        elif message.get("type") == "user":
            stopper.begin()
            messages.put(message["text"])
    messages.put(None)


def main() -> None:
    """Serve one conversation until the input ends."""
    arguments = argparse.ArgumentParser()
    for name in ("dialect", "url", "model", "session", "tools", "system", "version"):
        arguments.add_argument(f"--{name}", default="")
    arguments.add_argument("--resume", action="store_true")
    given = arguments.parse_args()
    conversation = Conversation(Path.home() / ".airside" / "sessions", given.session, resume=given.resume)
    if given.resume and not conversation.entries:
        sys.exit(f"no session {given.session}")
    conversation.answer_open_calls(_UNKNOWN_OUTCOME)
    stopper = Stopper()
    # Out of the environment, so that the commands the model runs do not inherit it.
    token = os.environ.pop("AIRSIDE_TOKEN", "")  # noqa: TID251
    model = Model(DIALECTS[given.dialect](given.model, given.system), given.url, token, stopper)
    agent = Agent(conversation, model, Toolbox(given.tools.split(",")), stopper)
    messages: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(messages, stopper), daemon=True).start()
    report("started", session_id=given.session, version=given.version, resumed=given.resume)
    while (text := messages.get()) is not None:
        agent.turn(text)
