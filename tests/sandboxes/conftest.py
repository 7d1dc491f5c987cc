"""A session's folders, a gateway that only says "ok", and sandboxes of both kinds over them."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sandbox_grounds import Grounds, say_ok

from airside.sandboxes.contract import Sandbox


@pytest.fixture
async def grounds(tmp_path: Path) -> AsyncIterator[Grounds]:
    (tmp_path / "gateway").mkdir()
    over_tcp = await asyncio.start_server(say_ok, "127.0.0.1", 0)
    grounds = Grounds(tmp_path, over_tcp.sockets[0].getsockname()[1])
    over_socket = await asyncio.start_unix_server(say_ok, grounds.socket)
    async with over_tcp, over_socket:
        yield grounds


@pytest.fixture(params=["bubblewrap", "process"])
def sandbox(grounds: Grounds, request: pytest.FixtureRequest) -> Sandbox:
    """One sandbox of each kind: what they promise in common."""
    return grounds.sandbox(request.param)


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Waits for a condition of the outside world, and fails when it does not come true in ten seconds."""

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.01)

    return until


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a unix socket's name."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)
