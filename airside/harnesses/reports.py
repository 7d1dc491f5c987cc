"""The stream of a harness's events: pulled, in order, and whole.

Whoever iterates drives the reading: an adapter reads its harness only when an event is wanted, so a slow reader slows
the harness down and nothing piles up. The iteration may be left and taken up again between any two events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

from airside.errors import Conflict
from airside.harnesses.contract import (
    HarnessEvent,
    Message,
    Started,
    ToolResult,
    ToolUse,
    TurnEnd,
    TurnEnded,
)
from airside.sandboxes.contract import SandboxProcess

_STDERR_SHOWN = 2000


class Reports(AsyncIterator[HarnessEvent]):
    """What one running harness reports.

    `pull` reads some of the harness's own messages and adds what they mean; it returns False when there will be no
    more. It must bear being cancelled.
    """

    def __init__(self, started: Started, pull: Callable[[], Awaitable[bool]]) -> None:
        self._waiting: deque[HarnessEvent] = deque([started])
        self._pull = pull
        self._over = False
        self._open_calls: set[str] = set()
        self.in_turn = False

    def begin_turn(self) -> None:
        """Note that the harness was given input. Raises `Conflict` while a turn is under way."""
        if self.in_turn:
            raise Conflict("the harness is still busy with its turn", code="turn_under_way")
        self.in_turn = True

    def add(self, event: HarnessEvent) -> None:
        """Report this next.

        A result for a call that nobody made or that has been answered is dropped, a second use of one call too, and
        so is everything outside a turn: readers may rely on each use having at most one result, and one end per turn.
        """
        if not self.in_turn:
            return
        if isinstance(event, ToolUse):
            if event.call_id in self._open_calls:
                return
            self._open_calls.add(event.call_id)
        elif isinstance(event, ToolResult):
            if event.call_id not in self._open_calls:
                return
            self._open_calls.remove(event.call_id)
        elif isinstance(event, TurnEnded):
            self.in_turn = False
            self._open_calls.clear()
        elif isinstance(event, Message) and not event.text:
            return
        self._waiting.append(event)

    def end(self) -> None:
        """Report nothing beyond what is waiting."""
        self._over = True

    async def __anext__(self) -> HarnessEvent:
        while not self._waiting:
            if self._over or not await self._pull():
                raise StopAsyncIteration
        return self._waiting.popleft()


async def report_death(reports: Reports, process: SandboxProcess, name: str) -> None:
    """Report that the process has ended: as the end of the turn, if one was under way, and of everything."""
    detail = describe_death(name, await process.wait(), process.stderr_tail())
    reports.add(TurnEnded(TurnEnd.DIED, detail))
    reports.end()


def describe_death(name: str, exit_code: int, stderr: str) -> str:
    """How a program ended, in a sentence, with the end of what it said."""
    how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    said = stderr.strip()[-_STDERR_SHOWN:]
    return f"{name} {how}: {said}" if said else f"{name} {how}, and said nothing"
