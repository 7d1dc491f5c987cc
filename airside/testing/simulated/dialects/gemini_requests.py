"""Reading and refusing requests of Gemini's `generateContent`.

The vendor parses protocol buffers: a field it does not know is refused, and names may be written in either case. Not
for answers: that is `gemini.py`.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64decode
from collections.abc import Iterator, Mapping

from airside.events import JsonObject, JsonValue
from airside.testing.simulated.conversation import (
    Conversation,
    Entry,
    ModelAnswer,
    OfferedTool,
    ToolReturn,
    UserText,
    gather,
)
from airside.testing.simulated.dialects.contract import VendorError
from airside.testing.simulated.json_reading import as_count, as_list, as_object, as_text, objects_in
from airside.testing.simulated.usage import Segment, segment

SIGNED = b"simulated-gemini:"  # how every thought signature of the simulated model begins
_UNSIGNED_HISTORY = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
_SIGNING_MODELS = "gemini-3"  # from this generation on, calls without their signature are refused

_REQUEST_FIELDS = frozenset({
    "model", "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig",
    "cachedContent", "labels", "serviceTier", "store",
})  # fmt: skip
_SCHEMA_FIELDS = frozenset({
    "type", "format", "title", "description", "nullable", "enum", "maxItems", "minItems", "properties", "required",
    "minProperties", "maxProperties", "minLength", "maxLength", "pattern", "example", "anyOf", "propertyOrdering",
    "default", "items", "minimum", "maximum",
})  # fmt: skip
_FUNCTION_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$")


def named(fields: JsonObject, name: str) -> JsonValue:
    """A field by its name in camel case, or by the same in snake case."""
    return fields[name] if name in fields else fields.get(_snake(name))


def check_request(model: str, body: JsonObject) -> None:
    """Raise `VendorError` where the vendor refuses: unknown fields, no contents, misplaced or unsigned calls."""
    _refuse_unknown(body, _REQUEST_FIELDS, "")
    contents = objects_in(body.get("contents"))
    if not contents:
        raise VendorError(400, "* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        if as_text(content.get("role")) not in {"", "user", "model", "function"}:
            raise VendorError(400, "Please use a valid role: user, model.")
        if not objects_in(content.get("parts")):
            place = f"* GenerateContentRequest.contents[{number}].parts: contents.parts must not be empty.\n"
            raise VendorError(400, place)
    _check_functions(body)
    _check_returns(contents)
    if model.startswith(_SIGNING_MODELS):
        _check_signatures(contents)


def read_request(model: str, body: JsonObject, *, streams: bool) -> Conversation:
    """The request in neutral form."""
    contents = objects_in(body.get("contents"))
    settings = as_object(named(body, "generationConfig"))
    schema = as_object(named(settings, "responseJsonSchema")) or _json_schema(named(settings, "responseSchema"))
    system = as_object(named(body, "systemInstruction"))
    return Conversation(
        model=model,
        entries=gather(entry for content in contents for entry in _entries(content)),
        prompt=tuple(_prompt(body, system, contents)),
        instructions=_text(system),
        tools=tuple(_tools(body)),
        streams=streams,
        max_output_tokens=as_count(named(settings, "maxOutputTokens")),
        answer_schema=schema or None,
        forced_tool=_forced_tool(body),
    )


def _forced_tool(body: JsonObject) -> str:
    """The only function that may be called, where one must be."""
    calling = as_object(named(as_object(named(body, "toolConfig")), "functionCallingConfig"))
    allowed = as_list(named(calling, "allowedFunctionNames"))
    return as_text(allowed[0]) if named(calling, "mode") == "ANY" and len(allowed) == 1 else ""


def shows_thoughts(body: JsonObject) -> bool:
    """True if the answer is to contain what the model thought."""
    settings = as_object(named(body, "generationConfig"))
    return named(as_object(named(settings, "thinkingConfig")), "includeThoughts") is True


def signature_of(text: str) -> str:
    """The thought signature that the simulated model puts beside a part."""
    return b64encode(SIGNED + text.encode()[:64]).decode()


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda letter: f"_{letter[1].lower()}", name)


def _refuse_unknown(fields: JsonObject, known: frozenset[str], place: str) -> None:
    spelled = known | {_snake(name) for name in known}
    unknown = next((name for name in fields if name not in spelled), None)
    if unknown is not None:
        at = f" at '{place}'" if place else ""
        message = f'Invalid JSON payload received. Unknown name "{unknown}"{at}: Cannot find field.'
        raise VendorError(400, message)


# --- functions -----------------------------------------------------------------------------------------------------


def _declarations(body: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """Each declared function, with its place in the request."""
    for index, tool in enumerate(objects_in(body.get("tools"))):
        for number, function in enumerate(objects_in(named(tool, "functionDeclarations"))):
            yield f"tools[{index}].function_declarations[{number}]", function


def _check_functions(body: JsonObject) -> None:
    for place, function in _declarations(body):
        if not _FUNCTION_NAME.match(as_text(function.get("name"))):
            message = f"Invalid function name at {place}. Must start with a letter or an underscore."
            raise VendorError(400, f"* GenerateContentRequest.{place}.name: {message}\n")
        _check_schema(function.get("parameters"), f"{place}.parameters")
    settings = as_object(named(body, "generationConfig"))
    _check_schema(named(settings, "responseSchema"), "generation_config.response_schema")


def _check_schema(schema: JsonValue, place: str, depth: int = 0) -> None:
    """Refuse what the vendor's own schema language lacks, such as `additionalProperties`, `const` and `$ref`."""
    if not isinstance(schema, Mapping) or depth > 32:
        return
    _refuse_unknown(schema, _SCHEMA_FIELDS, place)
    if not isinstance(schema.get("type", ""), str):
        raise VendorError(400, f"Invalid value at '{place}.type' (TYPE_ENUM), list")
    for name, inner in as_object(schema.get("properties")).items():
        _check_schema(inner, f"{place}.properties[{name}]", depth + 1)
    _check_schema(schema.get("items"), f"{place}.items", depth + 1)
    for number, inner in enumerate(objects_in(named(schema, "anyOf"))):
        _check_schema(inner, f"{place}.any_of[{number}]", depth + 1)


def _tools(body: JsonObject) -> Iterator[OfferedTool]:
    for _, function in _declarations(body):
        schema = as_object(named(function, "parametersJsonSchema")) or _json_schema(function.get("parameters"))
        yield OfferedTool(
            as_text(function.get("name")), schema=schema, description=as_text(function.get("description"))
        )


def _json_schema(schema: JsonValue, depth: int = 0) -> JsonObject:
    """The vendor's schema as JSON Schema: its types are spelled in capitals."""
    fields = dict(as_object(schema))
    if depth > 32 or not fields:
        return {}
    if isinstance(fields.get("type"), str):
        fields["type"] = as_text(fields["type"]).lower()
    inner = as_object(fields.get("properties"))
    if inner:
        fields["properties"] = {name: _json_schema(value, depth + 1) for name, value in inner.items()}
    if "items" in fields:
        fields["items"] = _json_schema(fields["items"], depth + 1)
    if objects_in(fields.get("anyOf")):
        fields["anyOf"] = [_json_schema(option, depth + 1) for option in objects_in(fields["anyOf"])]
    return fields


# --- the conversation ----------------------------------------------------------------------------------------------


def _parts(content: JsonObject) -> list[JsonObject]:
    return objects_in(content.get("parts"))


def _calls(content: JsonObject) -> list[JsonObject]:
    return [part for part in _parts(content) if named(part, "functionCall") is not None]


def _returns(content: JsonObject) -> list[JsonObject]:
    return [part for part in _parts(content) if named(part, "functionResponse") is not None]


def _text(content: JsonObject) -> str:
    shown = (part for part in _parts(content) if part.get("thought") is not True)
    return "\n".join(as_text(part.get("text")) for part in shown if as_text(part.get("text")))


def _entries(content: JsonObject) -> Iterator[Entry]:
    if content.get("role") == "model":
        calls = [as_object(named(part, "functionCall")) for part in _calls(content)]
        names = tuple(as_text(call.get("id")) or as_text(call.get("name")) for call in calls)
        yield ModelAnswer(_text(content), names)
        return
    for part in _returns(content):
        returned = as_object(named(part, "functionResponse"))
        yield ToolReturn(as_text(returned.get("id")) or as_text(returned.get("name")))
    # Each by itself: a gateway that joins messages leaves what a harness wrote beside what a person did.
    yield from (UserText(as_text(part.get("text"))) for part in _parts(content) if as_text(part.get("text")))


def _check_returns(contents: list[JsonObject]) -> None:
    """Refuse calls that are not all answered in the content after them."""
    for before, after in zip(contents, [*contents[1:], None], strict=True):
        calls = len(_calls(before)) if before.get("role") == "model" else 0
        returns = 0 if after is None else len(_returns(after))
        if after is not None and calls != returns:
            message = (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
            raise VendorError(400, message)


def _check_signatures(contents: list[JsonObject]) -> None:
    """Refuse a step of the current turn whose first call lacks the signature it was issued with."""
    opened = max((number for number, content in enumerate(contents) if _opens_turn(content)), default=0)
    for number, content in enumerate(contents[opened:], opened):
        calls = _calls(content) if content.get("role") == "model" else []
        if not calls:
            continue
        signature = as_text(named(calls[0], "thoughtSignature"))
        if not signature:
            called = as_text(as_object(named(calls[0], "functionCall")).get("name"))
            message = (
                "Function call is missing a thought_signature in functionCall parts. Additional data, function call "
                f"`default_api:{called}` , position {number + 1}."
            )
            raise VendorError(400, message)
        if not _is_valid(signature):
            raise VendorError(400, "Thought signature is not valid.")


def _opens_turn(content: JsonObject) -> bool:
    return content.get("role") != "model" and not _returns(content)


def _is_valid(signature: str) -> bool:
    if signature in _UNSIGNED_HISTORY:
        return True
    try:
        opened = urlsafe_b64decode(signature.replace("+", "-").replace("/", "_") + "==")
    except ValueError:
        return False
    return opened.startswith(SIGNED) or opened.decode(errors="ignore") in _UNSIGNED_HISTORY


def _prompt(body: JsonObject, system: JsonObject, contents: list[JsonObject]) -> Iterator[Segment]:
    """The input in the order the vendor caches it, without what may differ between equal histories."""
    if system:
        yield segment("system", system)
    for tool in objects_in(body.get("tools")):
        yield segment("tool", tool)
    for content in contents:
        for part in _parts(content):
            kept = {
                name: value for name, value in part.items() if name not in {"thoughtSignature", "thought_signature"}
            }
            yield segment(as_text(content.get("role")) or "user", kept)
