"""Where tests build sandboxes: the folders of sessions, and a gateway that only says "ok"."""

import asyncio
import contextlib
import secrets
from pathlib import Path

from airside.ids import SessionId
from airside.sandboxes.bubblewrap import BubblewrapDriver
from airside.sandboxes.contract import GatewayAddress, Sandbox, SandboxDriver, SandboxPaths, SandboxSpec
from airside.sandboxes.leftovers import marked
from airside.sandboxes.process import ProcessDriver

DRIVERS: dict[str, SandboxDriver] = {"bubblewrap": BubblewrapDriver(), "process": ProcessDriver()}


async def say_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
    writer.close()


class Grounds:
    """Where a test builds its sandboxes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.socket = folder / "gateway" / "gateway.sock"
        # Of this test alone: leftovers are found by it all over the machine, where other tests run at the same time.
        self.session = f"sesn_{secrets.token_hex(8)}"

    def paths(self, session: str | None = None) -> SandboxPaths:
        session = session or self.session
        paths = SandboxPaths(*(self.folder / session / name for name in ("workspace", "home", "run")))
        for place in (paths.workspace, paths.home, paths.run):
            place.mkdir(parents=True, exist_ok=True)
        return paths

    def sandbox(self, kind: str = "bubblewrap", session: str | None = None, **changes: object) -> Sandbox:
        spec = {
            "session_id": SessionId(session or self.session),
            "paths": self.paths(session),
            "gateway": GatewayAddress(f"http://127.0.0.1:{self.port}", self.socket),
            **changes,
        }
        return DRIVERS[kind].build(SandboxSpec(**spec))

    def running(self) -> list[int]:
        """The processes of this test's session that are alive on this machine."""
        return [identity.pid for identity in marked("AIRSIDE_SESSION", self.session)]
