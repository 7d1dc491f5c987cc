"""Cells of the matrix are held against the published page, or written down for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conformance_matrix import Matrix
from gateway_processes import GatewayProcess


def pytest_addoption(parser: pytest.Parser) -> None:
    """Only known when this folder is named on the command line, as `tools/write-conformance` does."""
    parser.addoption("--conformance-out", help="write what was found, instead of holding it against the page")


@pytest.fixture
def publish(request: pytest.FixtureRequest) -> Callable[[str, str, str, str], None]:
    """Holds a cell against the page; with `--conformance-out FILE`, writes it down instead."""
    out: str | None = request.config.getoption("--conformance-out", default=None)

    def hold(client: str, feature: str, family: str, outcome: str) -> None:
        if out is None:
            assert Matrix.published().cells.get((client, feature, family)) == outcome
            return
        cell = {"client": client, "feature": feature, "family": family, "outcome": outcome}
        with Path(out).open("a") as lines:
            lines.write(json.dumps(cell) + "\n")

    return hold


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways that end with the test."""
    started: list[GatewayProcess] = []

    def begin(*options: str) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path / "data", options)
        started.append(gateway)
        gateway.start()
        return gateway

    yield begin
    for gateway in started:
        gateway.stop()
