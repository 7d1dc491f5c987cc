"""What the simulated model answers to a conversation.

A script decides if there is one; side calls and unscripted prompts get short answers of their own. A pure function of
the request and the registered scripts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from airside.testing.simulated.answer import Answer, ToolCall, tokens_of_call
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.json_reading import as_object
from airside.testing.simulated.scripts.place import CANNOT, Registered, find_script, next_place
from airside.testing.simulated.scripts.script import BadScript, Step, Stop
from airside.testing.simulated.side_calls import side_answer
from airside.testing.simulated.tools.specimen import specimen
from airside.testing.simulated.tools.verbs import NoToolFor, Toolbox
from airside.testing.simulated.usage import first_tokens, tokens_in

_QUOTED_CHARS = 160


def answer_to(conversation: Conversation, registered: Sequence[Registered] = ()) -> Answer:
    """The model's next answer, within the output tokens the request allows. Never raises for what a script says."""
    return _within(_chosen(conversation, registered), conversation.max_output_tokens)


def _chosen(conversation: Conversation, registered: Sequence[Registered]) -> Answer:
    aside = side_answer(conversation)
    if aside is not None:
        return aside
    try:
        scripted = find_script(conversation, registered)
    except BadScript as problem:
        return Answer(say=f"{CANNOT} follow the script in this prompt: {problem}")
    if scripted is None:
        return _unscripted(conversation)
    place = next_place(scripted)
    if place.index >= len(scripted.script):
        return Answer(say="Done.")
    return _step_answer(conversation, scripted.script[place.index], place.index, place.calls_made)


def _step_answer(conversation: Conversation, step: Step, index: int, calls_made: int) -> Answer:
    toolbox = Toolbox(conversation.tools, conversation.instructions)
    wanted = step.calls[calls_made:]
    if not conversation.parallel_calls:
        wanted = wanted[:1]
    try:
        calls = tuple(toolbox.place(call) for call in wanted)
    except NoToolFor as missing:
        return Answer(say=_cannot_call(conversation, missing), step=index)
    return Answer(
        # What was said before the first of several answers to a step is not said again.
        say="" if calls_made else step.say,
        think="" if calls_made else step.think,
        calls=calls,
        stop=step.stop or (Stop.TOOL_USE if calls else Stop.END_TURN),
        pace=step.pace,
        hold=step.hold,
        usage=step.usage,
        demand_key=step.demand_key,
        step=index,
    )


def _cannot_call(conversation: Conversation, missing: NoToolFor) -> str:
    offered = ", ".join(tool.name for tool in conversation.tools) or "none"
    return f"{CANNOT} follow its script here: it needs {missing}. Tools offered: {offered}."


def _unscripted(conversation: Conversation) -> Answer:
    asked = conversation.user_texts[-1] if conversation.user_texts else "nothing"
    forced = next((tool for tool in conversation.tools if tool.name == conversation.forced_tool), None)
    if forced is not None:
        arguments = as_object(specimen(forced.schema, asked))
        return Answer(calls=(ToolCall(forced, arguments),), stop=Stop.TOOL_USE)
    sentence = re.split(r"(?<=[.!?])\s|\n", asked, maxsplit=1)[0]
    if len(sentence) > _QUOTED_CHARS:
        sentence = sentence[:_QUOTED_CHARS] + "..."
    return Answer(
        say=(
            "This is a simulated model: no vendor was called, and nothing was thought about. "
            f"You asked: \u201c{sentence}\u201d "
            "To script what I do, put a fenced block with the info string `script` into the prompt, holding a YAML "
            "list of steps such as `- calls: [{bash: ls}]` and `- say: Listed.`"
        )
    )


def _within(answer: Answer, limit: int | None) -> Answer:
    """The answer cut where a vendor would cut it: nobody is billed for more output than was allowed."""
    if limit is None or answer.usage is not None:
        return answer
    think = first_tokens(answer.think, limit)
    left = limit - tokens_in(think)
    say = first_tokens(answer.say, left)
    left -= tokens_in(say)
    calls: list[ToolCall] = []
    for call in answer.calls:
        left -= tokens_of_call(call)
        if left >= 0:
            calls.append(call)
    if (think, say, len(calls)) == (answer.think, answer.say, len(answer.calls)):
        return answer
    return replace(answer, think=think, say=say, calls=tuple(calls), stop=Stop.MAX_TOKENS)
