"""The journal: what a data plane did, on its way back to the control plane.

Records are numbered per gateway without gaps, starting at 1. Delivery is at least once; `(gateway_id, sequence)` makes
intake exactly once.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from airside.dataplanes.snapshot import Contract


class Outcome(StrEnum):
    """How a model call ended for its caller."""

    COMPLETED = "completed"  # the provider's whole answer arrived
    FAILED = "failed"  # no target gave an answer; the caller got an error
    CUT = "cut"  # the provider broke off after the first content
    CANCELLED = "cancelled"  # the caller hung up
    REFUSED = "refused"  # the gateway said no before any provider was asked
    LOST = "lost"  # the gateway died in the middle of it; billed at its hold's known part


class UsageSource(StrEnum):
    """Where the token counts come from."""

    PROVIDER = "provider"
    ESTIMATED = "estimated"  # from bytes seen, because the provider's own count never came
    NONE = "none"  # nothing was billed


class TokenUsage(Contract):
    """Four disjoint input counters and the output; reasoning is inside `output`."""

    input_uncached: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0


class Attempt(Contract):
    """One request to one target."""

    provider: str
    model: str
    outcome: Literal["answered", "refused", "failed", "cut", "cancelled", "skipped"] = Field(
        description="`refused`: the provider's verdict on the request, passed on. `failed`: the next target was tried. "
        "`skipped`: not asked, for `reason`."
    )
    reason: str | None = Field(
        default=None,
        description="connect, timeout, rate_limited, server_error, empty, stalled, garbage, cooling_down, ...",
    )
    status: int | None = None
    retry_after_ms: int | None = None
    started_us: int = Field(description="After the call was accepted.")
    first_byte_us: int | None = None
    ended_us: int


class Charge(Contract):
    """The part of a call's cost that counts against one budget."""

    scope: str = Field(description="`agent:<id>` or `session:<id>`.")
    window_start: int = Field(description="Seconds since 1970; 0 for `total`.")
    nanousd: int


class CallerIdentity(Contract):
    """What the harness says of itself in its headers; claims, not facts."""

    harness_session: str | None = None
    subagent: str | None = None
    parent: str | None = None
    user_agent: str | None = None


class Timings(Contract):
    """Microseconds since the call was accepted."""

    admitted_us: int
    routed_us: int
    first_byte_us: int | None = Field(default=None, description="First byte of content to the caller.")
    total_us: int
    gateway_us: int = Field(
        description="What the gateway itself added: everything but waiting for a provider or the caller."
    )


class ModelCall(Contract):
    """One call of a model, however many attempts it took."""

    kind: Literal["model_call"] = "model_call"
    sequence: int = Field(ge=1)
    call_id: str
    at: datetime = Field(description="When it was accepted.")
    snapshot_version: int
    project: str
    session_id: str | None = None
    agent_id: str | None = None
    agent_name: str | None = None
    agent_version: int | None = None
    deployment_id: str | None = None
    key_id: str | None = None
    caller: CallerIdentity = CallerIdentity()
    front_door: Literal["anthropic-messages", "anthropic-count-tokens", "openai-responses", "openai-chat"]
    model: str | None = Field(default=None, description="The alias that was asked for.")
    stream: bool = False
    route_reason: str | None = Field(default=None, description="Why this target, in a few words.")
    attempts: list[Attempt] = Field(default_factory=list)
    provider: str | None = Field(default=None, description="Who answered.")
    provider_model: str | None = None
    outcome: Outcome
    status: int = Field(description="The HTTP status the caller saw; 499 when it hung up before one.")
    error_code: str | None = Field(default=None, description="Stable code of the gateway's own error.")
    usage: TokenUsage = TokenUsage()
    usage_source: UsageSource = UsageSource.NONE
    cost_nanousd: int = 0
    hold_nanousd: int = Field(default=0, description="What had been reserved for it.")
    charges: list[Charge] = Field(default_factory=list)
    timings: Timings
    bytes_in: int = 0
    bytes_out: int = 0


class JournalBatch(Contract):
    """Body of `POST /internal/v1/journal`. Records rise by sequence and may repeat what was sent before."""

    gateway_id: str
    records: list[ModelCall]


class JournalReceipt(Contract):
    """Its answer: everything up to and including this sequence is stored for good."""

    acknowledged: int
