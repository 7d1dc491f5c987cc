"""A gateway process, a control plane and a provider of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_control_plane import ControlPlane
from gateway_processes import GatewayProcess
from gateway_provider import Provider


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as serving:
        yield serving


@pytest.fixture
def control() -> Iterator[ControlPlane]:
    with ControlPlane() as serving:
        yield serving


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., GatewayProcess]]:
    """Starts gateways that end with the test."""
    started: list[GatewayProcess] = []

    def begin(*options: str, data: str = "data", **settings: object) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path / data, options, **settings)
        started.append(gateway)
        gateway.start()
        return gateway

    yield begin
    for gateway in started:
        gateway.stop()


@pytest.fixture
def joined(
    start: Callable[..., GatewayProcess], control: ControlPlane, tmp_path: Path
) -> Callable[..., GatewayProcess]:
    """Starts gateways that follow the control plane."""
    token_file = tmp_path / "join-token"
    token_file.write_text(control.token)

    def begin(*options: str, **settings: object) -> GatewayProcess:
        return start("--control", control.url, "--join-token-file", str(token_file), *options, **settings)

    return begin
