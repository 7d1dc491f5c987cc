"""How a project wants the bodies of its calls recorded, as people say it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator


class BodyPolicy(StrEnum):
    """What is kept of requests and answers."""

    OFF = "off"
    REDACTED = "redacted"
    FULL = "full"


class RecordingDefinition(BaseModel):
    """Whether prompts and answers are kept. Nothing is, unless a project asks for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bodies: BodyPolicy = Field(
        default=BodyPolicy.OFF,
        description="`off`; `redacted`: without what has the shape of a secret; `full`: as they are, but for the "
        "gateway's own keys and those of providers.",
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(default=30, description="Then they are deleted.")
    max_bytes: Annotated[int, Field(ge=1024, le=16 * 1024 * 1024)] = Field(
        default=1024 * 1024, description="The most of a request or an answer that is kept; the rest is cut off."
    )
    audited: bool = Field(
        default=False,
        description="A call whose bodies there is no room for is refused; otherwise they are dropped and counted.",
    )
    emails: bool = Field(default=False, description="`redacted` takes addresses of e-mail out too.")
    patterns: Annotated[list[str], Field(max_length=32)] = Field(
        default_factory=list,
        description="What `redacted` takes out too: regular expressions without look-around and back-references. "
        "Of one with a group, what the first group matched.",
    )

    @field_validator("patterns")
    @classmethod
    def _usable(cls, patterns: list[str]) -> list[str]:
        import airside_gateway  # the gateway's own judgement; loaded only where there is something to judge

        for pattern in patterns:
            try:
                airside_gateway.check_redaction_pattern(pattern)
            except ValueError as error:
                raise ValueError(f"{pattern!r} is no pattern the gateway can use: {error}") from error
        return patterns
