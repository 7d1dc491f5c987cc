"""YAML with places: reads a file into plain values and remembers on which line each of them stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import yaml

from airside.errors import BadConfig

Path = tuple[str | int, ...]

_COLLECTION_TAGS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_MOST_NODES = 100_000  # a file that expands beyond this is an attack or an accident


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in a file, and where."""

    file: str
    line: int | None
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}" + (f"\n  hint: {self.hint}" if self.hint else "")


def refuse(problems: Sequence[ConfigProblem]) -> BadConfig:
    """All problems of a file as one error to raise."""
    return BadConfig("\n".join(str(problem) for problem in problems))


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

    def problem(self, path: Path, message: str, hint: str | None = None) -> ConfigProblem:
        """A problem at that path."""
        return ConfigProblem(self.file, self.line_of(path), message, hint)


def read_source(text: str, file: str) -> Source:
    """Parse YAML. Raises `BadConfig` with the line for text that is no YAML, duplicate keys and absurd expansion."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        detail = ", ".join(part for part in (error.context, error.problem) if part)
        raise refuse([ConfigProblem(file, mark.line + 1 if mark else None, f"this is no YAML: {detail}")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise refuse([ConfigProblem(file, None, f"this is no YAML: {error}")]) from error
    source = Source(file)
    if root is not None:
        source.value = _Reader(source).read(root, ())
    return source


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen = 0
        self._scalars = yaml.SafeLoader("")

    def read(self, node: yaml.Node, path: Path) -> object:
        self._seen += 1
        self._source.lines.setdefault(path, node.start_mark.line + 1)
        if self._seen > _MOST_NODES:
            raise refuse([self._source.problem(path, f"this file expands to more than {_MOST_NODES} values")])
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTION_TAGS:
            raise refuse([self._source.problem(path, f"the tag {node.tag} means nothing here")])
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
                line = key_node.start_mark.line + 1
                raise refuse([ConfigProblem(self._source.file, line, f"{key!r} stands here a second time")])
            self._source.lines[(*path, key)] = key_node.start_mark.line + 1
            values[key] = self.read(value_node, (*path, key))
        return values

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise refuse([self._source.problem(path, f"{node.value!r} cannot be read: {error}")]) from error
