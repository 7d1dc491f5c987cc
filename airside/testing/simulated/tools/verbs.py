"""The neutral verbs `bash`, `read`, `write`, `edit` and `tool`, on the tools a request offers.

Tools are recognised by name and arguments by the names of their schema's properties, not by harness: so a harness
that renames an argument, or a new one, mostly works as it is. What no tool does directly goes through the shell.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.answer import ToolCall
from airside.testing.simulated.conversation import OfferedTool, ToolKind
from airside.testing.simulated.json_reading import as_object, as_text
from airside.testing.simulated.scripts.script import Call, EditFile, NamedTool, WriteFile
from airside.testing.simulated.tools import patches
from airside.testing.simulated.tools.specimen import required_names, specimen

_SHELLS = ("bash", "exec_command", "shell_command", "shell", "local_shell", "run_shell_command", "run_command")
_READERS = ("read", "read_file", "view_file")
_WRITERS = ("write", "write_file", "create_file")
_EDITORS = ("edit", "edit_file", "str_replace", "replace")

# Spelled without case and underscores.
_COMMAND = ("command", "cmd", "script")
_PATH = ("filepath", "path", "file", "filename")
_CONTENT = ("content", "contents", "filetext", "text")
_OLD = ("oldstring", "old", "oldstr", "oldtext")
_NEW = ("newstring", "new", "newstr", "newtext")
_PATCH = ("input", "patch", "patchtext")

_FILLED_IN = "as the script says"  # required arguments the script does not know


class NoToolFor(Exception):
    """No offered tool can do what the script wants; says what was looked for."""


class Toolbox:
    """The tools one request offers. `instructions` is what its system prompt says: some tools are named only there."""

    def __init__(self, tools: Sequence[OfferedTool], instructions: str = "") -> None:
        self._tools = tools
        self._instructions = instructions

    def place(self, call: Call) -> ToolCall:
        """The call in the terms of an offered tool. Raises `NoToolFor`."""
        if call.bash is not None:
            return self._shell(call.bash)
        if call.read is not None:
            return self._read(call.read)
        if call.write is not None:
            return self._write(call.write)
        if call.edit is not None:
            return self._edit(call.edit)
        assert call.tool is not None
        return self._named(call.tool)

    def _shell(self, command: str) -> ToolCall:
        tool = self._find(_SHELLS)
        if tool is None:
            return self._in_code(f"tools.exec_command({json.dumps({'cmd': command, 'yield_time_ms': 30000})})", command)
        if tool.kind is ToolKind.LOCAL_SHELL:
            return ToolCall(tool, {"command": ["bash", "-lc", command]})
        name = _property(tool, _COMMAND)
        if name is None:
            raise NoToolFor(f"a tool that runs the command `{command}`")
        takes_words = as_object(_properties(tool).get(name)).get("type") == "array"
        given: dict[str, JsonValue] = {name: ["bash", "-lc", command] if takes_words else command}
        if "yield_time_ms" in _properties(tool):
            given["yield_time_ms"] = 30000  # a slow machine must not turn a test run into a background session
        return _filled(tool, given)

    def _read(self, path: str) -> ToolCall:
        tool = self._find(_READERS)
        name = _property(tool, _PATH)
        if tool is None or name is None:
            return self._shell(f"cat -- {shlex.quote(path)}")
        return _filled(tool, {name: path})

    def _write(self, file: WriteFile) -> ToolCall:
        tool = self._find(_WRITERS)
        if tool is not None:
            path, content = _property(tool, _PATH), _property(tool, _CONTENT)
            if path is not None and content is not None:
                return _filled(tool, {path: file.path, content: file.content})
        patched = self._patch(patches.adding(file))
        if patched is not None:
            return patched
        folder = shlex.quote(str(PurePosixPath(file.path).parent))
        return self._shell(f"mkdir -p {folder} && printf %s {shlex.quote(file.content)} > {shlex.quote(file.path)}")

    def _edit(self, edit: EditFile) -> ToolCall:
        tool = self._find(_EDITORS)
        if tool is not None:
            path, old, new = _property(tool, _PATH), _property(tool, _OLD), _property(tool, _NEW)
            if path is not None and old is not None and new is not None:
                return _filled(tool, {path: edit.path, old: edit.old, new: edit.new})
        patched = self._patch(patches.changing(edit))
        if patched is None:
            raise NoToolFor(f"a tool that edits `{edit.path}`")
        return patched

    def _patch(self, patch: str) -> ToolCall | None:
        """The patch through `apply_patch`: a tool, a function of a code tool, or a command the system prompt names."""
        tool = self._find(("apply_patch",))
        if tool is not None and tool.kind is ToolKind.CUSTOM:
            return ToolCall(tool, text=patch)
        name = _property(tool, _PATCH)
        if tool is not None and name is not None:
            return _filled(tool, {name: patch})
        code = self._code_tool()
        if code is not None and "apply_patch" in code.description:
            return self._in_code(f"tools.apply_patch({json.dumps(patch)})", "apply_patch")
        if "apply_patch" in self._instructions and self._find(_SHELLS) is not None:
            return self._shell(f"apply_patch <<'END_OF_PATCH'\n{patch}END_OF_PATCH")
        return None

    def _in_code(self, expression: str, purpose: str) -> ToolCall:
        tool = self._code_tool()
        if tool is None:
            raise NoToolFor(f"a tool that runs the command `{purpose}`")
        return ToolCall(tool, text=f"const result = await {expression};\ntext(result?.output ?? result);\n")

    def _code_tool(self) -> OfferedTool | None:
        """Codex's `exec`: its input is JavaScript that calls the real tools."""
        tool = self._find(("exec",))
        return (
            tool if tool is not None and tool.kind is ToolKind.CUSTOM and "await tools." in tool.description else None
        )

    def _named(self, named: NamedTool) -> ToolCall:
        matches = [tool for tool in self._tools if named.name in _spellings(tool)]
        matches = matches or [tool for tool in self._tools if _ends_with(tool, named.name)]
        if len(matches) == 1:
            tool = matches[0]
            given: JsonObject = named.input
            if tool.kind is ToolKind.CUSTOM:
                return ToolCall(tool, text=as_text(named.input.get("input")))
            return ToolCall(tool, given)
        if named.even_if_not_offered:
            return ToolCall(OfferedTool(named.name), named.input)
        raise NoToolFor(f"one tool named `{named.name}`")

    def _find(self, names: Sequence[str]) -> OfferedTool | None:
        by_name = {tool.name.lower(): tool for tool in reversed(self._tools)}
        return next((by_name[name] for name in names if name in by_name), None)


def _spellings(tool: OfferedTool) -> set[str]:
    qualified = {f"{tool.namespace}{mark}{tool.name}" for mark in ("", "__", ".", "/")} if tool.namespace else set()
    return {tool.name, *qualified}


def _ends_with(tool: OfferedTool, name: str) -> bool:
    """True for `mcp__tickets__get_ticket` and `get_ticket`: each harness prefixes MCP tools in its own way."""
    return any(re.search(rf"[_./]{re.escape(name)}$", spelling) for spelling in _spellings(tool))


def _properties(tool: OfferedTool) -> JsonObject:
    return as_object(tool.schema.get("properties"))


def _property(tool: OfferedTool | None, names: Sequence[str]) -> str | None:
    if tool is None:
        return None
    by_spelling = {name.lower().replace("_", ""): name for name in _properties(tool)}
    return next((by_spelling[name] for name in names if name in by_spelling), None)


def _filled(tool: OfferedTool, given: dict[str, JsonValue]) -> ToolCall:
    """The call with every argument the tool's schema requires."""
    properties = _properties(tool)
    for name in required_names(tool.schema):
        if name not in given:
            given[name] = specimen(as_object(properties.get(name)), _FILLED_IN, tool.schema)
    return ToolCall(tool, given)
