"""Reading scripts: where they stand in a prompt, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from airside.testing.simulated.scripts.script import BadScript, Hold, last_fenced, read_script
from airside.testing.simulated.scripts.transcript import quoted_entries


def test_a_step_says_everything_the_format_offers() -> None:
    (step,) = read_script("""
- think: Hm.
  say: Looking.
  calls:
    - bash: ls
    - edit: {path: a.py, old: "x", new: "y"}
    - tool: {name: get_ticket, input: {id: 7}}
  pace: {chunk_chars: 5, delay_ms: 2}
  usage: {input: 10, cache_read: 4, output: 3}
  stop: max_tokens
  hold: gate
""")
    assert (step.think, step.say, step.stop) == ("Hm.", "Looking.", "max_tokens")
    assert step.calls[0].bash == "ls"
    assert step.calls[1].edit is not None
    assert step.calls[1].edit.old == "x"
    assert step.calls[2].tool is not None
    assert step.calls[2].tool.input == {"id": 7}
    assert (step.pace.chunk_chars, step.pace.delay_ms) == (5, 2)
    assert step.usage is not None
    assert (step.usage.input, step.usage.cache_read, step.usage.output) == (10, 4, 3)
    assert step.hold == Hold(name="gate")


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("- say: [", "not YAML"),
        ("say: hi", "not a list of steps"),
        ("[]", "at script"),
        ("- sya: hi", "0.sya"),
        ("- {}", "at least one of say, think, calls, stop"),
        ("- say: yes", "0.say"),
        ("- calls: [{bash: ls, read: a}]", "exactly one of bash, read, write, edit, tool"),
        ("- say: hi\n  stop: tired", "0.stop"),
    ],
)
def test_a_wrong_script_is_refused_with_its_place(script: str, complaint: str) -> None:
    with pytest.raises(BadScript, match=complaint):
        read_script(script)


def test_the_last_block_of_a_text_counts_and_what_follows_it_is_kept() -> None:
    text = "```script\n- say: old\n```\nmiddle\n```script\n- say: new\n```\nafter"
    assert last_fenced(text) == ("- say: new", "after")


def test_a_block_may_be_indented_or_quoted() -> None:
    assert last_fenced("> ```script\n> - say: a\n>   think: b\n> ```") == ("- say: a\n  think: b", "")


def test_a_longer_fence_lets_a_script_contain_a_shorter_one() -> None:
    found = last_fenced("````script\n- say: |\n    ```\n    code\n    ```\n````\n")
    assert found is not None
    (step,) = read_script(found[0])
    assert step.say == "```\ncode\n```\n".rstrip("\n")


def test_other_fenced_blocks_are_no_scripts() -> None:
    assert last_fenced("```python\nprint()\n```\n```scripted\n- say: a\n```") is None


@pytest.mark.parametrize(
    "transcript",
    [
        "user: go\nassistant: first\ntool call: bash ls\ntool result: a.py\nassistant: second\nmore of it",
        "[user] go\n[assistant] first\n[tool call bash] ls\n[tool result] a.py\n[assistant] second\nmore of it",
        "<user>go\n<assistant>first\n<tool_call name='bash'>ls\n<tool_result>a.py\n<assistant>second\nmore of it",
        "## User\ngo\n## Assistant\nfirst\n## Tool call: bash\nls\n## Tool result\na.py\n## Assistant\nsecond\nmore",
    ],
)
def test_a_quoted_transcript_is_read_as_a_conversation(transcript: str) -> None:
    kinds = [type(entry).__name__ for entry in quoted_entries(transcript)]
    assert kinds == ["UserText", "ModelAnswer", "ToolReturn", "ModelAnswer"]


def test_prose_is_no_transcript() -> None:
    assert quoted_entries("Please use the model that the user likes: it is fast.\nThe assistant is you.") == ()
