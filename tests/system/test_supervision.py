"""What keeps processes alive: none is left behind, and nothing is started that nobody asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from airside.clock import SystemClock
from airside.errors import AirsideError
from airside.settings import environment
from airside.supervision import Role, Supervised

pytestmark = pytest.mark.timeout(60)

STEADY = "print('{}', flush=True); import time; time.sleep(60)"
# Ends the one that runs, waits until it is gone, and only then says that it serves.
LATE_SUCCESSOR = """
import os, signal, sys, time
os.kill(int(sys.argv[1]), signal.SIGTERM)
while os.path.exists(f"/proc/{sys.argv[1]}"):
    time.sleep(0.01)
time.sleep(0.5)
print("{}", flush=True)
time.sleep(60)
"""


def supervised(place: Path, *scripts: Sequence[str]) -> Supervised:
    """Runs the first script, then the second, and so on; the last again and again."""
    left = list(scripts)

    def command() -> Sequence[str]:
        return [sys.executable, "-c", *(left.pop(0) if len(left) > 1 else left[0])]

    return Supervised(Role("part", "part", command, environment(), place / "part.log"), SystemClock())


@asynccontextmanager
async def kept_alive(part: Supervised) -> AsyncIterator[Supervised]:
    """Started and kept alive for the block, which stops it; the keeping must end then."""
    await part.start()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(part.keep_alive())
        yield part
        await part.stop()
    assert part.pid is None


def kill(part: Supervised) -> int:
    assert part.pid is not None
    os.kill(part.pid, signal.SIGKILL)
    return part.pid


async def test_a_predecessor_that_leaves_before_its_successor_is_heard_is_not_started_again(tmp_path: Path) -> None:
    async with kept_alive(supervised(tmp_path, [STEADY])) as part:
        first = part.pid
        part.role = supervised(tmp_path, [LATE_SUCCESSOR, str(first)]).role
        await part.replace()
        await asyncio.sleep(0.5)  # longer than the first wait before a start
        assert part.restarts == 0
        assert part.pid not in {None, first}


async def test_what_died_just_before_the_end_is_not_started_again(tmp_path: Path) -> None:
    async with kept_alive(supervised(tmp_path, [STEADY])) as part:
        kill(part)
        while part.pid is not None:
            await asyncio.sleep(0.01)
    assert part.restarts == 0


async def test_what_is_being_started_when_the_end_comes_is_ended(tmp_path: Path) -> None:
    never_ready = ["import time; time.sleep(60)"]
    async with kept_alive(supervised(tmp_path, [STEADY], never_ready)) as part:
        first = kill(part)
        while part.pid in {None, first}:
            await asyncio.sleep(0.01)
    assert part.restarts == 1


async def test_what_is_launched_while_the_end_comes_is_ended(tmp_path: Path) -> None:
    """`stop` cannot know of it yet: it ends by itself once it is launched."""
    mark = f"import time; time.sleep(60)  # {tmp_path}"
    part = supervised(tmp_path, [STEADY], [mark])
    async with kept_alive(part), asyncio.TaskGroup() as group:
        replacing = group.create_task(refused(part))
        await asyncio.sleep(0)  # it now waits for its launch
        await part.stop()
        assert await replacing == "process_failed"
    assert not [pid for pid in processes() if mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_successor_that_talks_nonsense_is_ended_with_the_rest(tmp_path: Path) -> None:
    babbling = "print('nonsense', flush=True); import time; time.sleep(60)"
    async with kept_alive(supervised(tmp_path, [STEADY], [babbling])) as part:
        first, before = part.pid, processes()
        with pytest.raises(ValueError, match="Expecting value"):
            await part.replace()
        assert part.pid == first
        assert processes() - before
    assert not processes() - before


async def refused(part: Supervised) -> str:
    with pytest.raises(AirsideError) as refusal:
        await part.replace()
    return refusal.value.code


def processes() -> set[int]:
    """What this process started and has not yet seen end."""
    return {int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
