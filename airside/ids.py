"""Identifiers: one distinct type each, and the only place that makes new ones.

An id is a prefix, an underscore and 26 characters of Crockford base32: 48 bits of milliseconds, then 80 random bits,
so ids of one kind sort by age. The layout is that of ULID (github.com/ulid/spec).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import NewType

from airside.clock import Clock

ProjectId = NewType("ProjectId", str)
AgentId = NewType("AgentId", str)
EnvironmentId = NewType("EnvironmentId", str)
SessionId = NewType("SessionId", str)
TurnId = NewType("TurnId", str)
EventId = NewType("EventId", str)
KeyId = NewType("KeyId", str)
BudgetId = NewType("BudgetId", str)
ArtifactId = NewType("ArtifactId", str)
GatewayId = NewType("GatewayId", str)
ExecutorId = NewType("ExecutorId", str)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _base32(number: int, length: int) -> str:
    characters = []
    for _ in range(length):
        number, remainder = divmod(number, 32)
        characters.append(_ALPHABET[remainder])
    return "".join(reversed(characters))


class Ids:
    """A source of new ids; tests pass a fixed `random_bits` and a manual clock."""

    def __init__(self, clock: Clock, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        self._clock = clock
        self._random_bits = random_bits

    def _new(self, prefix: str) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        return f"{prefix}_{_base32(milliseconds, 10)}{_base32(self._random_bits(80), 16)}"

    def project(self) -> ProjectId:
        return ProjectId(self._new("proj"))

    def agent(self) -> AgentId:
        return AgentId(self._new("agent"))

    def environment(self) -> EnvironmentId:
        return EnvironmentId(self._new("env"))

    def session(self) -> SessionId:
        return SessionId(self._new("sesn"))

    def turn(self) -> TurnId:
        return TurnId(self._new("turn"))

    def event(self) -> EventId:
        return EventId(self._new("sevt"))

    def key(self) -> KeyId:
        return KeyId(self._new("key"))

    def budget(self) -> BudgetId:
        return BudgetId(self._new("bdgt"))

    def artifact(self) -> ArtifactId:
        return ArtifactId(self._new("artf"))

    def executor(self) -> ExecutorId:
        return ExecutorId(self._new("exec"))
