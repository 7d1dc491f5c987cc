"""What the agent can do: run a command, read a file, write one, and replace text in one."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airside.harnesses.scripted.agent.stopping import Stopper

_LONGEST_OUTPUT = 64 << 10


def _tool(name: str, description: str, *parameters: str) -> dict[str, Any]:
    properties = {parameter: {"type": "string"} for parameter in parameters}
    schema = {"type": "object", "properties": properties, "required": list(parameters), "additionalProperties": False}
    return {"name": name, "description": description, "schema": schema}


_TOOLS = [
    _tool("bash", "Run a command with bash in the workspace and return what it prints.", "command"),
    _tool("read", "Return the content of a text file.", "path"),
    _tool("write", "Write a text file, replacing what it held.", "path", "content"),
    _tool("edit", "Replace the one occurrence of a text in a file by another.", "path", "old", "new"),
]


class Toolbox:
    """The tools that were granted; no other exists for the model."""

    def __init__(self, granted: list[str]) -> None:
        self.offered = [tool for tool in _TOOLS if tool["name"] in granted]

    def use(self, name: str, given: Any, stopper: Stopper) -> tuple[str, bool]:
        """Call a tool: what it says, and whether it failed. Raises `Stopped`."""
        uses: dict[str, Callable[..., tuple[str, bool]]] = {
            "bash": lambda command: _bash(command, stopper),
            "read": _read,
            "write": _write,
            "edit": _edit,
        }
        if name not in [tool["name"] for tool in self.offered]:
            return f"there is no tool {name}", True
        try:
            return uses[name](**given)
        except (OSError, TypeError, UnicodeDecodeError) as failure:
            return f"{type(failure).__name__}: {failure}", True


def _bash(command: str, stopper: Stopper) -> tuple[str, bool]:
    running = subprocess.Popen(
        ["bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    with stopper.during(lambda: os.killpg(running.pid, signal.SIGKILL)):
        output, _ = running.communicate()
    said = output[-_LONGEST_OUTPUT:].decode(errors="replace")
    if running.returncode == 0:
        return said, False
    return f"{said}[exit code {running.returncode}]", True


def _read(path: str) -> tuple[str, bool]:
    return Path(path).read_text(encoding="utf-8")[:_LONGEST_OUTPUT], False


def _write(path: str, content: str) -> tuple[str, bool]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content, encoding="utf-8")
    return f"wrote {path}", False


def _edit(path: str, old: str, new: str) -> tuple[str, bool]:
    text = Path(path).read_text(encoding="utf-8")
    if text.count(old) != 1:
        return f"the text to replace is in {path} {text.count(old)} times, and must be there once", True
    Path(path).write_text(text.replace(old, new), encoding="utf-8")
    return f"edited {path}", False
