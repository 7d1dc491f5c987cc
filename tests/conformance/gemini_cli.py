"""Gemini CLI, a client of the gateway that is no harness of ours: where it comes from and how it is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from airside.harnesses.installation.clients import npm
from airside.harnesses.installation.fetching import fetch
from airside.harnesses.installation.programs import NpmPackage, Pin, Program

VERSION = "0.61.0"
PACKAGE = "@google/gemini-cli"
SCRIPT = "package/bundle/gemini.js"
CLIENTS = Path(__file__).parents[2] / ".cache" / "clients"
_DIGEST = "sha512-dbQ9A0qBtFJNi6XBkHvfZ6Azpn6PNgH/P8h2MZ67RLlX8hSAVjup39CRWqdRxZv7YXIuhrFaytr8y0jKnkoxnQ=="
_PROGRAM = Program(
    name="gemini-cli",
    pinned=VERSION,
    floor=VERSION,
    sources=(
        NpmPackage(
            packages=dict.fromkeys(("x86_64", "x86_64-baseline", "aarch64"), PACKAGE),
            executable=SCRIPT,
            pins={(PACKAGE, VERSION): Pin(VERSION, (_DIGEST,))},
        ),
    ),
)


def installed() -> list[str]:
    """The command that starts it; fetched first if it is not there. Raises `InstallFailed`."""
    place = CLIENTS / "gemini-cli" / VERSION
    if not (place / SCRIPT).is_file():
        incoming = CLIENTS / ".incoming"
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir(parents=True)
        fetch(_PROGRAM, VERSION, incoming / VERSION, CLIENTS / ".tools", print)
        place.parent.mkdir(parents=True, exist_ok=True)
        (incoming / VERSION).rename(place)
    return [*_node(), str(place / SCRIPT)]


def _node() -> list[str]:
    found = shutil.which("node")
    if found is not None:
        return [found]
    # The wheel that brings npm where there is none brings node too.
    return npm(CLIENTS / ".tools", print)[:1]


def run(prompt: str, *, url: str, key: str, model: str, home: Path, folder: Path) -> str:
    """What it said in the end, having run its tools in `folder` without asking."""
    settings = home / ".gemini" / "settings.json"
    settings.parent.mkdir(parents=True)
    chosen: Mapping[str, object] = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "general": {"disableAutoUpdate": True, "disableUpdateNag": True},
        "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False},
    }
    settings.write_text(json.dumps(chosen))
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "GEMINI_API_KEY": key,
        "GOOGLE_GEMINI_BASE_URL": url,
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    command = [*installed(), "-p", prompt, "-m", model, "--output-format", "json", "--yolo"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return str(json.loads(done.stdout[done.stdout.index("{") :])["response"])


if __name__ == "__main__":
    installed()
