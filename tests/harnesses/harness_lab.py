"""Where tests drive harnesses: real programs in real sandboxes, with simulated models where the gateway would be."""

import asyncio
import contextlib
import secrets
import shutil
import tarfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from airside.harnesses.claude_code import ClaudeCodeHarness
from airside.harnesses.claude_code.program import PROGRAM as CLAUDE_CODE
from airside.harnesses.codex import CodexHarness
from airside.harnesses.codex.program import PROGRAM as CODEX
from airside.harnesses.contract import (
    BuiltinTool,
    Harness,
    HarnessEvent,
    HarnessSpec,
    Message,
    Permission,
    RunningHarness,
    Secret,
    Started,
    ToolResult,
    ToolUse,
    TurnEnded,
)
from airside.harnesses.installation import Installation, Installations
from airside.harnesses.opencode import OpenCodeHarness
from airside.harnesses.opencode.program import PROGRAM as OPENCODE
from airside.harnesses.scripted.harness import ScriptedHarness
from airside.harnesses.scripted.program import PROGRAM as SCRIPTED
from airside.ids import SessionId
from airside.sandboxes.bubblewrap import BubblewrapDriver
from airside.sandboxes.contract import GatewayAddress, Sandbox, SandboxPaths, SandboxSpec
from airside.sandboxes.leftovers import marked
from airside.sandboxes.process import ProcessDriver
from airside.testing.simulated import SimulatedModels

HARNESSES: Mapping[str, Harness] = {
    each.name: each for each in (ClaudeCodeHarness(), CodexHarness(), OpenCodeHarness(), ScriptedHarness())
}
INSTALLATIONS = Installations(
    [CLAUDE_CODE, CODEX, OPENCODE, SCRIPTED], [Path(__file__).parents[2] / ".cache" / "harnesses"]
)
DRIVERS = {"bubblewrap": BubblewrapDriver(), "process": ProcessDriver()}
ALL_ALLOWED = dict.fromkeys((BuiltinTool.READ, BuiltinTool.EDIT, BuiltinTool.BASH), Permission.ALLOW)
MODEL = "team/coder"  # an alias as people write them, with a slash in it
DEADLINE_S = 45


def scripted(steps: str, said: str = "Do as the script says.") -> str:
    """A prompt that tells the simulated model what to answer."""
    return f"{said}\n```script\n{steps}\n```\n"


class Talk:
    """A running harness and what it reported."""

    def __init__(self, running: RunningHarness) -> None:
        self.running = running
        self.reports = running.events()

    async def next(self) -> HarnessEvent:
        async with asyncio.timeout(DEADLINE_S):
            return await anext(self.reports)

    async def until(self, kind: type[HarnessEvent]) -> list[HarnessEvent]:
        """Everything reported up to and with the next event of this kind."""
        seen = []
        while not seen or not isinstance(seen[-1], kind):
            seen.append(await self.next())
        return seen

    async def turn(self, text: str) -> list[HarnessEvent]:
        """One whole turn."""
        await self.running.send(text)
        return await self.until(TurnEnded)


def said(events: list[HarnessEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Message)]


def calls(events: list[HarnessEvent]) -> list[tuple[ToolUse, ToolResult]]:
    """Each tool use with its result, and the proof that there is exactly one for each."""
    uses = {event.call_id: event for event in events if isinstance(event, ToolUse)}
    results = [event for event in events if isinstance(event, ToolResult)]
    assert sorted(uses) == sorted(result.call_id for result in results)
    for result in results:
        assert events.index(uses[result.call_id]) < events.index(result)
    return [(uses[result.call_id], result) for result in results]


class Lab:
    """One session's folders, and simulated models behind a socket, as a gateway would be."""

    def __init__(self, folder: Path, models: SimulatedModels) -> None:
        self.folder = folder
        self.models = models
        self.session_id = SessionId(f"sesn_{secrets.token_hex(8)}")
        self.paths = SandboxPaths(*(folder / name for name in ("workspace", "home", "run")))
        for place in (self.paths.workspace, self.paths.home, self.paths.run, folder / "gateway"):
            place.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "gateway" / "gateway.sock"
        self._talks: list[Talk] = []

    def installation(self, name: str) -> Installation:
        return INSTALLATIONS.find(name)

    def sandbox(self, name: str, kind: str = "bubblewrap", **limits: int) -> Sandbox:
        return DRIVERS[kind].build(
            SandboxSpec(
                session_id=self.session_id,
                paths=self.paths,
                gateway=GatewayAddress(self.models.url, self.socket),
                programs=[self.installation(name).folder],
                **limits,
            )
        )

    def spec(self, name: str, **changes: object) -> HarnessSpec:
        if "executable" not in changes:  # a test that brings its own program needs no harness installed
            found = self.installation(name)
            changes = {"installation": found.folder, "executable": found.executable, **changes}
        spec = HarnessSpec(
            session_id=self.session_id,
            agent_name="tester",
            model=MODEL,
            family=HARNESSES[name].families[0],
            system=None,
            token=Secret("air_session_token"),
            installation=self.folder,
            executable=self.folder,
            builtin=ALL_ALLOWED,
        )
        return replace(spec, **changes)

    async def start(
        self, name: str, kind: str = "bubblewrap", sandbox: Sandbox | None = None, **changes: object
    ) -> Talk:
        sandbox = sandbox or self.sandbox(name, kind)
        async with asyncio.timeout(DEADLINE_S):
            running = await HARNESSES[name].start(self.spec(name, **changes), sandbox)
        talk = Talk(running)
        self._talks.append(talk)
        return talk

    async def started(self, name: str, kind: str = "bubblewrap", **changes: object) -> tuple[Talk, Started]:
        talk = await self.start(name, kind, **changes)
        first = await talk.next()
        assert isinstance(first, Started)
        return talk, first

    async def close(self) -> None:
        for talk in self._talks:
            await talk.running.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once something outside has come true."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await asyncio.sleep(0.01)

    def processes(self) -> list[int]:
        """What of this session is alive on this machine."""
        return [identity.pid for identity in marked("AIRSIDE_SESSION", self.session_id)]

    def move_to_a_fresh_home(self, name: str) -> None:
        """Keep of HOME only what the harness calls its session files, as a snapshot does."""
        kept = BytesIO()
        with tarfile.open(fileobj=kept, mode="w") as archive:
            for pattern in HARNESSES[name].session_files:
                for place in self.paths.home.glob(pattern):
                    archive.add(place, place.relative_to(self.paths.home))
        shutil.rmtree(self.paths.home)
        self.paths.home.mkdir()
        kept.seek(0)
        with tarfile.open(fileobj=kept) as archive:
            archive.extractall(self.paths.home, filter="data")


class Relay:
    """A unix socket in front of the simulated models; while it is closed, the gateway is away."""

    def __init__(self, socket: Path, port: int) -> None:
        self._socket = socket
        self._port = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def open(self) -> None:
        self._server = await asyncio.start_unix_server(self._carry, self._socket)

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()
        self._socket.unlink(missing_ok=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers |= {writer, upstream}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, upstream))
                tasks.create_task(_pump(upstream_reader, writer))
        finally:
            self._writers -= {writer, upstream}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def open_lab(folder: Path) -> AsyncIterator[Lab]:
    async with SimulatedModels() as models:
        lab = Lab(folder, models)
        lab.relay = Relay(lab.socket, int(models.url.rsplit(":", 1)[1]))
        await lab.relay.open()
        try:
            yield lab
        finally:
            await lab.close()
            await lab.relay.close()
