"""Reading what a harness left under its HOME, from outside its sandbox.

Everything there may have been put there by a hostile program: a link that leads out, a pipe that never ends, a file
without end. So no link is followed on any part of the way, only plain files are opened, and only so much is read.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

LARGEST_FILE_BYTES = 512 << 20

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a named pipe waits for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_file(home: Path, name: str, *, largest_bytes: int = LARGEST_FILE_BYTES) -> bytes | None:
    """The content of a plain file under HOME; None if there is none, or it is larger than that."""
    *folders, last = name.split("/")
    with contextlib.ExitStack() as opened:
        try:
            place = _open(opened, str(home), _FOLDER, None)
            for folder in folders:
                place = _open(opened, folder, _FOLDER, place)
            found = _open(opened, last, _FILE, place)
        except OSError:
            return None
        about = os.fstat(found)
        if not stat.S_ISREG(about.st_mode) or about.st_size > largest_bytes:
            return None
        with os.fdopen(os.dup(found), "rb") as file:
            return file.read(largest_bytes)


def _open(opened: contextlib.ExitStack, name: str, flags: int, place: int | None) -> int:
    descriptor = os.open(name, flags, dir_fd=place)
    opened.callback(os.close, descriptor)
    return descriptor


def find_files(home: Path, pattern: str) -> list[str]:
    """The names, relative to HOME, of the plain files that match; `*` stands for any part of one name.

    `**` is not understood: a harness's layout is known, and a hostile tree is not to be walked without end.
    """
    return sorted(_matching(home, pattern.split("/"), ""))


def _matching(folder: Path, parts: list[str], prefix: str) -> Iterator[str]:
    first, *rest = parts
    try:
        entries = list(os.scandir(folder)) if not folder.is_symlink() else []
    except OSError:
        return
    for entry in entries:
        if not fnmatchcase(entry.name, first):
            continue
        if not rest and entry.is_file(follow_symlinks=False):
            yield prefix + entry.name
        elif rest and entry.is_dir(follow_symlinks=False):
            yield from _matching(folder / entry.name, rest, f"{prefix}{entry.name}/")
