"""`tools/system-packages` on a machine of stand-ins: what it installs, and what it leaves alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "system-packages"
THERE = ["bwrap", "git", "prlimit", "python3", "cc", "cargo"]


def asked_of_the_system(folder: Path, *more: str) -> list[str]:
    """Run it as root where only these programs are, and return what it said to `apt-get` and `service`."""
    log = folder / "asked"
    for name in (*THERE, *more):
        put(folder / name, "exit 0")
    put(folder / "id", "echo 0")
    for name in ("apt-get", "service"):
        put(folder / name, f'echo "{name} $*" >> {log}')
    subprocess.run(["/bin/bash", TOOL], env={"PATH": str(folder)}, check=True, capture_output=True, timeout=30)
    return log.read_text().splitlines() if log.exists() else []


def put(file: Path, script: str) -> None:
    file.write_text(f"#!/bin/bash\n{script}\n")
    file.chmod(0o755)


def test_a_web_server_that_was_there_before_goes_on(tmp_path: Path) -> None:
    asked = asked_of_the_system(tmp_path, "nginx")
    (installed,) = [line.split() for line in asked if " install " in line]
    assert "socat" in installed
    assert "nginx-light" not in installed
    assert not [line for line in asked if line.startswith("service")]


@pytest.mark.skipif(Path("/usr/sbin/nginx").exists(), reason="nginx is on this machine")
def test_the_web_server_that_it_installs_does_not_serve(tmp_path: Path) -> None:
    asked = asked_of_the_system(tmp_path)
    assert any("nginx-light" in line for line in asked if " install " in line)
    assert "service nginx stop" in asked


def test_nothing_is_asked_where_everything_is(tmp_path: Path) -> None:
    assert asked_of_the_system(tmp_path, "nginx", "socat") == []
