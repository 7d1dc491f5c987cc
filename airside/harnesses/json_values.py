"""Reading JSON that nobody promised a shape of: a value of the wrong kind reads as one that is not there."""

from __future__ import annotations

from collections.abc import Sequence

from airside.events import JsonObject, JsonValue


def part(value: JsonObject, name: str) -> JsonObject:
    """The object under this name, or an empty one."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def items(value: JsonObject, name: str) -> Sequence[JsonObject]:
    """The objects in the list under this name; what is no object is left out."""
    found = value.get(name)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(value: JsonObject, name: str) -> str:
    """The string under this name, or an empty one."""
    found = value.get(name)
    return found if isinstance(found, str) else ""


def number(value: JsonObject, name: str) -> int | None:
    """The whole number under this name; a fraction is cut off."""
    found: JsonValue = value.get(name)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return int(found)
