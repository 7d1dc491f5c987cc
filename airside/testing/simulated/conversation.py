"""A request for an answer, in no vendor's dialect: who said what, which tools are offered, how to answer.

For deciding what the simulated model says next. Not for what it says: that is `answer.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from airside.events import JsonObject
from airside.testing.simulated.usage import Segment


class ToolKind(StrEnum):
    """How an offered tool is called."""

    FUNCTION = "function"  # with a JSON object
    CUSTOM = "custom"  # with free text (OpenAI Responses)
    LOCAL_SHELL = "local_shell"  # a shell built into the dialect (OpenAI Responses)


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool the request lets the model call."""

    name: str
    kind: ToolKind = ToolKind.FUNCTION
    schema: JsonObject = field(default_factory=dict)
    description: str = ""
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class UserText:
    """A message of the user."""

    text: str


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One earlier answer of the model, as the conversation shows it: perhaps cut short."""

    text: str = ""
    call_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolReturn:
    """The outcome of a tool call."""

    call_id: str


Entry = UserText | ModelAnswer | ToolReturn


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that decides an answer."""

    model: str
    entries: tuple[Entry, ...]
    prompt: tuple[Segment, ...]  # the whole input in the order it is cached
    instructions: str = ""  # what system and developer messages say
    tools: tuple[OfferedTool, ...] = ()
    streams: bool = False
    parallel_calls: bool = True
    max_output_tokens: int | None = None
    answer_schema: JsonObject | None = None  # structured output is asked for
    forced_tool: str = ""  # that must be called, whatever is said

    @property
    def user_texts(self) -> list[str]:
        """What the user typed, oldest first."""
        spoken = (typed_by_user(entry.text) for entry in self.entries if isinstance(entry, UserText))
        return [text for text in spoken if text]


def gather(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries with neighbouring pieces of one answer joined: dialects and harnesses split answers differently."""
    gathered: list[Entry] = []
    for entry in entries:
        last = gathered[-1] if gathered else None
        if isinstance(entry, ModelAnswer) and isinstance(last, ModelAnswer):
            gathered[-1] = _joined(last, entry)
        else:
            gathered.append(entry)
    return tuple(gathered)


def _joined(first: ModelAnswer, second: ModelAnswer) -> ModelAnswer:
    text = "\n".join(text for text in (first.text, second.text) if text)
    return ModelAnswer(text, first.call_ids + second.call_ids)


_REMINDER = re.compile(r"<system-reminder>.*?</system-reminder>", re.DOTALL)
_WRITTEN_BY_HARNESS: Sequence[str] = (
    "<environment_context>",
    "<user_instructions>",
    "<turn_aborted>",
    "<permissions instructions>",
    "# AGENTS.md instructions",
    "[Request interrupted by user",
)


def typed_by_user(text: str) -> str:
    """The part of a user message that a person (or the platform) wrote; empty if a harness wrote all of it.

    Harnesses speak to the model through user messages too: Claude Code in `<system-reminder>` spans, Codex in whole
    messages such as `<environment_context>`. Both may quote files of the repository, so no script is taken from them.
    """
    typed = _unquoted(_REMINDER.sub("", text).strip())
    return "" if typed.startswith(tuple(_WRITTEN_BY_HARNESS)) else typed


def _unquoted(text: str) -> str:
    """The text without the quotes that `opencode run` puts around an argument with spaces, escaping those inside."""
    quoted = len(text) > 1 and text.startswith('"') and text.endswith('"')
    return text[1:-1].replace('\\"', '"').strip() if quoted else text
