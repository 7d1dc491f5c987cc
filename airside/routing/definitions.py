"""Providers and models as people define them: in the file, by API or in the UI."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from airside.routing.conditions import check_condition
from airside.routing.protocols import ProviderProtocol
from airside.routing.vendors import CHAINS, PROTOCOLS, Vendor, implied_vendor, own_auth, usual_address

_MOST_KEY_ID = 64  # longer ones would not fit a record

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$")]


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


class ModelCapabilities(Definition):
    """What a model can be given. What is left out is taken to be possible."""

    images: bool | None = None
    documents: bool | None = None
    tools: bool | None = None
    thinking: bool | None = None
    structured_output: bool | None = Field(
        default=None, description="An answer that follows a schema. Bedrock's Converse is told of one only where true."
    )


class ProviderModel(Definition):
    """What is known of one model at one provider beyond its name."""

    prices: TokenPrices | None = Field(default=None, description="Instead of the price list.")
    max_output_tokens: Annotated[int, Field(gt=0)] = Field(
        default=32_000, description="Reserved for an answer when the call names no limit of its own."
    )
    context_window: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="Most input tokens; the price list's figure unless given."
    )
    capabilities: ModelCapabilities = Field(
        default=ModelCapabilities(), description="Calls that need what a model cannot take go to another target."
    )


class ProviderTimeouts(Definition):
    """How long to wait for a provider, in seconds."""

    connect: Annotated[float, Field(gt=0, le=60)] = 5.0
    first_byte: Annotated[float, Field(gt=0, le=3600)] = 120.0
    idle: Annotated[float, Field(gt=0, le=3600)] = 120.0


# References to secrets. None of them says anything about the secret itself.
_REFERENCE = re.compile(
    r"env:[A-Za-z_][A-Za-z0-9_]*|file:/\S.*|command:\S.*|aws(:[A-Za-z0-9_.@-]+)?|gcp(:/\S.*)?|azure", re.DOTALL
)
_FORMS = "env:NAME, file:/PATH, command:PROGRAM ARGUMENTS, aws, aws:PROFILE, gcp, gcp:/KEY_FILE or azure"

Auth = Literal["bearer", "x-api-key", "api-key", "x-goog-api-key", "sigv4"]


def _reference(value: str) -> str:
    if not _REFERENCE.fullmatch(value):
        # The value itself is not repeated: it may be the secret.
        raise ValueError(
            f"a credential is a reference such as env:ANTHROPIC_API_KEY, never the secret itself; it is {_FORMS}"
        )
    return value


Reference = Annotated[str, AfterValidator(_reference)]


class PooledCredential(Definition):
    """One of several credentials of a provider."""

    credential: Reference = Field(description=f"{_FORMS}.")
    weight: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Its share of the calls.")
    name: Annotated[Name, Field(max_length=_MOST_KEY_ID)] | None = Field(
        default=None, description="Its name in records; the reference unless given."
    )
    auth: Auth | None = Field(default=None, description="Instead of the provider's.")

    @property
    def key_id(self) -> str:
        """What records call it: the same as long as the reference is."""
        if self.name:
            return self.name
        if self.credential.startswith("command:") or len(self.credential) > _MOST_KEY_ID:
            # Arguments may be long and may be secret.
            digest = sha256(self.credential.encode()).hexdigest()[:12]
            return f"{self.credential.partition(':')[0]}:{digest}"
        return self.credential


class ProviderDefinition(Definition):
    """One account at one vendor of models."""

    protocol: ProviderProtocol = Field(description="The dialect it is entered in; the vendor's usual one unless given.")
    vendor: Vendor | None = Field(
        default=None, description="Whose service it is; told from `base_url` and `protocol` unless given."
    )
    base_url: str | None = Field(
        default=None,
        description="What the vendor's own SDK takes: Anthropic and Gemini without a version, OpenAI with `/v1`.",
    )
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")] | None = Field(
        default=None, description="AWS's region, or Google Cloud's location (`global` unless given)."
    )
    project: Annotated[str, Field(pattern=r"^[a-z0-9.:-]{1,100}$")] | None = Field(
        default=None, description="Google Cloud's project."
    )
    api_version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]{1,40}$")] | None = Field(
        default=None, description="Azure's `api-version`; needed only where `base_url` does not end with `/openai/v1`."
    )
    credential: Reference | None = Field(
        default=None,
        description=f"{_FORMS}. Read by the control plane (env) or by the gateway, never sent to a sandbox.",
    )
    credentials: list[PooledCredential] = Field(
        default_factory=list, description="Several, instead of one: calls are spread over them."
    )
    auth: Auth | None = Field(
        default=None, description="How the credential is presented; the vendor's own way unless given."
    )
    headers: dict[str, str] = Field(default_factory=dict, description="Sent with every call.")
    price_list: str | None = Field(
        default=None, description="Vendor whose published prices count (`anthropic`, `openai`, `openrouter`, ...)."
    )
    models: dict[str, ProviderModel] = Field(default_factory=dict)
    timeouts: ProviderTimeouts = ProviderTimeouts()

    @model_validator(mode="before")
    @classmethod
    def _usual_protocol(cls, value: object) -> object:
        """`vendor: bedrock` alone names the dialect as well."""
        if not isinstance(value, Mapping):
            return value
        vendor, protocol = value.get("vendor"), value.get("protocol")
        if protocol is None and vendor in set(Vendor):
            return {**value, "protocol": PROTOCOLS[Vendor(vendor)][0]}
        if protocol in set(Vendor) - set(ProviderProtocol):
            raise ValueError(f"{protocol!r} is a vendor, not a protocol: write `vendor: {protocol}`")
        return value

    @field_validator("base_url")
    @classmethod
    def _whole_url(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", value):
            raise ValueError("a base URL starts with http:// or https:// and has no query, fragment or user name")
        return value.rstrip("/") if value is not None else None

    @model_validator(mode="after")
    def _fits_the_vendor(self) -> ProviderDefinition:
        vendor = self.seller
        if self.protocol not in PROTOCOLS[vendor]:
            served = ", ".join(PROTOCOLS[vendor])
            raise ValueError(f"vendor {vendor} does not speak {self.protocol}, only {served}")
        if vendor is Vendor.BEDROCK and not self.region:
            raise ValueError("vendor bedrock needs `region`, such as us-east-1")
        if vendor is Vendor.VERTEX and not self.project:
            raise ValueError("vendor vertex needs `project`, the id of a Google Cloud project")
        if usual_address(vendor, self.protocol, self.region) is None and self.base_url is None:
            example = " such as https://RESOURCE.openai.azure.com/openai/v1" if vendor is Vendor.AZURE else ""
            raise ValueError(f"vendor {vendor} needs `base_url`{example}")
        return self

    @model_validator(mode="after")
    def _one_way_to_give_credentials(self) -> ProviderDefinition:
        if self.credential is not None and self.credentials:
            raise ValueError("give either `credential` or `credentials`, not both")
        ids = [key.key_id for key in self.keys]
        if len(ids) != len(set(ids)):
            raise ValueError("two of `credentials` are the same: give each a `name` of its own")
        return self

    @property
    def seller(self) -> Vendor:
        """Whose service it is."""
        return self.vendor or implied_vendor(self.protocol, self.base_url)

    @property
    def url(self) -> str:
        """Where calls go."""
        url = self.base_url or usual_address(self.seller, self.protocol, self.region)
        assert url is not None  # checked when it was made
        return url

    @property
    def keys(self) -> Sequence[PooledCredential]:
        """Its credentials; a cloud's own when none is given. Empty for a server that needs none."""
        if self.credentials:
            return self.credentials
        reference = self.credential or CHAINS.get(self.seller)
        return [PooledCredential(credential=reference)] if reference else []

    def auth_of(self, key: PooledCredential) -> str:
        """How one of its credentials is presented."""
        return key.auth or self.auth or own_auth(self.seller, self.protocol, key.credential)


def split_target(target: str) -> tuple[str, str]:
    """`provider/model` as a pair; the model's own name may contain slashes. Raises `ValueError`."""
    provider, slash, model = target.partition("/")
    if not provider or not slash or not model:
        raise ValueError(f"{target!r} is no target; write provider/model, such as anthropic/claude-opus-5-5")
    return provider, model


def _percent(value: object) -> object:
    return value.removesuffix("%").strip() if isinstance(value, str) else value


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, str) else value


class WeightedTarget(Definition):
    """A target with its share among those of a `weighted` step."""

    target: str
    weight: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Share(Definition):
    """A target for a share of the calls only: `{target: google/gemini-3.8-pro, percent: 5}`."""

    target: str
    percent: Annotated[float, BeforeValidator(_percent), Field(gt=0, le=100)] = 100.0

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: object) -> object:
        return {"target": value} if isinstance(value, str) else value

    @field_validator("target")
    @classmethod
    def _is_target(cls, value: str) -> str:
        split_target(value)
        return value

    @property
    def basis_points(self) -> int:
        """The share in hundredths of a per cent; never nothing."""
        return max(1, round(self.percent * 100))


class RouteStep(Definition):
    """The targets to try for the calls a step is for. The first step whose condition holds counts, and no other."""

    when: Annotated[str, AfterValidator(check_condition)] | None = Field(
        default=None, description="A CEL expression over the call; every call unless given. See docs/routing.md."
    )
    to: Annotated[list[str | WeightedTarget], BeforeValidator(_one_or_many), Field(min_length=1)]
    strategy: Literal["ordered", "weighted", "cheapest", "fastest"] = Field(
        default="ordered", description="In which order the targets are tried."
    )
    split: Share | None = Field(default=None, description="A new target that a share of the sessions tries first.")
    shadow: Share | None = Field(
        default=None, description="A target that gets a copy of a share of the calls; nobody sees its answer."
    )

    @field_validator("to")
    @classmethod
    def _targets(cls, value: list[str | WeightedTarget]) -> list[str | WeightedTarget]:
        for target in value:
            split_target(target if isinstance(target, str) else target.target)
        return value

    @model_validator(mode="after")
    def _weights_are_used(self) -> RouteStep:
        if self.strategy != "weighted" and any(weight != 1 for _, weight in self.weighted):
            raise ValueError("weights count in a step with `strategy: weighted` only")
        return self

    @property
    def weighted(self) -> list[tuple[str, int]]:
        """Each target of `to` with its weight."""
        return [(one, 1) if isinstance(one, str) else (one.target, one.weight) for one in self.to]

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Every (provider, model) that a call or its copy may reach, in order."""
        shares = [share.target for share in (self.split, self.shadow) if share is not None]
        return [split_target(target) for target in [*(target for target, _ in self.weighted), *shares]]


class ModelDefinition(Definition):
    """An alias that agents call, and where its calls go."""

    route: Annotated[list[RouteStep], Field(min_length=1, max_length=50)]

    @model_validator(mode="before")
    @classmethod
    def _shorthand(cls, value: object) -> object:
        """`coder: anthropic/claude-opus-5-5` and `coder: [a/x, b/y]` mean a route of one step."""
        return {"route": [{"to": value}]} if isinstance(value, str | list) else value

    @model_validator(mode="after")
    def _every_step_can_be_reached(self) -> ModelDefinition:
        for number, step in enumerate(self.route[:-1], start=1):
            if step.when is None:
                raise ValueError(f"step {number} has no `when`, so the steps after it are never reached")
        return self

    @property
    def targets(self) -> list[tuple[str, str]]:
        """Every (provider, model) a call may reach, in order."""
        return [target for step in self.route for target in step.targets]

    @property
    def is_for_every_call(self) -> bool:
        """False if there may be calls that no step is for."""
        return self.route[-1].when is None


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
