"""Leases: how much of a budget one gateway may spend, so that all of them together stay under the cap.

A grant is cumulative and absolute: "in this window you may have settled and held up to X in all". Asking twice is
harmless, and a lost answer costs nothing. What is not needed goes back, in requests that are numbered, so that none
that arrives late takes away what a newer one gave.
"""

from __future__ import annotations

from pydantic import Field

from airside.dataplanes.snapshot import Contract


class LeaseReturn(Contract):
    """Part of a lease that goes back; both amounts are cumulative."""

    window_start: int
    from_nanousd: int = Field(ge=0, description="What was granted; the return counts only if that is still so.")
    to_nanousd: int = Field(ge=0, description="What is settled or held, and stays.")


class LeaseRequest(Contract):
    """One scope a gateway wants to spend in, or no longer."""

    scope: str = Field(description="Kind and id, and the window unless it is the total: `agent:<id>/day`.")
    need_nanousd: int = Field(
        default=0,
        description="The call at hand needs at least this much beyond what is granted; 0 when renewing ahead.",
    )
    returns: list[LeaseReturn] = Field(
        default_factory=list, description="What goes back. A request with returns asks for nothing."
    )


class LeaseRequests(Contract):
    """Body of `POST /internal/v1/leases`. Only the gateway's own spool knows more than `journal_through`."""

    gateway_id: str
    order: int | None = Field(default=None, description="Rises with each request; one that is late is not acted on.")
    begins_after: int | None = Field(
        default=None,
        description="In the first request of a process: the last record of those before it. Once the journal is stored "
        "up to there, whatever they were granted beyond what they settled goes back.",
    )
    requests: list[LeaseRequest]


class Lease(Contract):
    """What one gateway may spend of one scope in one window."""

    scope: str
    window_start: int = Field(description="Seconds since 1970; 0 for `total`.")
    window_end: int | None = Field(description="None for `total`. From then on the next window's lease counts.")
    granted_nanousd: int = Field(description="Cumulative, for this gateway, in this window.")
    settled_nanousd: int = Field(description="Of that, already in the control plane's ledger for this gateway.")
    others_settled_nanousd: int = Field(default=0, description="What other gateways have settled in this window.")
    exhausted: bool = Field(
        description="True: the cap itself leaves no more; asking again before the window ends is in vain."
    )
    expires_at: int | None = Field(
        default=None, description="From this second on nothing new may be reserved from it until it is renewed."
    )


class Leases(Contract):
    """Answer to `LeaseRequests`: for each scope the running window and, where one follows, the next."""

    journal_through: int = Field(description="`settled_nanousd` includes this gateway's records up to here.")
    order: int = Field(
        default=0, description="Higher than that of the request: it came too late, and the next must be higher still."
    )
    leases: list[Lease]
    unknown_scopes: list[str] = Field(default_factory=list, description="No budget limits these.")
