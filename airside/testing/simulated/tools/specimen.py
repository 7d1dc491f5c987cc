"""A value that fits a JSON Schema: for required arguments no script mentions, and for structured answers.

Draws the simplest value; knows the keywords that tool schemas and structured outputs use (types, enum, const,
default, anyOf, oneOf, allOf, $ref, bounds, required), and takes no notice of others, such as `pattern`.
"""

from __future__ import annotations

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.json_reading import as_count, as_list, as_object, as_text, objects_in

_DEEPEST = 12  # a schema may refer to itself


def specimen(schema: JsonObject, text: str, root: JsonObject | None = None, depth: int = 0) -> JsonValue:
    """A small value that the schema accepts; strings say `text`, cut or padded to the bounds the schema sets."""
    root = schema if root is None else root
    schema = _resolved(schema, root)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    choices = as_list(schema.get("enum"))
    if choices:
        return choices[0]
    for alternatives in ("anyOf", "oneOf"):
        options = objects_in(schema.get(alternatives))
        if options:
            return specimen(_first_with_content(options), text, root, depth)
    return _of_type(_type_of(schema), schema, text, root, depth)


def required_names(schema: JsonObject) -> list[str]:
    """The properties an object must have."""
    return [name for name in as_list(schema.get("required")) if isinstance(name, str)]


def _resolved(schema: JsonObject, root: JsonObject) -> JsonObject:
    """The schema with its `$ref` followed and its `allOf` merged."""
    for _ in range(_DEEPEST):
        reference = as_text(schema.get("$ref"))
        if not reference.startswith("#/"):
            break
        found: JsonObject = root
        for part in reference[2:].split("/"):
            found = as_object(found.get(part))
        schema = found
    merged: dict[str, JsonValue] = dict(schema)
    for part_schema in objects_in(schema.get("allOf")):
        resolved = _resolved(part_schema, root)
        properties = {**as_object(merged.get("properties")), **as_object(resolved.get("properties"))}
        required = [*as_list(merged.get("required")), *as_list(resolved.get("required"))]
        merged |= {**resolved, "properties": properties, "required": required}
    return merged


def _first_with_content(options: list[JsonObject]) -> JsonObject:
    return next((option for option in options if option.get("type") != "null"), options[0])


def _type_of(schema: JsonObject) -> str:
    declared = schema.get("type")
    if isinstance(declared, str):
        return declared
    named = [as_text(name) for name in as_list(declared)]
    if named:
        return next((name for name in named if name != "null"), "null")
    return "object" if "properties" in schema else "string"


def _of_type(kind: str, schema: JsonObject, text: str, root: JsonObject, depth: int) -> JsonValue:
    if kind == "object":
        properties = as_object(schema.get("properties"))
        required = required_names(schema) if depth < _DEEPEST else []
        return {name: specimen(as_object(properties.get(name)), text, root, depth + 1) for name in required}
    if kind == "array":
        length = as_count(schema.get("minItems")) or 0
        return [specimen(as_object(schema.get("items")), text, root, depth + 1) for _ in range(length)]
    if kind in {"integer", "number"}:
        return _number(schema)
    if kind == "boolean":
        return False
    return None if kind == "null" else _string(schema, text)


def _number(schema: JsonObject) -> int:
    above = as_count(schema.get("exclusiveMinimum"))
    lowest = as_count(schema.get("minimum"))
    least = max(0 if lowest is None else lowest, 0 if above is None else above + 1)
    highest = as_count(schema.get("maximum"))
    return least if highest is None else min(least, highest)


def _string(schema: JsonObject, text: str) -> str:
    padded = text.ljust(as_count(schema.get("minLength")) or 0, ".")
    longest = as_count(schema.get("maxLength"))
    return padded if longest is None else padded[:longest]
