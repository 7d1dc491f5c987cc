"""Interrupting whatever the agent is doing: a wait, a call of the model, or a tool."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator


class Stopped(Exception):
    """The turn was interrupted."""


class Stopper:
    """Set from one thread, heeded by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = threading.Event()
        self._how: Callable[[], None] | None = None

    def begin(self) -> None:
        """Forget a stop that came before this turn's message."""
        self._asked.clear()

    def stop(self) -> None:
        """Interrupt what goes on now, and whatever is begun until the next turn."""
        with self._lock:
            self._asked.set()
            if self._how is not None:
                self._how()

    def check(self) -> None:
        """Raise `Stopped` if a stop was asked for."""
        if self._asked.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises `Stopped` as soon as a stop is asked for."""
        self._asked.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def during(self, how: Callable[[], None]) -> Iterator[None]:
        """While the block lasts, a stop is carried out by calling this; what that breaks is told as `Stopped`."""
        with self._lock:
            self.check()
            self._how = how
        try:
            yield
        except Exception:
            self.check()
            raise
        finally:
            with self._lock:
                self._how = None
        self.check()
