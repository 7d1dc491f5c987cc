"""Requests a harness makes beside the conversation: titles, probes, structured classifications.

They quote the prompt, script and all, so they must be told apart before the script is followed.
"""

from __future__ import annotations

import re

from airside.events import canonical_json
from airside.testing.simulated.answer import Answer
from airside.testing.simulated.conversation import Conversation
from airside.testing.simulated.scripts.script import last_fenced
from airside.testing.simulated.tools.specimen import specimen

_PROBE_TOKENS = 16  # the least OpenAI Responses accepts; no real turn is asked for with so few
_ASKS_FOR_TITLE = re.compile(r"\btitle generator\b|\b(?:generate|write|create)\b[^.\n]{0,60}\btitle\b", re.IGNORECASE)
_TITLE_WORDS = 6


def side_answer(conversation: Conversation) -> Answer | None:
    """A short sensible answer if the request is no turn of the conversation; None if it is one."""
    limit = conversation.max_output_tokens
    if limit is not None and limit <= _PROBE_TOKENS:
        return Answer(say="ok")
    if conversation.tools:
        return None
    if conversation.answer_schema is not None:
        value = specimen(conversation.answer_schema, _title(conversation))
        return Answer(say=canonical_json(value).decode())
    if _ASKS_FOR_TITLE.search(conversation.instructions):
        return Answer(say=_title(conversation))
    return None


def _title(conversation: Conversation) -> str:
    """The first words of what was asked, without its script."""
    asked = conversation.user_texts[-1] if conversation.user_texts else ""
    fenced = last_fenced(asked)
    prose = asked.split("```", 1)[0].strip('" \n') or (fenced[1].strip() if fenced else "")
    return " ".join(prose.split()[:_TITLE_WORDS])[:50] or "Simulated session"
