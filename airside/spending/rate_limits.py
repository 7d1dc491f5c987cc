"""Rate limits: how fast a scope may call. Enforced by the gateways, each with its share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from airside.routing.definitions import Definition
from airside.spending.scopes import Scope

RateWindow = Literal["minute", "hour", "day"]


class RateLimitDefinition(Definition):
    """Calls and tokens per window, and calls at once, of one scope. What is left out is not limited."""

    scope: Scope
    window: RateWindow = "minute"
    requests: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Input and output together.")
    concurrent: Annotated[int, Field(ge=0)] | None = Field(default=None, description="Calls under way at once.")

    @model_validator(mode="after")
    def _limits_something(self) -> RateLimitDefinition:
        if self.requests is None and self.tokens is None and self.concurrent is None:
            raise ValueError("a rate limit needs at least one of `requests`, `tokens` and `concurrent`")
        return self

    @property
    def key(self) -> str:
        """What tells it from the other rate limits of a project."""
        return f"{self.scope}/{self.window}"
