"""The whole of Airside on this machine: real processes, real sandboxes, real harnesses; simulated is only the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from airside_system import System, install_harnesses
from places import place_outside_tmp

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
    with place_outside_tmp() as made:
        yield made


@pytest.fixture
async def system(place: Path, request: pytest.FixtureRequest) -> AsyncIterator[System]:
    """Control plane, gateway and worker, each a process that a test can kill and start again."""
    if "harness" in request.fixturenames:
        request.getfixturevalue("installed")
    async with System(place) as system:
        await system.start()
        yield system
