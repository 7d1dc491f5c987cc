"""Providers and models as people define them: in the file, by API or in the UI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from airside.routing.protocols import ProviderProtocol

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]

DEFAULT_BASE_URLS = {
    ProviderProtocol.ANTHROPIC: "https://api.anthropic.com",
    ProviderProtocol.OPENAI_RESPONSES: "https://api.openai.com/v1",
    ProviderProtocol.OPENAI_CHAT: "https://api.openai.com/v1",
    ProviderProtocol.GEMINI: "https://generativelanguage.googleapis.com",
}


class Definition(BaseModel):
    """Something people write: an unknown field is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Dollars = Annotated[Decimal, Field(ge=0)]
ServiceTier = Literal["batch", "flex", "priority", "fast"]


class TierTokenPrices(Definition):
    """Prices in US dollars per million tokens. What is left out costs what plain input costs."""

    input: Dollars
    output: Dollars
    cache_read: Dollars | None = None
    cache_write_5m: Dollars | None = None
    cache_write_1h: Dollars | None = None


class TokenPrices(TierTokenPrices):
    """Everything that one model asks for."""

    service_tiers: dict[ServiceTier, Dollars | TierTokenPrices] = Field(
        default_factory=dict,
        description="For calls served as `batch`, `flex`, `priority` or `fast`: prices of their own, or a factor.",
    )
    web_search: Dollars | None = Field(default=None, description="US dollars per thousand searches the provider makes.")
    file_search: Dollars | None = Field(default=None, description="US dollars per thousand searches of stored files.")


class ProviderModel(Definition):
    """What is known of one model at one provider beyond its name."""

    prices: TokenPrices | None = Field(default=None, description="Instead of the price list.")
    max_output_tokens: Annotated[int, Field(gt=0)] = Field(
        default=32_000, description="Reserved for an answer when the call names no limit of its own."
    )
    context_window: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Most input tokens; the price list's figure unless given."
    )


class ProviderTimeouts(Definition):
    """How long to wait for a provider, in seconds."""

    connect: Annotated[float, Field(gt=0, le=60)] = 5.0
    first_byte: Annotated[float, Field(gt=0, le=3600)] = 120.0
    idle: Annotated[float, Field(gt=0, le=3600)] = 120.0


class ProviderDefinition(Definition):
    """One account at one vendor of models."""

    protocol: ProviderProtocol
    base_url: str | None = Field(
        default=None,
        description="What the vendor's own SDK takes: Anthropic and Gemini without a version, OpenAI with `/v1`.",
    )
    credential: str | None = Field(
        default=None, description="`env:NAME`: read from the control plane's environment, never sent to a sandbox."
    )
    auth: Literal["bearer", "x-api-key", "api-key", "x-goog-api-key"] | None = Field(
        default=None, description="How the credential is presented; the protocol's own way unless given."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Sent with every call.")
    price_list: str | None = Field(
        default=None, description="Vendor whose published prices count (`anthropic`, `openai`, `openrouter`, ...)."
    )
    models: dict[str, ProviderModel] = Field(default_factory=dict)
    timeouts: ProviderTimeouts = ProviderTimeouts()

    @field_validator("credential")
    @classmethod
    def _only_references(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"env:[A-Za-z_][A-Za-z0-9_]*", value):
            # The value itself is not repeated: it may be the secret.
            raise ValueError("a credential is a reference such as env:ANTHROPIC_API_KEY, never the secret itself")
        return value

    @field_validator("base_url")
    @classmethod
    def _whole_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("a base URL starts with http:// or https:// and has no query, fragment or user name")
        return value.rstrip("/") if value is not None else None

    @property
    def url(self) -> str:
        """Where calls go."""
        return self.base_url or DEFAULT_BASE_URLS[self.protocol]


def split_target(target: str) -> tuple[str, str]:
    """`provider/model` as a pair; the model's own name may contain slashes. Raises `ValueError`."""
    provider, slash, model = target.partition("/")
    if not provider or not slash or not model:
        raise ValueError(f"{target!r} is no target; write provider/model, such as anthropic/claude-opus-5-5")
    return provider, model


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class RouteStep(Definition):
    """Targets to try, in order."""

    to: Annotated[list[str], BeforeValidator(_one_or_many), Field(min_length=1)]

    @field_validator("to")
    @classmethod
    def _targets(cls, value: list[str]) -> list[str]:
        for target in value:
            split_target(target)
        return value


class ModelDefinition(Definition):
    """An alias that agents call, and where its calls go."""

    route: Annotated[list[RouteStep], Field(min_length=1, max_length=1)]

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: object) -> object:
        """`coder: anthropic/claude-opus-5-5` and `coder: [a/x, b/y]` mean a route of one step."""
        return {"route": [{"to": value}]} if isinstance(value, str | list) else value

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Every (provider, model) a call may reach, in order."""
        return [split_target(target) for step in self.route for target in step.to]


def protocols_of(model: ModelDefinition, providers: Mapping[str, ProviderDefinition]) -> set[ProviderProtocol]:
    """The protocols a model can be called in without translation."""
    return {providers[provider].protocol for provider, _ in model.targets if provider in providers}


class UnknownPriceDefinition(Definition):
    """What happens to a call of a model nobody has priced."""

    policy: Literal["refuse", "ceiling"] = "refuse"
    ceiling: TokenPrices | None = None

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: object) -> object:
        return {"policy": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ceiling_has_prices(self) -> UnknownPriceDefinition:
        if self.policy == "ceiling" and self.ceiling is None:
            raise ValueError(
                "policy ceiling needs `ceiling: {input: ..., output: ...}`, in US dollars per million tokens"
            )
        return self
