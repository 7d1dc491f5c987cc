"""The whole of Airside on this machine: real processes, real sandboxes, real harnesses; simulated is only the model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from airside_system import System, install_harnesses

HARNESSES = ["scripted", "codex", "claude-code", "opencode"]


@pytest.fixture(scope="session")
def installed() -> None:
    """The real harnesses, beside the program; fetched if they are not there."""
    install_harnesses()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "harness" in metafunc.fixturenames:
        marks = [pytest.mark.harness, pytest.mark.timeout(180)]
        metafunc.parametrize(
            "harness", [name if name == "scripted" else pytest.param(name, marks=marks) for name in HARNESSES]
        )


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder outside /tmp: Codex refuses a home there when it runs without a sandbox."""
    root = Path(__file__).parents[2] / ".cache" / "system-tests"
    root.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=root))
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
async def system(place: Path, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """Control plane, gateway and worker, each a process that a test can kill and start again."""
    if "harness" in request.fixturenames:
        request.getfixturevalue("installed")
    async with System(place) as system:
        await system.start()
        yield system
