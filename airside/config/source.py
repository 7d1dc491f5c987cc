"""YAML with places: reads a file into plain values and remembers on which line each of them stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from airside.errors import BadConfig

Path = tuple[str | int, ...]

_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
SEE_REFERENCE = "See docs/reference/airside-yaml.md."
_MOST_NODES = 100_000  # a file that expands beyond this is an attack or an accident


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a file, where, and what to do about it."""

    file: str
    line: int | None
    message: str
    hint: str

    @property
    def place(self) -> str:
        """File and line."""
        return f"{self.file}:{self.line}" if self.line else self.file

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def refuse(problems: Sequence[ConfigProblem]) -> BadConfig:
    """All problems of a file as one error to raise. Of several hints each says what place it is for."""
    hints = {problem.hint for problem in problems}
    told = hints if len(hints) == 1 else [f"{problem.place}: {problem.hint}" for problem in problems]
    return BadConfig("\n".join(str(problem) for problem in problems), hint="\n".join(told))


@dataclass(slots=True)
class Source:
    """A parsed file: its values, and the line of every path in it (1-based)."""

    file: str
    value: object = None
    lines: dict[Path, int] = field(default_factory=dict)

    def line_of(self, path: Path) -> int | None:
        """The line of a path, or of the nearest thing around it that is in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None

    def has(self, path: Path) -> bool:
        """True if this very path stands in the file."""
        return path in self.lines

    def problem(self, path: Path, message: str, hint: str) -> ConfigProblem:
        """A problem at that path."""
        return ConfigProblem(self.file, self.line_of(path), message, hint)


def read_source(text: str, file: str) -> Source:
    """Parse YAML. Raises `BadConfig` with the line for text that is no YAML, duplicate keys and absurd expansion."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise refuse([_no_yaml(file, error)]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        said = f"this is no YAML: the character U+{ord(text[error.position]):04X} is not allowed"
        raise refuse([ConfigProblem(file, line, said, "Remove it, and save the file as UTF-8 text.")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        hint = f"Nest it less deeply. {SEE_REFERENCE}"
        raise refuse([ConfigProblem(file, None, f"this is no YAML: {error}", hint)]) from error
    source = Source(file)
    if root is not None:
        source.value = _Reader(source).read(root, ())
    return source


def _no_yaml(file: str, error: yaml.MarkedYAMLError) -> ConfigProblem:
    noticed, began = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    noticed_on = noticed.line + 1 if noticed else None
    began_on = began.line + 1 if began else None
    context = error.context
    if context and began_on != noticed_on:
        context += f" that begins on line {began_on}"
    detail = ", ".join(part for part in (context, error.problem) if part)
    return ConfigProblem(file, noticed_on, f"this is no YAML: {detail}", _mending(detail, began_on))


def _mending(detail: str, began_on: int | None) -> str:
    """The next step for a complaint of the YAML parser's."""
    for words, opening, closing in (("flow mapping", "{", "}"), ("flow sequence", "[", "]")):
        if words in detail:
            return f"Close the {opening} of line {began_on} with {closing}, and put commas between what stands inside."
    if "quoted scalar" in detail:
        return f"Close the quotation mark of line {began_on}."
    if "'\\t'" in detail:
        return "Indent with spaces; YAML takes no tabs there."
    if "mapping values are not allowed" in detail:
        return (
            "Put text that holds a colon in quotation marks, and see that the line is indented as its neighbours are."
        )
    return f"See that the lines around it are indented alike and that names end in a colon. {SEE_REFERENCE}"


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = 0
        self._scalars = yaml.SafeLoader("")

    def read(self, node: yaml.Node, path: Path) -> object:
        self._seen += 1
        self._source.lines.setdefault(path, node.start_mark.line + 1)
        if self._seen > _MOST_NODES:
            said = f"this file expands to more than {_MOST_NODES} values"
            raise refuse([self._source.problem(path, said, "Write it with fewer aliases, such as *name.")])
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTION_TAGS:
            said = f"the tag {node.tag} means nothing here"
            raise refuse([self._source.problem(path, said, "Remove the tag, which begins with an exclamation mark.")])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> Mapping[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else "?"
            if key in values:
                line, first = key_node.start_mark.line + 1, self._source.lines[(*path, key)]
                said, hint = f"{key!r} stands here a second time", f"Keep this one or the one of line {first}."
                raise refuse([ConfigProblem(self._source.file, line, said, hint)])
            self._source.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.read(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            said, hint = f"{node.value!r} cannot be read: {error}", "Put it in quotation marks if it is text."
            raise refuse([self._source.problem(path, said, hint)]) from error
