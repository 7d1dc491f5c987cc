"""What can be installed: a program, where its releases come from, and which of them is pinned."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airside.errors import BadInput, Unavailable


class InstallFailed(Unavailable):
    """A harness could not be fetched, or what was fetched is not what it has to be."""

    code = "install_failed"


@dataclass(frozen=True, slots=True)
class Pin:
    """One artefact that is known by its content: the package's own version, and digests of which one must match.

    A digest is spelled as the registry spells it: `sha256:<hex>` on PyPI, `sha512-<base64>` on npm.
    """

    version: str
    digests: Sequence[str]


@dataclass(frozen=True, slots=True)
class PypiWheel:
    """A wheel that carries the program. `executable` is its place inside."""

    package: str
    executable: str
    pins: Mapping[str, Pin] = field(default_factory=dict)  # by version of the program


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """One npm package for each kind of machine, named by `uname -m`, or by `<that>-baseline` without AVX2."""

    packages: Mapping[str, str]
    executable: str
    pins: Mapping[tuple[str, str], Pin] = field(default_factory=dict)  # by package and version


@dataclass(frozen=True, slots=True)
class Program:
    """One harness's program.

    `pinned` is installed when nobody names a version; nothing under `floor` is ever installed or used, because older
    releases have faults that a repository can use. `sources` are tried in order: the first that can have a version
    is asked for it. `bundled` is the folder of a program that is part of this package and needs no installing.
    """

    name: str
    pinned: str
    floor: str
    executable: str = ""
    sources: Sequence[PypiWheel | NpmPackage] = ()
    bundled: Path | None = None


def version_key(version: str) -> tuple[int, ...]:
    """What versions are ordered by. Raises `BadInput` for anything but numbers with dots between."""
    if not re.fullmatch(r"\d+(\.\d+)*", version):
        raise BadInput(f"'{version}' is no version", hint="a version is numbers with dots, such as 1.18.33")
    return tuple(int(number) for number in version.split("."))
