"""The wire dialects: one family joins a front door of the gateway with the providers it can reach untranslated."""

from __future__ import annotations

from enum import StrEnum


class ProviderProtocol(StrEnum):
    """The wire a provider speaks, a harness calls and a front door serves."""

    ANTHROPIC = "anthropic"
    OPENAI_RESPONSES = "openai-responses"
    OPENAI_CHAT = "openai-chat"
    GEMINI = "gemini"
