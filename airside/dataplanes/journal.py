"""The journal: what a data plane did, on its way back to the control plane.

Records are numbered per gateway without gaps, starting at 1. Delivery is at least once; `(gateway_id, sequence)` makes
intake exactly once.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from airside.dataplanes.outcome import Outcome
from airside.dataplanes.snapshot import Contract


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
    key_id: str | None = Field(default=None, description="Which of the provider's credentials; None where it has one.")
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
    connect_us: int | None = Field(
        default=None, description="How long opening a connection took; None where one was kept open."
    )
    first_byte_us: int | None = Field(default=None, description="The head of its answer, after the call was accepted.")
    ended_us: int


class Charge(Contract):
    """The part of a call's cost that counts against one budget."""

    scope: str = Field(description="Kind and id, and the window unless it is the total: `agent:<id>/day`.")
    window_start: int = Field(description="Seconds since 1970; 0 for `total`.")
    nanousd: int


class CallerIdentity(Contract):
    """What the harness says of itself in its headers; claims, not facts."""

    harness: str | None = Field(default=None, description="Which client: `claude-code`, `codex`, `opencode`, ...")
    harness_version: str | None = None
    harness_session: str | None = None
    subagent: str | None = Field(default=None, description="Set in the calls of a subagent only.")
    parent: str | None = Field(default=None, description="What started that subagent.")
    user_agent: str | None = None


class Timings(Contract):
    """Microseconds since the call was accepted.

    `queue_us`, `connect_us`, `per_token_us` and `gateway_us` are lengths of time.
    """

    queue_us: int = Field(
        default=0, description="How long it waited to be admitted: for a lease, for room in a rate limit."
    )
    admitted_us: int
    routed_us: int
    connect_us: int | None = Field(
        default=None,
        description="How long opening a connection to whoever answered took; None where one was kept open.",
    )
    head_us: int | None = Field(default=None, description="The head of the answer from whoever answered.")
    first_byte_us: int | None = Field(default=None, description="First byte of content to the caller.")
    last_content_us: int | None = Field(default=None, description="Last content to the caller.")
    per_token_us: int | None = Field(default=None, description="Mean time between two tokens of output.")
    total_us: int
    gateway_us: int = Field(
        description="What the gateway itself added: everything but waiting for a provider or the caller."
    )


class Loss(Contract):
    """Something of a request or an answer that a target's dialect cannot say."""

    field: str = Field(description="As the caller's dialect spells it.")


class Translation(Contract):
    """That a call was answered by a provider of another family than the caller's."""

    family: str = Field(description="What it was translated to.")
    losses: list[Loss] = Field(default_factory=list, description="What was left out or weakened, by rule.")
    losses_omitted: int = Field(default=0, description="How many more there were than are named.")


class ServerToolUse(Contract):
    """A tool that ran at the provider and is paid for by use."""

    tool: str
    count: int
    nanousd: int = Field(description="What that cost; part of the call's cost.")


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
    front_door: str = Field(
        max_length=32, description="`anthropic-messages`, `anthropic-count-tokens`, `openai-responses`, ..."
    )
    model: str | None = Field(default=None, description="The alias that was asked for.")
    downgraded_to: str | None = Field(
        default=None, description="The alias whose route served it, where a budget's limit turned it to a cheaper one."
    )
    task: str | None = Field(default=None, description="Task class: `main`, `subagent`, `title`, `compact`, ...")
    stream: bool = False
    shadow: bool = Field(
        default=False, description="A copy of a call, sent to a target on trial: nobody saw its answer."
    )
    shadow_of: str | None = Field(default=None, description="The call it is a copy of.")
    trace_id: str | None = Field(default=None, description="From the caller's `traceparent`.")
    route_rule: str | None = Field(default=None, description="The condition of the step that applied.")
    route_step: int | None = Field(default=None, description="Which step of the route applied, from 0.")
    route_reason: str | None = Field(default=None, description="Why this target, in a few words.")
    translation: Translation | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    provider: str | None = Field(default=None, description="Who answered.")
    provider_model: str | None = None
    outcome: Outcome
    status: int = Field(description="The HTTP status the caller saw; 499 when it hung up before one.")
    error_code: str | None = Field(default=None, description="Stable code of the gateway's own error.")
    finish_reason: str | None = Field(default=None, description="Why the model stopped, as its provider says it.")
    usage: TokenUsage = TokenUsage()
    usage_source: UsageSource = UsageSource.NONE
    reasoning_tokens: int | None = Field(default=None, description="Of the output; None where nobody says.")
    service_tier: str | None = Field(default=None, description="Class of service billed, where not the usual one.")
    server_tools: list[ServerToolUse] = Field(default_factory=list)
    cost_nanousd: int = 0
    cache_break_nanousd: int | None = Field(
        default=None,
        description="What the session's prompt cache would have saved, had the call gone where the cache is.",
    )
    hold_nanousd: int = Field(default=0, description="What had been reserved for it.")
    charges: list[Charge] = Field(default_factory=list)
    timings: Timings
    bytes_in: int = 0
    bytes_out: int = 0
    bodies: Literal["kept", "dropped"] | None = Field(
        default=None, description="What became of its bodies; None where the project wants none."
    )


class JournalBatch(Contract):
    """Body of `POST /internal/v1/journal`. Records rise by sequence and may repeat what was sent before."""

    gateway_id: str
    records: list[ModelCall]


class JournalReceipt(Contract):
    """Its answer: everything up to and including this sequence is stored for good."""

    acknowledged: int
    gateways: int = Field(default=1, description="How many gateways are up, this one included: they share rate limits.")
