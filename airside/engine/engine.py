"""The contract of durable execution.

Work is a name, a key and one string. The same name and key is the same work, however often it is enqueued. Work is run
at least once: whoever runs it has to bear that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from airside.ids import ExecutorId

Handler = Callable[[str], Awaitable[None]]


class Engine(Protocol):
    """Durable execution as this product needs it."""

    async def enqueue(self, work: str, key: str, argument: str) -> None:
        """Have it done by some executor. Returns once that is certain; the same key again changes nothing."""
        ...

    async def close(self) -> None:
        """Let go of the store."""
        ...


class Executor(Engine, Protocol):
    """An engine that also runs work, in this process."""

    async def run(self, handlers: Mapping[str, Handler]) -> None:
        """Begin to take work. Returns at once; handlers run on the calling event loop."""
        ...

    async def take_over(self, living: Collection[ExecutorId]) -> int:
        """Give every piece of work whose executor is not among the living to another; returns how many.

        Level-triggered: looks at all that is pending each time, so a look that fails is made good by the next.
        """
        ...

    async def forget_finished(self, older_than_s: float) -> int:
        """Delete the records of work that ended longer ago than that; returns how many."""
        ...
