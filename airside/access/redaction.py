"""Airside's own credentials taken out of what is written down.

A sandbox has to hold its session's token, so a command that prints its environment prints it too; a log that is kept
for years and shown to many is no place for it. Told by shape, so that a cut one and another session's go as well. Not
for vendors' credentials: those never reach a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from airside.events import JsonObject, JsonValue

REDACTED = "[redacted: Airside credential]"
# A session token, whole or cut, or a key: airside.access.tokens and airside.access.keys make them.
_CREDENTIAL = re.compile(
    r"airs_[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?"
    r"|(?<![A-Za-z0-9])air_[a-z0-9-]{1,32}_[A-Za-z0-9]{49}(?![A-Za-z0-9])"
)


def redacted_text(text: str) -> str:
    """The text with every credential of ours replaced."""
    return _CREDENTIAL.sub(REDACTED, text) if "air" in text else text


def redacted(payload: JsonObject) -> JsonObject:
    """The payload with every credential of ours replaced, in values and in names."""
    return {redacted_text(name): _redacted(value) for name, value in payload.items()}


def _redacted(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return redacted_text(value)
        case Mapping():
            return redacted(value)
        case Sequence():
            return [_redacted(one) for one in value]
        case _:
            return value
