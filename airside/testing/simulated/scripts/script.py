"""The script format: a YAML list of steps, one step for each answer of the model.

    - think: Run the tests first.
      say: I will look at the failing test.
      calls:
        - bash: python -m pytest -q
        - read: calculator.py
    - calls:
        - edit: {path: calculator.py, old: "    return a - b", new: "    return a + b"}
    - say: All tests pass.

In a prompt it stands in a fenced block whose info string is `script`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from airside.errors import BadInput


class BadScript(BadInput):
    """A script that cannot be followed as written."""

    code = "bad_script"


class Stop(StrEnum):
    """Why an answer ends, in Anthropic's words plus `content_filter`; each dialect says it in its own."""

    END_TURN = "end_turn"
    TOOL_USE = "tool_use"
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    PAUSE_TURN = "pause_turn"
    REFUSAL = "refusal"
    CONTENT_FILTER = "content_filter"
    CONTEXT_WINDOW = "model_context_window_exceeded"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WriteFile(_Part):
    """What `write` takes."""

    path: str
    content: str


class EditFile(_Part):
    """What `edit` takes. Whole lines with their indentation work with every harness, parts of lines with most."""

    path: str
    old: str
    new: str


class NamedTool(_Part):
    """What `tool` takes. A name that is not offered is refused in words, unless `even_if_not_offered`."""

    name: str
    input: dict[str, JsonValue] = Field(default_factory=dict)
    even_if_not_offered: bool = False


class Call(_Part):
    """One tool call, in neutral words."""

    bash: str | None = None
    read: str | None = None
    write: WriteFile | None = None
    edit: EditFile | None = None
    tool: NamedTool | None = None

    @model_validator(mode="after")
    def _names_one_verb(self) -> Call:
        if len(self.model_fields_set) != 1:
            raise ValueError("a call names exactly one of bash, read, write, edit, tool")
        return self


class Pace(_Part):
    """How a streamed answer is cut, and how long it rests before each piece."""

    chunk_chars: int = Field(default=48, ge=1)
    delay_ms: int = Field(default=0, ge=0)


class Hold(_Part):
    """A point where the answer stops until the test releases the name.

    Without `after_chars` it stops after its first content; with 0, before any.
    """

    name: str
    after_chars: int = Field(default=1, ge=0)


class ScriptedUsage(_Part):
    """Counters that replace the simulated ones; what is left out counts as nothing."""

    input: int = Field(default=0, ge=0)  # neither read from nor written to a cache
    cache_read: int = Field(default=0, ge=0)
    cache_write_5m: int = Field(default=0, ge=0)
    cache_write_1h: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    reasoning: int = Field(default=0, ge=0)


def _hold_by_name(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class Step(_Part):
    """One answer of the model."""

    say: str = ""
    think: str = ""
    calls: tuple[Call, ...] = ()
    pace: Pace = Field(default_factory=Pace)
    usage: ScriptedUsage | None = None
    stop: Stop | None = None
    hold: Annotated[Hold | None, BeforeValidator(_hold_by_name)] = None
    demand_key: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Step:
        if not (self.say or self.think or self.calls or self.stop):
            raise ValueError("a step has at least one of say, think, calls, stop")
        return self


Script = tuple[Step, ...]
_SCRIPT: TypeAdapter[Script] = TypeAdapter(Annotated[Script, Field(min_length=1)])


def read_script(text: str) -> Script:
    """The steps written in YAML. Raises `BadScript` naming the line or the field, and what was expected there."""
    try:
        written = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise BadScript(f"the script is not YAML: {' '.join(str(problem).split())}") from problem
    return check_script(written)


def check_script(written: object) -> Script:
    """The steps given as plain values. Raises `BadScript` naming the field and what was expected there."""
    if not isinstance(written, list | tuple):
        raise BadScript("the script is not a list of steps", hint="begin each step with '- say: ...' or '- calls: ...'")
    try:
        return _SCRIPT.validate_python(written)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "script"
        raise BadScript(f"the script is wrong at {place}: {first['msg']}") from problem


_FENCE = re.compile(
    r"^(?P<indent>[ \t>]*)(?P<ticks>`{3,})script[ \t]*\r?\n(?P<body>.*?)^[ \t>]*(?P=ticks)`*[ \t]*(?:\r?\n|\Z)",
    re.DOTALL | re.MULTILINE,
)


def last_fenced(text: str) -> tuple[str, str] | None:
    """The last script block of a text and what follows it; None if there is none.

    A block may be indented or quoted, as in a transcript; a longer fence lets a script contain a shorter one.
    """
    found = None
    for found in _FENCE.finditer(text):  # noqa: B007 - the last match is what is wanted
        pass
    if found is None:
        return None
    indent = found["indent"]
    lines = [line.removeprefix(indent) for line in found["body"].splitlines()]
    return "\n".join(lines), text[found.end() :]
