"""A started program: its pipes, the end of its stderr, its end, and what a program run to its end left behind."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from airside.errors import TooLarge
from airside.pipes import write_whole
from airside.sandboxes.contract import Completed, SandboxTimeout, SandboxUnavailable
from airside.sandboxes.leftovers import end_marked, kill_marked

_PIPE_BUFFER_BYTES = 1 << 20
_STDERR_KEPT_BYTES = 64 << 10
_LAST_WORDS_WITHIN_S = 1.0
START_VARIABLE = "AIRSIDE_START"  # tells the processes of one start from those of another in the same session


def new_start() -> str:
    """The mark of one start."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class Launch:
    """One command as the machine is to execute it: the fence's own program first, if it has one.

    `start` marks the command's processes in their environment, by `START_VARIABLE`. A fence that gives the program an
    environment of its own marks that, too.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: str | None = None
    descriptors: Sequence[int] = field(default_factory=tuple)  # kept open in the program, by the same number
    start: str = field(default_factory=new_start)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a kind of sandbox ends its programs.

    `gently` asks the program behind a process of this machine to end, `exit_code` reads the program's own code or
    signal out of that of the process.
    """

    gently: Callable[[int], None]
    exit_code: Callable[[int], int] = int


class _Pipes(SubprocessStreamProtocol):
    """Feeds stdout to a reader with back-pressure, and stderr to a bounded tail without any."""

    def __init__(self, loop: asyncio.AbstractEventLoop, stderr_bytes: int, start: str) -> None:
        super().__init__(limit=_PIPE_BUFFER_BYTES, loop=loop)
        self.stderr_bytes = stderr_bytes
        self.stderr_end = bytearray()
        self.stderr_dropped = False
        self.exited = asyncio.Event()
        self.stderr_ended = asyncio.Event()
        self.start = start

    def pipe_data_received(self, fd: int, data: bytes | str) -> None:
        if fd != 2:
            super().pipe_data_received(fd, data)
            return
        assert isinstance(data, bytes)
        self.stderr_end += data
        if len(self.stderr_end) > self.stderr_bytes:
            self.stderr_dropped = True
            del self.stderr_end[: -self.stderr_bytes]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2:
            self.stderr_ended.set()
        super().pipe_connection_lost(fd, exc)

    def process_exited(self) -> None:
        # What it left behind may hold its pipes open, and whoever reads them waits for their end.
        kill_marked(START_VARIABLE, self.start)
        super().process_exited()
        self.exited.set()


class RunningProgram:
    """A `SandboxProcess` over one process of this machine, which leads its own session and process group."""

    def __init__(self, transport: asyncio.SubprocessTransport, pipes: _Pipes, how: Ending) -> None:
        process = Process(transport, pipes, asyncio.get_running_loop())
        assert process.stdin is not None
        assert process.stdout is not None
        self.stdin = process.stdin
        self.stdout = process.stdout
        self._transport = transport
        self._pipes = pipes
        self._how = how

    @property
    def process_group(self) -> int:
        return self._transport.get_pid()

    @property
    def stderr_dropped(self) -> bool:
        """True when stderr was longer than what is kept of it."""
        return self._pipes.stderr_dropped

    @property
    def stderr_kept(self) -> bytes:
        """The bytes of stderr that are kept: all of them, unless `stderr_dropped`."""
        return bytes(self._pipes.stderr_end)

    def stderr_tail(self) -> str:
        return self.stderr_kept.decode(errors="replace")

    async def wait(self) -> int:
        # Not the transport's own wait: that one waits for the pipes too, which a straggler may hold open.
        await self._pipes.exited.wait()
        # The end of a process may be known before its last words have been read.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS_WITHIN_S):
                await self._pipes.stderr_ended.wait()
        code = self._transport.get_returncode()
        assert code is not None
        return self._how.exit_code(code)

    async def stop(self, grace_s: float = 5.0) -> None:
        if not self._pipes.exited.is_set() and grace_s > 0:
            self._how.gently(self.process_group)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._pipes.exited.wait()
        if not self._pipes.exited.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()
            await self._pipes.exited.wait()
        await end_marked(START_VARIABLE, self._pipes.start)
        self._transport.close()


async def spawn(launch: Launch, how: Ending, *, stderr_bytes: int = _STDERR_KEPT_BYTES) -> RunningProgram:
    """Start it with pipes, as the leader of a new session. Raises `SandboxUnavailable` when it cannot be executed."""
    loop = asyncio.get_running_loop()
    try:
        transport, pipes = await loop.subprocess_exec(
            lambda: _Pipes(loop, stderr_bytes, launch.start),
            *launch.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env={**launch.environment, START_VARIABLE: launch.start},
            cwd=launch.directory,
            pass_fds=tuple(launch.descriptors),
            start_new_session=True,
        )
    except OSError as refused:
        message = f"cannot start {launch.command[0]}: {refused}"
        raise SandboxUnavailable(message) from refused
    return RunningProgram(transport, pipes, how)


async def complete(program: RunningProgram, *, timeout_s: float, stdin: bytes, limit_bytes: int) -> Completed:
    """Feed it, read it to its end, and stop it whatever happens. Raises `SandboxTimeout` and `TooLarge`."""
    stdout = bytearray()
    try:
        async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(program, stdin))
            while chunk := await program.stdout.read(1 << 16):
                stdout += chunk
                if len(stdout) > limit_bytes:
                    break
            if len(stdout) <= limit_bytes:
                exit_code = await program.wait()
            else:
                exit_code = None
                await program.stop(0)
    except TimeoutError:
        raise SandboxTimeout(f"a program in the sandbox did not end within {timeout_s:g} s") from None
    finally:
        await program.stop(0)
    if exit_code is None or program.stderr_dropped:
        raise TooLarge(f"a program in the sandbox wrote more than {limit_bytes} bytes")
    return Completed(exit_code, bytes(stdout), program.stderr_kept)


async def _feed(program: RunningProgram, stdin: bytes) -> None:
    # A program may end without reading all it is given; that is its affair, and its exit code tells.
    await write_whole(program.stdin, stdin)
    program.stdin.close()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        await program.stdin.wait_closed()
