"""Harnesses under test: each of them, or one by name, on a lab of its own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from harness_lab import HARNESSES, INSTALLATIONS, Lab, open_lab
from places import place_outside_tmp

REAL = [name for name in HARNESSES if name != "scripted"]


@pytest.fixture(scope="session")
def real_programs() -> None:
    """The real programs, fetched once into the checkout's cache."""
    for name in REAL:
        INSTALLATIONS.install(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "harness" in metafunc.fixturenames:
        names = [
            name if name == "scripted" else pytest.param(name, marks=[pytest.mark.harness, pytest.mark.timeout(120)])
            for name in HARNESSES
        ]
        metafunc.parametrize("harness", names)


@pytest.fixture
def home_of_tests() -> Iterator[Path]:
    with place_outside_tmp() as place:
        yield place


@pytest.fixture
async def lab(home_of_tests: Path, request: pytest.FixtureRequest) -> AsyncIterator[Lab]:
    if request.node.get_closest_marker("harness") is not None:
        request.getfixturevalue("real_programs")
    async with open_lab(home_of_tests) as lab:
        yield lab
