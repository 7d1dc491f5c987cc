"""What the simulated providers received, and what became of each request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from airside.events import JsonObject
from airside.testing.simulated.dialects.contract import DialectName, Operation
from airside.testing.simulated.faults import Fault
from airside.testing.simulated.json_reading import parsed_object
from airside.testing.simulated.waiting import Bell

_KEY_HEADERS = ("x-api-key", "x-goog-api-key", "api-key")


class Outcome(StrEnum):
    """How a request ended."""

    UNDER_WAY = "under_way"
    COMPLETED = "completed"  # the answer was sent to its end, whatever its status
    CLIENT_CLOSED = "client_closed"  # the client went away before the end
    BROKEN_OFF = "broken_off"  # a fault ended the connection


@dataclass(slots=True)
class ReceivedRequest:
    """One request as it arrived. What stands after `began_at` is filled in as it is answered."""

    id: str
    provider: str
    operation: Operation
    dialect: DialectName
    method: str
    path: str  # with the provider's segment and the query
    headers: Mapping[str, str]  # names in lower case; keys included
    body: bytes
    model: str  # that it names; empty if none
    began_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome = Outcome.UNDER_WAY
    status: int | None = None  # of the answer, once its head is sent
    bytes_sent: int = 0  # of the answer's body
    step: int | None = None  # of the script, if one was given
    fault: Fault | None = None  # that it was met with
    _changed: Bell = field(default_factory=Bell, repr=False)

    @property
    def json(self) -> JsonObject:
        """The body as an object, empty if it is none; parsed anew each time, to keep what is recorded small."""
        return parsed_object(self.body)

    @property
    def key(self) -> str:
        """The key it shows, in whichever header; empty if none."""
        shown = next((self.headers[name] for name in _KEY_HEADERS if self.headers.get(name)), "")
        return shown or self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def ended(self) -> bool:
        """True once nothing more will happen to it."""
        return self.outcome is not Outcome.UNDER_WAY

    def end(self, outcome: Outcome, at: datetime) -> None:
        """Note how it ended; the first outcome stands."""
        if not self.ended:
            self.outcome, self.ended_at = outcome, at
            self._changed.ring()

    async def wait_ended(self, deadline_s: float = 10.0) -> Outcome:
        """How it ended, once it has. Raises `TimeoutError` after the deadline."""
        await self._changed.until(lambda: self.ended, deadline_s, lambda: f"{self.path} is still under way")
        return self.outcome


Matches = Callable[[ReceivedRequest], bool]


class RequestLog:
    """The newest requests, oldest first; beyond the limit the oldest are forgotten."""

    def __init__(self, keep: int) -> None:
        self._requests: deque[ReceivedRequest] = deque(maxlen=keep)
        self._arrived = Bell()

    def add(self, request: ReceivedRequest) -> None:
        """Note an arrival."""
        self._requests.append(request)
        self._arrived.ring()

    def matching(self, matches: Matches) -> Iterator[ReceivedRequest]:
        """The requests of which `matches` is true."""
        return (request for request in self._requests if matches(request))

    async def wait_for(self, matches: Matches, number: int, deadline_s: float) -> ReceivedRequest:
        """The `number`-th request (from 1) that matches, once it is there. Raises `TimeoutError`, saying what came."""
        await self._arrived.until(
            lambda: len(list(self.matching(matches))) >= number,
            deadline_s,
            lambda: f"fewer than {number} matching requests arrived; received: {self._paths()}",
        )
        return list(self.matching(matches))[number - 1]

    def clear(self) -> None:
        """Forget all."""
        self._requests.clear()

    def _paths(self) -> str:
        return ", ".join(f"{request.method} {request.path}" for request in self._requests) or "none"
