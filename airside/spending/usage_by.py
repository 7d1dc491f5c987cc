"""What usage can be summed over. Apart from the rest, so that it costs nothing to import."""

from __future__ import annotations

from enum import StrEnum


class UsageBy(StrEnum):
    """What usage is summed over."""

    AGENT = "agent"
    SESSION = "session"
    MODEL = "model"
    PROVIDER = "provider"
