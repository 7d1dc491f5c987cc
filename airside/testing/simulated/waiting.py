"""Waiting for things to happen: with a deadline, and without asking again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Bell:
    """Rung when something changed; whoever waits looks again."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who waits."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next ring."""
        await self._rung.wait()

    async def until(self, holds: Callable[[], bool], deadline_s: float, awaited: Callable[[], str]) -> None:
        """Return once `holds()`; looked at now and after each ring.

        Raises `TimeoutError` with the sentence of `awaited()` when the deadline passes first.
        """
        try:
            async with asyncio.timeout(deadline_s):
                while not holds():
                    await self.wait()
        except TimeoutError:
            raise TimeoutError(f"{awaited()} (waited {deadline_s} s)") from None


class Gates:
    """Named points where an answer stops. A gate that was opened stays open."""

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._held: dict[str, int] = {}
        self._changed = Bell()

    def release(self, name: str) -> None:
        """Let through whoever is held at the gate, and whoever comes later."""
        self._open.add(name)
        self._changed.ring()

    def held(self, name: str) -> int:
        """How many answers stand at the gate."""
        return self._held.get(name, 0)

    async def pass_through(self, name: str) -> None:
        """Return once the gate is open. Being cancelled (the client went away) leaves the gate."""
        self._held[name] = self.held(name) + 1
        self._changed.ring()
        try:
            while name not in self._open:
                await self._changed.wait()
        finally:
            self._held[name] -= 1
            self._changed.ring()

    async def wait_until_held(self, name: str, deadline_s: float) -> None:
        """Return once an answer stands at the gate. Raises `TimeoutError` after the deadline."""
        await self._changed.until(
            lambda: self.held(name) > 0,
            deadline_s,
            lambda: f"no answer was held at {name!r}",
        )

    def reset(self) -> None:
        """Close every gate again; who is held stays held."""
        self._open.clear()
