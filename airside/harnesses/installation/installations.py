"""Which harness programs are on this machine, putting others there, and taking them away.

A root holds one folder for each version: `<root>/<harness>/<version>/`, with a note `installation.json` of what is in
it. A folder comes into being under its final name only when it is complete, so what is found can be used.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airside.errors import BadInput, NotFound, Refused
from airside.harnesses.installation.clients import Progress
from airside.harnesses.installation.fetching import fetch
from airside.harnesses.installation.programs import InstallFailed, Program, version_key

_NOTE = "installation.json"
_CONTENT = "program"
_INCOMING = ".incoming"
_TOOLS = ".tools"
_ANSWERS_WITHIN_S = 60


class HarnessMissing(NotFound):
    """The harness is not installed, or not in the version that was named."""

    code = "harness_missing"


class HarnessTooOld(Refused):
    """A version with faults that a repository can use."""

    code = "harness_too_old"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installed version of a harness's program."""

    name: str
    version: str
    folder: Path  # to be shown read-only inside a sandbox
    executable: Path


class Installations:
    """The programs under some roots; the first root that has a version wins.

    `data`: the data directory that is to be named in hints, for who reads them may stand on another.
    """

    def __init__(self, programs: Sequence[Program], roots: Sequence[Path], data: Path | None = None) -> None:
        self._programs = {program.name: program for program in programs}
        self._roots = list(roots)
        self._data = data

    def find(self, name: str, version: str | None = None) -> Installation:
        """This version of a harness, or the pinned one, or without that the newest.

        Raises `HarnessMissing` with the command that installs it, `HarnessTooOld` for a version under the floor.
        """
        program = self._program(name)
        if program.bundled is not None:
            return _bundled(program, program.bundled)
        if version is not None:
            self._refuse_old(program, version)
        found = {each.version: each for each in self._usable(program)}
        if version is None and found:
            return found.get(program.pinned) or found[max(found, key=version_key)]
        if version in found:
            return found[version]
        named = name if version is None else f"{name}@{version}"
        raise HarnessMissing(
            f"the harness {named} is not installed", hint=f"install it with: {self._install_command(named)}"
        )

    def _install_command(self, named: str) -> str:
        where = f" --data {shlex.quote(str(self._data))}" if self._data is not None else ""
        return f"airside harness install {named}{where}"

    def installed(self) -> list[Installation]:
        """Everything that is installed, by name and version, whether or not it may still be used."""
        found = [each for program in self._programs.values() for each in self._all(program)]
        return sorted(found, key=lambda each: (each.name, version_key(each.version)))

    def versions(self, name: str) -> list[str]:
        """The installed versions of one harness. Raises `BadInput` for a name that is no harness."""
        return sorted({each.version for each in self._all(self._program(name))}, key=version_key)

    def install(
        self, name: str, version: str | None = None, *, root: Path | None = None, progress: Progress = lambda _: None
    ) -> Installation:
        """Install a version, by default the pinned one, into a root, by default the first.

        Does nothing if that root has it. Runs for as long as a download of some hundred megabytes takes; a second
        process that wants the same waits for the first. Raises `InstallFailed`, and leaves nothing behind.
        """
        program = self._program(name)
        if program.bundled is not None:
            return _bundled(program, program.bundled)
        version = version or program.pinned
        self._refuse_old(program, version)
        root = root or self._roots[0]
        with _only_one(root):
            existing = _read(program, root / name / version)
            if existing is not None:
                progress(f"{name} {version} is installed")
                return existing
            return _install(program, version, root, progress)

    def remove(self, name: str, version: str) -> None:
        """Remove a version from the first root that has it. Raises `HarnessMissing` if none has."""
        program = self._program(name)
        for root in self._roots:
            if _read(program, root / name / version) is None:
                continue
            with _only_one(root):
                # Out of sight in one step, so that nobody finds half of it.
                doomed = _fresh(root) / "removed"
                (root / name / version).rename(doomed)
                shutil.rmtree(doomed.parent)
            return
        raise HarnessMissing(f"the harness {name}@{version} is not installed", hint="see: airside harness list")

    def _program(self, name: str) -> Program:
        if name not in self._programs:
            raise BadInput(f"there is no harness '{name}'", hint=f"harnesses: {', '.join(sorted(self._programs))}")
        return self._programs[name]

    def _refuse_old(self, program: Program, version: str) -> None:
        if version_key(version) < version_key(program.floor):
            raise HarnessTooOld(
                f"{program.name} {version} is older than {program.floor}, the oldest that is safe to run",
                hint=f"install the pinned version with: {self._install_command(program.name)}",
            )

    def _all(self, program: Program) -> Iterator[Installation]:
        if program.bundled is not None:
            yield _bundled(program, program.bundled)
            return
        for root in self._roots:
            for folder in sorted((root / program.name).glob("*")):
                found = _read(program, folder)
                if found is not None:
                    yield found

    def _usable(self, program: Program) -> list[Installation]:
        # Backwards, so that the first root's comes last and stays.
        everything = list(self._all(program))[::-1]
        return [each for each in everything if version_key(each.version) >= version_key(program.floor)]


def _bundled(program: Program, folder: Path) -> Installation:
    return Installation(program.name, program.pinned, folder, folder / program.executable)


def _read(program: Program, folder: Path) -> Installation | None:
    """What the note in this folder says; None when there is none, or it is of something else."""
    try:
        note = json.loads((folder / _NOTE).read_text())
        executable = folder / note["executable"]
        version_key(note["version"])
    except (OSError, ValueError, KeyError, TypeError, BadInput):
        return None
    if note["name"] != program.name or not os.access(executable, os.X_OK):
        return None
    return Installation(program.name, note["version"], folder, executable)


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fresh(root: Path) -> Path:
    """An empty folder for what is not complete yet; what an earlier process left in it is removed."""
    place = root / _INCOMING
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    return place


def _install(program: Program, version: str, root: Path, progress: Progress) -> Installation:
    incoming = _fresh(root)
    folder = incoming / version
    folder.mkdir()
    try:
        executable = fetch(program, version, folder / _CONTENT, root / _TOOLS, progress)
        progress(f"checking that {program.name} {version} starts")
        _check_that_it_starts(executable, version, incoming)
        note = {"name": program.name, "version": version, "executable": str(executable.relative_to(folder))}
        (folder / _NOTE).write_text(json.dumps(note, indent=2) + "\n")
        (root / program.name).mkdir(exist_ok=True)
        place = root / program.name / version
        shutil.rmtree(place, ignore_errors=True)  # without a note: left by something that was not this program
        folder.rename(place)
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    installed = _read(program, place)
    if installed is None:
        raise InstallFailed(f"{program.name} {version} is not there after it was installed in {root}")
    progress(f"installed {program.name} {version}")
    return installed


def _check_that_it_starts(executable: Path, version: str, folder: Path) -> None:
    """Ask the program for its version, with nothing of ours in its environment."""
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    try:
        said = subprocess.run(
            [str(executable), "--version"],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_ANSWERS_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as refused:
        raise InstallFailed(f"what was fetched does not start: {refused}") from refused
    if version not in said.stdout:
        raise InstallFailed(
            f"what was fetched says that it is '{said.stdout.strip()}', not {version}{said.stderr[-500:]}"
        )
