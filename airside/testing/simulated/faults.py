"""Failures a provider can be told to show, and the plan that says to whom and how often."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from airside.errors import BadInput
from airside.testing.simulated.dialects.contract import DialectName, Operation


class BadFault(BadInput):
    """A fault that makes no sense as written."""

    code = "bad_fault"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stall(_Part):
    """Silence: until the name is released, or, without one, until the client goes away. Then all goes on as usual."""

    where: Literal["before_head", "after_head", "after_bytes"] = "after_head"
    bytes: int = Field(default=0, ge=0)  # of the body, for `after_bytes`
    name: str | None = None


class InStreamError(_Part):
    """A failure reported inside a stream that began with status 200; an answer that is not streamed gets the status."""

    when: Literal["before_content", "after_content"] = "after_content"
    status: int = Field(default=529, ge=400, le=599)
    message: str = "Overloaded"
    event: Literal["response.failed", "error"] = "response.failed"  # Responses has two ways to say it


class Fault(_Part):
    """One failure. `times` requests get it, then it is over; without `times`, all of them until it is cleared.

    `status` answers with an error in the dialect's shape (or `body`); `cut_after_bytes` ends the connection in the
    body; `reset` makes an end of the connection a TCP reset, at once if nothing else is asked for; `empty` sends the
    head of a good answer and no body; `garbage` sends bytes that are no answer. `slow_head_ms` goes with any of
    them, or alone.
    """

    status: int | None = Field(default=None, ge=400, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: JsonValue = None
    message: str | None = None
    cut_after_bytes: int | None = Field(default=None, ge=0)
    reset: bool = False
    stall: Stall | None = None
    in_stream_error: InStreamError | None = None
    empty: bool = False
    garbage: Literal["head", "body"] | None = None
    slow_head_ms: int = Field(default=0, ge=0)

    times: int | None = Field(default=None, ge=1)
    dialect: DialectName | None = None
    model: str | None = None
    operation: Operation = Operation.ANSWER

    @model_validator(mode="after")
    def _is_one_failure(self) -> Self:
        chosen = [
            self.status is not None,
            self.cut_after_bytes is not None,
            self.stall is not None,
            self.in_stream_error is not None,
            self.empty,
            self.garbage is not None,
        ]
        if sum(chosen) > 1:
            raise ValueError("a fault is one of status, cut_after_bytes, stall, in_stream_error, empty, garbage")
        if not (any(chosen) or self.reset or self.slow_head_ms):
            raise ValueError("a fault names what goes wrong, such as status, cut_after_bytes or stall")
        if self.reset and any(chosen) and self.cut_after_bytes is None:
            raise ValueError("reset goes alone or with cut_after_bytes")
        return self


def check_fault(written: object) -> Fault:
    """The fault given as plain values. Raises `BadFault` naming the field and what was expected there."""
    try:
        return Fault.model_validate(written)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadFault(f"the fault is wrong{f' at {place}' if place else ''}: {first['msg']}") from problem


class FaultPlan:
    """The faults one provider still has to show, first given first shown."""

    def __init__(self) -> None:
        self._planned: list[tuple[Fault, int | None]] = []

    def add(self, fault: Fault) -> None:
        """Plan a fault behind those planned already."""
        self._planned.append((fault, fault.times))

    def take(self, operation: Operation, dialect: DialectName, model: str) -> Fault | None:
        """The fault this request gets, counted as shown; None if it is to be answered well."""
        for index, (fault, left) in enumerate(self._planned):
            if _concerns(fault, operation, dialect, model):
                if left == 1:
                    del self._planned[index]
                elif left is not None:
                    self._planned[index] = (fault, left - 1)
                return fault
        return None

    @property
    def planned(self) -> list[Fault]:
        """What is still to come, each with the times that are left."""
        return [fault.model_copy(update={"times": left}) for fault, left in self._planned]

    def clear(self) -> None:
        """Plan nothing."""
        self._planned.clear()


def _concerns(fault: Fault, operation: Operation, dialect: DialectName, model: str) -> bool:
    return (
        fault.operation is operation
        and fault.dialect in {None, dialect}
        and (fault.model is None or fault.model == model)
    )
