"""The service on a loopback port, inside the running event loop."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.server import ServerState

from airside.testing.simulated.serving.wire import WatchedProtocol

_HOST = "127.0.0.1"
_IDLE_CONNECTION_S = 300  # longer than any client keeps one, so that none is closed under a client's next request


class Listener:
    """A listening socket and its connections."""

    def __init__(self, app: ASGIApp) -> None:
        # Uvicorn's own `Server` installs signal handlers, which are not ours to take inside a test; the protocol is
        # all that is needed of it.
        self._config = Config(
            app,
            http=WatchedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=_IDLE_CONNECTION_S,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def open(self, port: int) -> str:
        """Listen on the port, 0 for any free one, and return the base URL. Raises `OSError` if it is taken."""
        self._config.load()
        self._server = await asyncio.get_running_loop().create_server(self._connected, _HOST, port)
        return f"http://{_HOST}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening, break off what is under way, and return when nothing is left of it."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    def _connected(self) -> asyncio.Protocol:
        return WatchedProtocol(config=self._config, server_state=self._state, app_state={})
