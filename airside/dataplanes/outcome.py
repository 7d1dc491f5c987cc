"""How model calls end. Apart from the rest, so that it costs nothing to import."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """How a model call ended for its caller."""

    COMPLETED = "completed"  # the provider's whole answer arrived
    FAILED = "failed"  # no target gave an answer; the caller got an error
    CUT = "cut"  # the provider broke off after the first content
    CANCELLED = "cancelled"  # the caller hung up
    REFUSED = "refused"  # the gateway said no before any provider was asked
    LOST = "lost"  # the gateway died in the middle of it; billed at its hold's known part
