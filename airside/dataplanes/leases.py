"""Leases: how much of a budget one gateway may spend, so that all of them together stay under the cap.

A grant is cumulative and absolute: "in this window you may have settled and held up to X in all". Asking twice is
harmless, and a lost answer costs nothing.
"""

from __future__ import annotations

from pydantic import Field

from airside.dataplanes.snapshot import Contract


class LeaseRequest(Contract):
    """One scope a gateway wants to spend in."""

    scope: str = Field(description="`agent:<id>` or `session:<id>`.")
    need_nanousd: int = Field(
        default=0,
        description="The call at hand needs at least this much beyond what is granted; 0 when renewing ahead.",
    )


class LeaseRequests(Contract):
    """Body of `POST /internal/v1/leases`. Only the gateway's own spool knows more than `journal_through`."""

    gateway_id: str
    requests: list[LeaseRequest]


class Lease(Contract):
    """What one gateway may spend of one scope in one window."""

    scope: str
    window_start: int = Field(description="Seconds since 1970; 0 for `total`.")
    window_end: int | None = Field(description="None for `total`. From then on the next window's lease counts.")
    granted_nanousd: int = Field(description="Cumulative, for this gateway, in this window.")
    settled_nanousd: int = Field(description="Of that, already in the control plane's ledger for this gateway.")
    exhausted: bool = Field(
        description="True: the cap itself leaves no more; asking again before the window ends is in vain."
    )


class Leases(Contract):
    """Answer to `LeaseRequests`: for each scope the running window and, where one follows, the next."""

    journal_through: int = Field(description="`settled_nanousd` includes this gateway's records up to here.")
    leases: list[Lease]
    unknown_scopes: list[str] = Field(default_factory=list, description="No budget limits these.")
