"""Which step comes next, from the conversation alone.

No state is kept between requests, so a retry, a resume under another process and a replay all continue rightly. A
step counts as given when the conversation shows it whole: an answer that was cut short is given again, calls that
were already made are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airside.testing.simulated.conversation import Conversation, Entry, ModelAnswer, UserText, typed_by_user
from airside.testing.simulated.scripts.script import Script, Step, last_fenced, read_script
from airside.testing.simulated.scripts.transcript import quoted_entries

CANNOT = "This simulated model cannot"  # how an answer begins that explains why a step was not followed

# A harness that keeps an answer in a shape that is not recognised must not make the model repeat itself for ever.
_ATTEMPTS_AT_ONE_STEP = 3


@dataclass(frozen=True, slots=True)
class Registered:
    """A script that a test put into the server, for user messages that contain `match`; None is every conversation."""

    script: Script
    match: str | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class Scripted:
    """A script and what the conversation holds after the message it belongs to."""

    script: Script
    since: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The step to give next; `index` is past the end when the script is over."""

    index: int
    calls_made: int = 0  # of this step, in answers that did not get to all of them


def find_script(conversation: Conversation, registered: Sequence[Registered]) -> Scripted | None:
    """The script that governs the conversation: that of the newest user message that has or matches one.

    A block in the message comes before registered scripts, and of those the one registered last. Raises `BadScript`
    if the message's own block cannot be read.
    """
    for index in range(len(conversation.entries) - 1, -1, -1):
        entry = conversation.entries[index]
        if isinstance(entry, UserText):
            found = _script_of(typed_by_user(entry.text), registered)
            if found:
                script, rest = found
                return Scripted(script, quoted_entries(rest) + conversation.entries[index + 1 :])
    for candidate in reversed(registered):
        if candidate.match is None:
            return Scripted(candidate.script, conversation.entries)
    return None


def _script_of(text: str, registered: Sequence[Registered]) -> tuple[Script, str] | None:
    fenced = last_fenced(text)
    if fenced:
        body, rest = fenced
        return read_script(body), rest
    for candidate in reversed(registered):
        if candidate.match is not None and candidate.match in text:
            return candidate.script, text[text.rindex(candidate.match) + len(candidate.match) :]
    return None


def next_place(scripted: Scripted) -> Place:
    """Where the model goes on."""
    index = calls_made = fruitless = 0
    for answer in _answers(scripted.since):
        if index >= len(scripted.script):
            break
        step = scripted.script[index]
        calls_made += len(answer.call_ids)
        fruitless += not answer.call_ids
        if _is_given(step, answer, calls_made) or fruitless >= _ATTEMPTS_AT_ONE_STEP:
            index, calls_made, fruitless = index + 1, 0, 0
    return Place(index, calls_made)


def _answers(entries: Iterable[Entry]) -> Iterable[ModelAnswer]:
    return (entry for entry in entries if isinstance(entry, ModelAnswer))


def _is_given(step: Step, answer: ModelAnswer, calls_made: int) -> bool:
    if step.calls:
        return calls_made >= len(step.calls) or (not answer.call_ids and answer.text.startswith(CANNOT))
    # White space is not compared: harnesses trim and re-wrap what they keep.
    return bool(answer.call_ids) or "".join(step.say.split()) in "".join(answer.text.split())
