"""Patches in the format of the `apply_patch` tool: what Codex edits files with."""

from __future__ import annotations

from airside.testing.simulated.scripts.script import EditFile, WriteFile


def adding(file: WriteFile) -> str:
    """A patch that writes a whole file, over what may be there."""
    return _patch(f"*** Add File: {file.path}", _prefixed("+", file.content))


def changing(edit: EditFile) -> str:
    """A patch that puts new lines in the place of old ones. Matches whole lines only."""
    return _patch(f"*** Update File: {edit.path}", ["@@", *_prefixed("-", edit.old), *_prefixed("+", edit.new)])


def _prefixed(sign: str, text: str) -> list[str]:
    return [sign + line for line in text.splitlines()]


def _patch(header: str, lines: list[str]) -> str:
    return "\n".join(["*** Begin Patch", header, *lines, "*** End Patch", ""])
