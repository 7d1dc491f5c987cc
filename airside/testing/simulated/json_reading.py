"""Reading JSON that somebody else wrote: the wrong shape reads as empty, never as an exception.

The vendors tolerate unknown fields, and so must a fake of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

from airside.events import JsonObject, JsonValue, canonical_json


def parsed_object(body: bytes) -> JsonObject:
    """The JSON object a body holds; empty if it holds none, or one that cannot be written down again."""
    with suppress(ValueError, RecursionError):
        value = json.loads(body)
        canonical_json(value)  # refuses NaN, infinities and halves of surrogate pairs, which Python would read
        return as_object(value)
    return {}


def as_object(value: JsonValue) -> JsonObject:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: JsonValue) -> Sequence[JsonValue]:
    """The value if it is an array, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def objects_in(value: JsonValue) -> list[JsonObject]:
    """The objects of an array, without whatever else it holds."""
    return [item for item in as_list(value) if isinstance(item, Mapping)]


def as_text(value: JsonValue) -> str:
    """The value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def as_count(value: JsonValue) -> int | None:
    """The value if it is a whole number; a bool is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def joined_text(content: JsonValue, part_types: frozenset[str]) -> str:
    """The text of a message's content: a plain string, or the parts of these types, one a line."""
    if isinstance(content, str):
        return content
    return "\n".join(
        as_text(part.get("text")) for part in objects_in(content) if as_text(part.get("type")) in part_types
    )
