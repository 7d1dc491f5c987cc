"""The kinds of sandbox there are, by name. Apart from the rest, so that it costs nothing to import."""

from __future__ import annotations

from enum import StrEnum


class SandboxKind(StrEnum):
    """How a session is fenced in."""

    BUBBLEWRAP = "bubblewrap"
    PROCESS = "process"
