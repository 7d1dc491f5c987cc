"""The neutral verbs on the tools that each harness offers, in the shape it offers them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from simulated_talks import AnthropicTalk, script

from airside.testing.simulated.conversation import OfferedTool, ToolKind
from airside.testing.simulated.scripts.script import Call
from airside.testing.simulated.tools.specimen import specimen
from airside.testing.simulated.tools.verbs import NoToolFor, Toolbox


def function(name: str, *required: str, also: tuple[str, ...] = (), **kinds: str) -> OfferedTool:
    """A function tool with properties of type string, unless `kinds` says otherwise."""
    properties = {key: {"type": kinds.get(key, "string")} for key in (*required, *also)}
    return OfferedTool(name, schema={"type": "object", "properties": properties, "required": list(required)})


CLAUDE_CODE = [
    function("Bash", "command", also=("timeout", "description", "run_in_background")),
    function("Edit", "file_path", "old_string", "new_string", also=("replace_all",)),
    function("Read", "file_path", also=("offset", "limit", "pages")),
    function("Write", "file_path", "content"),
]
OPENCODE = [
    function("bash", "command", "description", also=("timeout", "workdir")),
    function("edit", "filePath", "oldString", "newString", also=("replaceAll",)),
    function("read", "filePath", also=("offset", "limit")),
    function("write", "content", "filePath"),
    function("webfetch", "url"),
]
OPENCODE_FOR_GPT = [*(tool for tool in OPENCODE if tool.name in {"bash", "read"}), function("apply_patch", "patchText")]
CODEX = [
    function("exec_command", "cmd", also=("yield_time_ms", "workdir"), yield_time_ms="number"),
    function("write_stdin", "session_id", session_id="number"),
    function("view_image", "path"),
]
CODEX_SAYS = "Use the `apply_patch` tool to edit files."
CODEX_OF_OLD = [
    function("shell", "command", command="array"),
    OfferedTool("apply_patch", ToolKind.CUSTOM, description="Edits files."),
]
CODEX_IN_CODE = [
    OfferedTool("exec", ToolKind.CUSTOM, description="Runs JavaScript: await tools.exec_command(...), apply_patch"),
    function("wait", "cell_id"),
]
SCRIPTED = [
    function("bash", "command"),
    function("read", "path"),
    function("write", "path", "content"),
    function("edit", "path", "old", "new"),
]

BASH = Call(bash="pytest -q")
READ = Call(read="a.py")
WRITE = Call.model_validate({"write": {"path": "a.py", "content": "x = 1\n"}})
EDIT = Call.model_validate({"edit": {"path": "a.py", "old": "x = 1", "new": "x = 2"}})
ADDED = "*** Begin Patch\n*** Add File: a.py\n+x = 1\n*** End Patch\n"
CHANGED = "*** Begin Patch\n*** Update File: a.py\n@@\n-x = 1\n+x = 2\n*** End Patch\n"
SLOWLY = {"yield_time_ms": 30000}


def in_shell(patch: str) -> str:
    return f"apply_patch <<'END_OF_PATCH'\n{patch}END_OF_PATCH"


@pytest.mark.parametrize(
    ("tools", "call", "name", "arguments"),
    [
        (CLAUDE_CODE, BASH, "Bash", {"command": "pytest -q"}),
        (CLAUDE_CODE, READ, "Read", {"file_path": "a.py"}),
        (CLAUDE_CODE, WRITE, "Write", {"file_path": "a.py", "content": "x = 1\n"}),
        (CLAUDE_CODE, EDIT, "Edit", {"file_path": "a.py", "old_string": "x = 1", "new_string": "x = 2"}),
        (OPENCODE, BASH, "bash", {"command": "pytest -q", "description": "as the script says"}),
        (OPENCODE, READ, "read", {"filePath": "a.py"}),
        (OPENCODE, WRITE, "write", {"filePath": "a.py", "content": "x = 1\n"}),
        (OPENCODE, EDIT, "edit", {"filePath": "a.py", "oldString": "x = 1", "newString": "x = 2"}),
        (OPENCODE_FOR_GPT, WRITE, "apply_patch", {"patchText": ADDED}),
        (OPENCODE_FOR_GPT, EDIT, "apply_patch", {"patchText": CHANGED}),
        (CODEX, BASH, "exec_command", {"cmd": "pytest -q", **SLOWLY}),
        (CODEX, READ, "exec_command", {"cmd": "cat -- a.py", **SLOWLY}),
        (CODEX, WRITE, "exec_command", {"cmd": in_shell(ADDED), **SLOWLY}),
        (CODEX, EDIT, "exec_command", {"cmd": in_shell(CHANGED), **SLOWLY}),
        (CODEX_OF_OLD, BASH, "shell", {"command": ["bash", "-lc", "pytest -q"]}),
        (SCRIPTED, BASH, "bash", {"command": "pytest -q"}),
        (SCRIPTED, READ, "read", {"path": "a.py"}),
        (SCRIPTED, WRITE, "write", {"path": "a.py", "content": "x = 1\n"}),
        (SCRIPTED, EDIT, "edit", {"path": "a.py", "old": "x = 1", "new": "x = 2"}),
    ],
)
def test_a_verb_becomes_the_harness_own_tool(
    tools: list[OfferedTool], call: Call, name: str, arguments: dict[str, Any]
) -> None:
    placed = Toolbox(tools, CODEX_SAYS if tools is CODEX else "").place(call)
    assert (placed.tool.name, placed.arguments) == (name, arguments)


def test_a_free_text_patch_tool_gets_the_patch_itself() -> None:
    placed = Toolbox(CODEX_OF_OLD).place(EDIT)
    assert (placed.tool.name, placed.text) == ("apply_patch", CHANGED)


def test_a_code_tool_is_given_code_that_calls_the_real_tools() -> None:
    toolbox = Toolbox(CODEX_IN_CODE)
    assert 'await tools.exec_command({"cmd": "pytest -q"' in toolbox.place(BASH).text
    assert "await tools.apply_patch(" in toolbox.place(EDIT).text
    assert toolbox.place(READ).tool.name == "exec"


def test_without_a_tool_for_it_a_file_is_written_through_the_shell(tmp_path: Path) -> None:
    content = "it's\n'quoted' $HOME\nno newline at the end"
    call = Call.model_validate({"write": {"path": "deep/er/a file.txt", "content": content}})
    command = Toolbox([function("bash", "command")]).place(call).arguments["command"]
    subprocess.run(["bash", "-c", str(command)], cwd=tmp_path, check=True)
    assert (tmp_path / "deep/er/a file.txt").read_text() == content


@pytest.mark.parametrize("name", ["get_ticket", "mcp__tickets__get_ticket"])
@pytest.mark.parametrize(
    "offered",
    [
        function("mcp__tickets__get_ticket", "id"),
        OfferedTool("get_ticket", namespace="mcp__tickets"),
        OfferedTool("get_ticket", namespace="mcp__tickets", kind=ToolKind.CUSTOM),
    ],
)
def test_a_named_tool_is_found_however_the_harness_prefixes_it(name: str, offered: OfferedTool) -> None:
    call = Call.model_validate({"tool": {"name": name, "input": {"id": "7", "input": "seven"}}})
    placed = Toolbox([function("bash", "command"), offered]).place(call)
    assert placed.tool is offered
    assert (placed.text == "seven") == (offered.kind is ToolKind.CUSTOM)


def test_a_name_that_two_tools_end_with_is_not_guessed() -> None:
    tools = [function("mcp__a__get", "id"), function("mcp__b__get", "id")]
    with pytest.raises(NoToolFor, match="one tool named `get`"):
        Toolbox(tools).place(Call.model_validate({"tool": {"name": "get"}}))


def test_a_tool_that_is_not_offered_is_called_only_on_request() -> None:
    named = {"name": "rm", "input": {"path": "/"}}
    with pytest.raises(NoToolFor):
        Toolbox(SCRIPTED).place(Call.model_validate({"tool": named}))
    placed = Toolbox(SCRIPTED).place(Call.model_validate({"tool": {**named, "even_if_not_offered": True}}))
    assert (placed.tool.name, placed.arguments) == ("rm", {"path": "/"})


def test_what_cannot_be_done_is_said_with_the_tools_offered_and_the_script_goes_on() -> None:
    talk = AnthropicTalk(tools=False)
    talk.fields["tools"] = [{"name": "WebFetch", "input_schema": {}}]
    talk.user(script("- calls: [{bash: ls}]\n- say: Two."))
    answer = talk.take()
    assert answer.say == (
        "This simulated model cannot follow its script here: it needs a tool that runs the command `ls`. "
        "Tools offered: WebFetch."
    )
    talk.user("Never mind.")
    assert talk.take().say == "Two."


SCHEMAS: Any = st.deferred(
    lambda: st.one_of(
        st.fixed_dictionaries({"type": st.sampled_from(["string", "boolean", "null", "number"])}),
        st.fixed_dictionaries({"type": st.just("string"), "minLength": st.integers(0, 30)}),
        st.fixed_dictionaries({"type": st.just("integer"), "minimum": st.integers(-5, 5)}),
        st.fixed_dictionaries({"type": st.just("integer"), "exclusiveMinimum": st.integers(-5, 5)}),
        st.fixed_dictionaries({"type": st.just("integer"), "maximum": st.integers(-5, 5)}),
        st.fixed_dictionaries({"type": st.just(["null", "string"])}),
        st.fixed_dictionaries({"enum": st.lists(st.text(max_size=3), min_size=1)}),
        st.fixed_dictionaries({"const": st.integers()}),
        st.fixed_dictionaries({"anyOf": st.lists(SCHEMAS, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"type": st.just("array"), "items": SCHEMAS, "minItems": st.integers(0, 3)}),
        st.dictionaries(st.sampled_from("abc"), SCHEMAS, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties, "required": sorted(properties)}
        ),
    )
)


@settings(deadline=None)  # a busy machine is no failure
@given(schema=SCHEMAS)
def test_a_specimen_fits_its_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator(schema).validate(specimen(schema, "some text"))


def test_a_specimen_follows_references_and_merges_allof() -> None:
    schema: dict[str, Any] = {
        "$defs": {"name": {"type": "string", "maxLength": 4}, "node": {"$ref": "#/$defs/name"}},
        "allOf": [
            {"properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer", "minimum": 3}}, "required": ["b"]},
        ],
        "type": "object",
    }
    assert specimen(schema, "a long text") == {"a": "a lo", "b": 3}


def test_a_schema_that_contains_itself_has_a_specimen() -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    assert isinstance(specimen(schema, "x"), dict)
