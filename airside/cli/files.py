"""Reads the configuration file that a command was given."""

from __future__ import annotations

from pathlib import Path

from airside.errors import BadInput


def read_file(file: Path) -> str:
    """The text of a configuration file. Raises `BadInput`."""
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{file} cannot be read: {error}", hint="Give the path of an airside.yaml.") from error
