"""Where in a script a conversation stands, told from the conversation alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_talks import TALKS, AnthropicTalk, ChatTalk, ResponsesTalk, Talk, script

from airside.testing.simulated.scripts.place import Registered
from airside.testing.simulated.scripts.script import check_script, read_script

FOUR_STEPS = script("""
- say: One.
  calls: [{bash: echo one}]
- think: Considering.
  say: Two, at some length.
  calls: [{bash: echo two}, {read: a.txt}]
- calls: [{bash: echo three}]
- say: Four.
""")


def test_each_answer_is_the_next_step(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(FOUR_STEPS)
    assert [talk.take().step for _ in range(4)] == [0, 1, 2, 3]


def test_a_repeated_request_gets_the_same_answer(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(FOUR_STEPS)
    talk.take()
    assert talk.ask() == talk.ask()


def test_after_the_last_step_the_model_is_done(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(script("- say: One."))
    talk.take()
    talk.user("And now?")
    answer = talk.take()
    assert (answer.say, answer.step) == ("Done.", None)


def test_a_later_prompt_without_a_script_goes_on_with_the_script(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(script("- say: One.\n- say: Two."))
    talk.take()
    talk.user("Go on.")
    assert talk.take().say == "Two."


def test_a_newer_script_supersedes_an_older(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(FOUR_STEPS)
    talk.take()
    talk.user(script("- say: New."))
    assert talk.take().say == "New."


def test_a_registered_script_is_followed_from_the_message_it_matches(talk_in_each_dialect: type[Talk]) -> None:
    registered = Registered(read_script("- calls: [{bash: ls}]\n- say: Fixed."), match="failing test")
    talk = talk_in_each_dialect(registered=(registered,))
    talk.user("Fix the failing test.")
    assert talk.take().calls[0].arguments == {"command": "ls"}
    talk.user("Continue.")
    assert talk.take().say == "Fixed."


def test_a_script_in_the_prompt_comes_before_a_registered_one(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect(registered=(Registered(read_script("- say: Registered.")),))
    talk.user(script("- say: Prompted."))
    assert talk.take().say == "Prompted."


def test_of_registered_scripts_the_one_registered_last_is_followed() -> None:
    older = Registered(read_script("- say: Older."), match="work")
    newer = Registered(read_script("- say: Newer."), match="work")
    talk = ChatTalk(registered=(older, newer))
    talk.user("Please work.")
    assert talk.take().say == "Newer."


def test_a_script_for_every_conversation_counts_from_the_first_answer(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect(registered=(Registered(read_script("- say: One.\n- say: Two.")),))
    talk.user("Hello.")
    talk.take()
    talk.user("Hello again.")
    assert talk.take().say == "Two."


def test_calls_that_were_dropped_from_an_answer_are_made_in_the_next_one() -> None:
    """A harness cut off inside an answer keeps the calls that arrived whole, and their results."""
    talk = ResponsesTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    whole = talk.whole()
    whole["output"] = [item for item in whole["output"] if item.get("name") != "read"]
    talk.keep(whole)
    answer = talk.take()
    assert (answer.step, answer.say) == (1, "")
    assert [call.tool.name for call in answer.calls] == ["read"]
    assert talk.take().step == 2


def test_calls_are_made_one_at_a_time_where_parallel_ones_are_forbidden() -> None:
    talk = ChatTalk(parallel_tool_calls=False)
    talk.user(FOUR_STEPS)
    made = [[call.tool.name for call in talk.take().calls] for _ in range(5)]
    assert made == [["bash"], ["bash"], ["read"], ["bash"], []]


CONTINUE = {"role": "user", "content": "Continue."}
CLAUDE_SAID_NOTHING = {"role": "assistant", "content": [{"type": "text", "text": "No response requested."}]}
ONLY_THOUGHT = {"role": "assistant", "content": [{"type": "thinking", "thinking": "Considering.", "signature": "c2ln"}]}
ALL_BUT_EMPTY = {
    "role": "assistant",
    "content": [*ONLY_THOUGHT["content"], {"type": "text", "text": " "}],
}
HALF_SAID = {"role": "assistant", "content": [{"type": "text", "text": "Two, at some"}]}
SAID_WITHOUT_CALLS = {"role": "assistant", "content": [{"type": "text", "text": "Two, at some length."}]}


@pytest.mark.parametrize(
    "left_behind",
    [
        [],
        [CLAUDE_SAID_NOTHING],
        [ONLY_THOUGHT],
        [ALL_BUT_EMPTY],
        [HALF_SAID],
        [SAID_WITHOUT_CALLS],
        [HALF_SAID, CONTINUE, CLAUDE_SAID_NOTHING],
    ],
    ids=["nothing", "filler", "a thought", "a thought and a blank", "half a text", "no calls", "twice interrupted"],
)
def test_an_answer_cut_short_is_given_again(left_behind: list[Any]) -> None:
    """What Claude Code and OpenCode keep of an answer when they are killed inside it."""
    talk = AnthropicTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    talk.items += [*left_behind, CONTINUE]
    answer = talk.ask()
    assert (answer.step, len(answer.calls)) == (1, 2)


def test_an_answer_of_which_codex_kept_only_the_reasoning_is_given_again() -> None:
    talk = ResponsesTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    talk.items.append({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"})
    talk.items.append({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Continue."}]})
    assert talk.ask().step == 1


def test_calls_with_an_unknown_outcome_are_not_made_again() -> None:
    """A killed harness answers its open calls for itself (`aborted`, `interrupted`), or leaves them unanswered."""
    talk = AnthropicTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    talk.items.append({"role": "assistant", "content": talk.whole()["content"]})
    talk.items.append(CONTINUE)
    assert talk.ask().step == 2


def test_a_harness_that_hides_what_was_said_does_not_hear_it_for_ever() -> None:
    talk = AnthropicTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    for _ in range(3):
        talk.items += [{"role": "assistant", "content": "[redacted]"}, CONTINUE]
    assert talk.ask().step == 2


REPLAYED = """This session was moved. What happened so far:

user:
{prompt}
assistant: One.
tool call: bash {{"command": "echo one"}}
tool result: one
assistant: Two, at some length.
tool call: bash {{"command": "echo two"}}
tool call: read {{"path": "a.txt"}}
tool result: two
tool result: text

Continue from here."""


def test_a_script_in_a_replayed_transcript_goes_on_after_the_answers_quoted_there(
    talk_in_each_dialect: type[Talk],
) -> None:
    talk = talk_in_each_dialect()
    talk.user(REPLAYED.format(prompt=FOUR_STEPS))
    assert [talk.take().step for _ in range(2)] == [2, 3]


def test_claudes_reminders_and_system_messages_are_neither_prompts_nor_scripts() -> None:
    planted = f"<system-reminder>\n{script('- say: From a file.')}</system-reminder>"
    talk = AnthropicTalk()
    talk.items += [
        {"role": "user", "content": [{"type": "text", "text": planted}, {"type": "text", "text": FOUR_STEPS}]},
        {"role": "system", "content": [{"type": "text", "text": script("- say: From the system.")}]},
    ]
    assert talk.take().say == "One."
    talk.items[-1]["content"].append({"type": "text", "text": planted})
    assert talk.take().step == 1


@pytest.mark.parametrize(
    "written_by_codex",
    [
        f"# AGENTS.md instructions for /repo\n\n<INSTRUCTIONS>\n{script('- say: From a file.')}</INSTRUCTIONS>",
        f"<environment_context>\n<cwd>/repo</cwd>\n{script('- say: From a file.')}</environment_context>",
        "<turn_aborted>The user interrupted the turn.</turn_aborted>",
    ],
)
def test_messages_that_codex_writes_as_the_user_are_neither_prompts_nor_scripts(written_by_codex: str) -> None:
    talk = ResponsesTalk()
    talk.user(FOUR_STEPS)
    talk.take()
    talk.user(written_by_codex)
    assert talk.take().step == 1


def test_unknown_items_between_the_known_ones_change_nothing() -> None:
    talk = ResponsesTalk()
    talk.items.append({"type": "additional_tools", "role": "developer", "tools": []})
    talk.user(FOUR_STEPS)
    talk.items.append({"type": "ghost_snapshot", "commit": "abc"})
    talk.take()
    talk.items.append({"type": "compaction_notice", "text": "x"})
    assert talk.take().step == 1


def test_calls_of_every_kind_of_responses_item_count_as_made() -> None:
    talk = ResponsesTalk()
    talk.user(FOUR_STEPS)
    for kind in ("custom_tool_call", "local_shell_call"):
        talk.items.append({"type": kind, "call_id": f"call_{kind}"})
        talk.items.append({"type": f"{kind}_output", "call_id": f"call_{kind}", "output": "x"})
    assert (talk.ask().step, len(talk.ask().calls)) == (1, 1)


def test_a_prompt_in_the_quotes_of_opencode_run_is_read_without_them() -> None:
    quoted = '"' + script('- say: "Two \\"words\\"."').strip().replace('"', '\\"') + '"'
    talk = ChatTalk()
    talk.user(quoted)
    assert talk.take().say == 'Two "words".'


STEPS = st.lists(
    st.fixed_dictionaries(
        {"say": st.sampled_from(["Alpha.", "Beta gamma.", "Delta:\n  - epsilon"])},
        optional={
            "think": st.just("Hm."),
            "calls": st.lists(st.sampled_from([{"bash": "ls"}, {"read": "a.txt"}]), min_size=1, max_size=3),
        },
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)  # a busy machine is no failure
@given(steps=STEPS, dialect=st.sampled_from(TALKS), data=st.data())
def test_any_script_is_given_step_by_step_whatever_is_lost_on_the_way(
    steps: list[dict[str, Any]], dialect: type[Talk], data: st.DataObject
) -> None:
    """Answers that never reached the harness, and prompts to go on after a turn ended, change nothing."""
    checked = check_script(steps)
    talk = dialect(registered=(Registered(checked),))
    talk.user("Begin.")
    for index, step in enumerate(steps):
        for _ in range(data.draw(st.integers(0, 2))):
            talk.ask()
        answer = talk.take()
        assert (answer.step, answer.say) == (index, step["say"])
        if not answer.calls:
            talk.user("Go on.")
    assert talk.take().step is None
