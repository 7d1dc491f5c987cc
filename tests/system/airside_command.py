"""The `airside` command as a person or a script runs it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airside.settings import environment

PATIENCE_S = 120


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        """The one JSON document on the standard output."""
        return json.loads(self.out)

    @property
    def last(self) -> Any:
        """The JSON of the last line."""
        return json.loads(self.out.splitlines()[-1])


def surroundings(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Nothing of this machine's but the search path."""
    return {"PATH": environment()["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "NO_COLOR": "1", **(more or {})}


def airside(home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Said:
    """Run a command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "airside", *arguments],
        env=surroundings(home, variables),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


class Up:
    """A running `airside up --json`."""

    def __init__(self, home: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> None:
        self.home = home
        command = [sys.executable, "-m", "airside", "up", "--json", "--data", str(home / "data"), *arguments]
        self.log = (home / "up.log").open("w+")
        self.process = subprocess.Popen(
            command, env=surroundings(home, variables), cwd=home, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()

    @property
    def ready(self) -> Mapping[str, Any]:
        """What it said when it was up."""
        found: dict[str, Any] = json.loads(self.first_line)
        return found

    def airside(self, *arguments: str) -> Said:
        """Run a command against it."""
        return airside(self.home, *arguments, "--data", str(self.home / "data"))

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command against it and do not wait for its end."""
        command = [sys.executable, "-m", "airside", *arguments, "--data", str(self.home / "data")]
        return subprocess.Popen(
            command, env=surroundings(self.home), cwd=self.home, stdout=subprocess.PIPE, stderr=self.log, text=True
        )

    def children(self) -> dict[str, int]:
        """Its processes by role, as their command lines show it."""
        found = {}
        for pid in _children_of(self.process.pid):
            with contextlib.suppress(OSError):  # it may end while it is looked at
                words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                found[_role(words)] = pid
        return found

    def told(self, said: Said) -> str:
        """All there is to read about a command that did not do what it should."""
        events = self.airside("sessions", "events", str(said.last.get("session_id", "")), "--json").out
        return "\n".join((said.out, said.errors, events, (self.home / "up.log").read_text()))

    def end(self) -> tuple[int, str]:
        """Ask it to drain; its exit code, and what else it printed."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        self.log.close()
        return self.process.returncode, out

    def stop(self) -> None:
        if self.process.poll() is None:
            self.end()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.log.close()


def _role(words: Sequence[str]) -> str:
    known = ("control", "worker", "gateway", "simulated")
    return next((role for role in known if role in words or f"airside.testing.{role}" in words), " ".join(words))


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
