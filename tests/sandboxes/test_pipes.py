"""A program that is gone before it is given anything is no defect, on either of the loops."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE
from collections.abc import Callable

import pytest
import uvloop

from airside.pipes import write_whole
from airside.sandboxes.running import Ending, Launch, complete, spawn

LOOPS = pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop])
Loop = Callable[[], asyncio.AbstractEventLoop]


@LOOPS
def test_what_is_written_to_a_program_that_is_gone_is_told_as_unwritten(loop: Loop) -> None:
    async def write() -> tuple[bool, bool]:
        process = await asyncio.create_subprocess_exec("cat", stdin=PIPE, stdout=PIPE)
        assert process.stdin is not None
        first = await write_whole(process.stdin, b"hello\n")
        process.kill()
        await process.wait()
        while not process.stdin.transport.is_closing():
            await asyncio.sleep(0.01)
        return first, await write_whole(process.stdin, b"more\n")

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(write()) == (True, False)


@LOOPS
def test_a_program_that_ended_before_it_was_fed_completes(loop: Loop) -> None:
    async def run() -> int | None:
        command = Launch(command=["sh", "-c", "echo out; exit 3"], environment={"PATH": "/usr/bin:/bin"})
        program = await spawn(command, Ending(gently=lambda _: None))
        await program.wait()
        while not program.stdin.transport.is_closing():
            await asyncio.sleep(0.01)
        done = await complete(program, timeout_s=10, stdin=b"", limit_bytes=1000)
        assert done.stdout == b"out\n"
        return done.exit_code

    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(run()) == 3
