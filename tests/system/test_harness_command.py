"""`airside harness` on what is installed in a data directory and beside the program."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airside_command import Said, surroundings

VERSION = "0.163.0"


@dataclass(frozen=True)
class Machine:
    """This program under a prefix of its own, so that what is shared there is nobody else's."""

    root: Path

    @property
    def shared(self) -> Path:
        return self.root / "prefix" / "share" / "airside" / "harnesses" / "codex" / VERSION

    @property
    def own(self) -> Path:
        return self.root / "data" / "harnesses" / "codex" / VERSION

    def harness(self, *arguments: str) -> Said:
        command = [self.root / "prefix" / "bin" / "python", "-m", "airside", "harness", *arguments]
        done = subprocess.run(
            [*command, "--data", self.root / "data"],
            env=surroundings(self.root),
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def refusal(self, *arguments: str) -> Mapping[str, Any]:
        said = self.harness(*arguments, "--json")
        assert said.code == 1, said.out + said.errors
        found: dict[str, Any] = said.json["error"]
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    prefix = tmp_path / "prefix"
    venv.create(prefix, symlinks=True, with_pip=False)
    (packages,) = prefix.glob("lib/python3*/site-packages")
    (packages / "all.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return Machine(tmp_path)


def put(folder: Path) -> None:
    """An installation as `airside harness install` leaves it."""
    folder.mkdir(parents=True)
    (folder / "codex").write_text("")
    (folder / "codex").chmod(0o755)
    (folder / "installation.json").write_text(json.dumps({"name": "codex", "version": VERSION, "executable": "codex"}))


@pytest.mark.parametrize("named", ["codex", f"codex@{VERSION}"])
def test_what_is_shared_is_removed_only_when_that_is_asked_for(machine: Machine, named: str) -> None:
    put(machine.shared)
    refused = machine.refusal("remove", named)
    assert refused["code"] == "harness_missing"
    assert str(machine.root / "data") in refused["message"]
    assert f"airside harness remove {named} --shared" in refused["hint"]
    assert machine.shared.exists()
    assert machine.harness("remove", named, "--shared").code == 0
    assert not machine.shared.exists()


def test_a_copy_in_the_data_directory_is_removed_and_the_shared_one_stays(machine: Machine) -> None:
    put(machine.shared)
    put(machine.own)
    assert machine.harness("remove", "codex").code == 0
    assert not machine.own.exists()
    assert machine.shared.exists()


def test_removing_what_is_shared_leaves_the_copy_in_the_data_directory(machine: Machine) -> None:
    put(machine.own)
    assert "airside harness list" in machine.refusal("remove", "codex", "--shared")["hint"]
    assert machine.own.exists()
