"""Titles, probes and structured answers: short, sensible, and no step of the script."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulated_talks import AnthropicTalk, ChatTalk, GeminiTalk, ResponsesTalk, Talk, script

PROMPT = script("- say: One.\n- say: Two.", prose="Fix the failing test of the calculator, please.")
TITLE_SYSTEM = "You are a title generator. You output ONLY a thread title. Nothing else."
SCHEMA = {"type": "object", "properties": {"title": {"type": "string"}, "ok": {"type": "boolean"}}}
SCHEMA = {**SCHEMA, "required": ["title", "ok"]}


def test_opencodes_title_call_gets_a_title_and_spends_no_step() -> None:
    aside = ChatTalk(tools=False)
    aside.items.append({"role": "system", "content": TITLE_SYSTEM})
    aside.user("Generate a title for this conversation:\n")
    aside.user(PROMPT)
    answer = aside.ask()
    assert (answer.say, answer.step) == ("Fix the failing test of the", None)


@pytest.mark.parametrize(
    ("talk_type", "limit"),
    [(AnthropicTalk, "max_tokens"), (ChatTalk, "max_completion_tokens"), (ResponsesTalk, "max_output_tokens")],
)
def test_a_probe_with_a_tiny_limit_is_answered_in_a_word(talk_type: type[Talk], limit: str) -> None:
    talk = talk_type(**{limit: 1})
    talk.user(PROMPT)
    assert (talk.ask().say, talk.ask().step) == ("ok", None)


@pytest.mark.parametrize(
    ("talk_type", "asked_for"),
    [
        (AnthropicTalk, {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        (AnthropicTalk, {"output_format": {"type": "json_schema", "schema": SCHEMA}}),
        (ChatTalk, {"response_format": {"type": "json_schema", "json_schema": {"name": "t", "schema": SCHEMA}}}),
        (ResponsesTalk, {"text": {"format": {"type": "json_schema", "name": "t", "schema": SCHEMA}}}),
    ],
)
def test_a_structured_answer_fits_its_schema(talk_type: type[Talk], asked_for: dict[str, Any]) -> None:
    talk = talk_type(tools=False, **asked_for)
    talk.user(PROMPT)
    answer = talk.ask()
    assert json.loads(answer.say) == {"ok": False, "title": "Fix the failing test of the"}
    assert answer.step is None


def test_a_turn_with_tools_follows_the_script_even_if_its_answer_has_a_schema() -> None:
    talk = ResponsesTalk(text={"format": {"type": "json_schema", "name": "t", "schema": SCHEMA}})
    talk.user(PROMPT)
    assert talk.ask().say == "One."


def test_a_script_needs_no_tools() -> None:
    talk = AnthropicTalk(tools=False)
    talk.user(PROMPT)
    assert talk.ask().say == "One."


def test_an_unscripted_prompt_is_answered_by_saying_what_this_is(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user("Write a poem about clouds. It must rhyme.")
    answer = talk.ask()
    assert "simulated model" in answer.say
    assert "Write a poem about clouds." in answer.say
    assert "rhyme" not in answer.say
    assert "`script`" in answer.say


FUNCTION = {"name": "answer", "parameters": SCHEMA}
ONLY_THIS = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["answer"]}}


@pytest.mark.parametrize(
    ("talk_type", "tool", "choice"),
    [
        (
            AnthropicTalk,
            {"name": "answer", "input_schema": SCHEMA},
            {"tool_choice": {"type": "tool", "name": "answer"}},
        ),
        (
            ChatTalk,
            {"type": "function", "function": FUNCTION},
            {"tool_choice": {"type": "function", "function": {"name": "answer"}}},
        ),
        (
            ResponsesTalk,
            {"type": "function", **FUNCTION},
            {"tool_choice": {"type": "function", "name": "answer"}},
        ),
        (GeminiTalk, {"functionDeclarations": [FUNCTION]}, {"toolConfig": ONLY_THIS}),
    ],
)
def test_a_forced_tool_is_called_whatever_was_asked(
    talk_type: type[Talk], tool: dict[str, Any], choice: dict[str, Any]
) -> None:
    talk = talk_type(tools=False, **choice)
    talk.fields["tools"] = [tool]
    talk.user("How is it?")
    (call,) = talk.ask().calls
    assert (call.tool.name, call.arguments) == ("answer", {"ok": False, "title": "How is it?"})


def test_a_script_that_cannot_be_read_is_answered_with_its_mistake(talk_in_each_dialect: type[Talk]) -> None:
    talk = talk_in_each_dialect()
    talk.user(script("- sya: One."))
    assert "0.sya" in talk.ask().say


def test_a_conversation_without_a_user_is_answered() -> None:
    assert "nothing" in ChatTalk().ask().say
