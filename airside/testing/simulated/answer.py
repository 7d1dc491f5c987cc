"""What the simulated model says, before a dialect puts it on the wire.

For the neutral answer, its numbers and the frames a stream is made of. Not for deciding it: that is `speaker.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from airside.events import JsonObject, canonical_json
from airside.testing.simulated.conversation import Conversation, OfferedTool
from airside.testing.simulated.scripts.script import Hold, Pace, ScriptedUsage, Stop
from airside.testing.simulated.usage import Usage, tokens_in


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool the request offered, in that tool's own terms."""

    tool: OfferedTool
    arguments: JsonObject = field(default_factory=dict)
    text: str = ""  # the input of a custom tool


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, neutral. `step` is its number in the script, from 0; None when no step was spent on it."""

    say: str = ""
    think: str = ""
    calls: tuple[ToolCall, ...] = ()
    stop: Stop = Stop.END_TURN
    pace: Pace = field(default_factory=Pace)
    hold: Hold | None = None
    usage: ScriptedUsage | None = None
    demand_key: str | None = None
    step: int | None = None


def tokens_of_call(call: ToolCall) -> int:
    """The output tokens that writing one tool call takes."""
    return tokens_in(call.tool.name + (call.text or canonical_json(call.arguments).decode()))


def usage_of(answer: Answer, prompt: Usage) -> Usage:
    """The counters of an answer to a prompt of which `prompt` holds the input side."""
    scripted = answer.usage
    if scripted is not None:
        return Usage(
            uncached=scripted.input,
            cache_read=scripted.cache_read,
            cache_write_5m=scripted.cache_write_5m,
            cache_write_1h=scripted.cache_write_1h,
            output=scripted.output,
            reasoning=scripted.reasoning,
        )
    reasoning = tokens_in(answer.think)
    written = tokens_in(answer.say) + sum(tokens_of_call(call) for call in answer.calls)
    return replace(prompt, output=max(reasoning + written, 1), reasoning=reasoning)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer on its way to the wire: with identity, numbers and the request it answers."""

    stem: str  # unique in this server; every id of the reply is made from it
    created: int  # seconds since 1970
    request: JsonObject
    conversation: Conversation
    answer: Answer
    usage: Usage

    def call_id(self, prefix: str, index: int) -> str:
        """The id of one tool call."""
        return f"{prefix}{self.stem}{index:02}"

    def pieces(self, text: str) -> Iterator[str]:
        """The text cut as a stream carries it."""
        size = self.answer.pace.chunk_chars
        return (text[start : start + size] for start in range(0, len(text), size))


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream. `content_chars`: how much of the model's own output it carries."""

    data: bytes
    content_chars: int = 0
