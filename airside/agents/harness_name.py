"""The harnesses an agent can run on, by name. Apart from the rest, so that it costs nothing to import."""

from __future__ import annotations

from enum import StrEnum


class HarnessName(StrEnum):
    """The harnesses an agent can run on."""

    CLAUDE_CODE = "claude-code"
    CODEX = "codex"
    OPENCODE = "opencode"
    SCRIPTED = "scripted"
