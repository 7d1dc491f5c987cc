"""Earlier answers that a prompt quotes as text: how a conversation looks after it was replayed into a new session.

A line that opens with a speaker starts an entry: `user:`, `assistant:`, `tool call:`, `tool result:`, also as
`[assistant]`, `<assistant>` or `## Assistant`. Lines without a speaker belong to the entry above.
"""

from __future__ import annotations

import re

from airside.testing.simulated.conversation import Entry, ModelAnswer, ToolReturn, UserText, gather

_SPEAKER = re.compile(
    r"""^[ \t>]*[\[<(\#*_ ]*
    (?: (?P<person>user|human|assistant|agent|model) (?:\s*\([^)\n]*\) | \s+[\w-]+="[^"\n]*")*
      | (?P<tool>tool[ _-](?:call|use|result|output|return)) [^:\]>\n]{0,80} )
    \s* (?: : | \] | > | \*\* | $ )""",
    re.IGNORECASE | re.VERBOSE,
)


def quoted_entries(text: str) -> tuple[Entry, ...]:
    """The entries a text quotes, in order; empty when it is no transcript."""
    entries: list[Entry] = []
    for line in text.splitlines():
        speaker = _SPEAKER.match(line)
        if speaker:
            who = (speaker["person"] or speaker["tool"]).lower()
            entries.append(_entry(who, line[speaker.end() :].strip(), len(entries)))
        elif entries:
            entries[-1] = _continued(entries[-1], line.strip())
    return gather(entries)


def _entry(who: str, text: str, number: int) -> Entry:
    if who in {"user", "human"}:
        return UserText(text)
    if who.startswith("tool"):
        called = who.endswith(("call", "use"))
        return ModelAnswer(call_ids=(f"quoted-{number}",)) if called else ToolReturn(f"quoted-{number}")
    return ModelAnswer(text)


def _continued(entry: Entry, line: str) -> Entry:
    if isinstance(entry, ModelAnswer) and not entry.call_ids and line:
        return ModelAnswer(f"{entry.text}\n{line}".strip())
    return entry
