"""The snapshot: the one compiled, versioned configuration that a data plane runs on.

It arrives whole, by long poll from the control plane or from a file, and is never patched: a call sees one version
from start to end. Money is in nano-dollars (1e-9 USD); prices are nano-dollars per million tokens, so that every
published price is an integer.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from airside.recording.definitions import BodyPolicy
from airside.routing.prices import ServiceTierPrices, TierPrices, ToolFees
from airside.routing.protocols import ProviderProtocol
from airside.routing.vendors import Vendor
from airside.spending.budgets import Window
from airside.spending.scopes import ScopeKind

SNAPSHOT_FORMAT: Literal[1] = 1


class Contract(BaseModel):
    """A message between the planes: immutable; unknown fields are refused where we write, ignored where we read."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)


class CredentialKind(StrEnum):
    """Which header carries the provider's secret."""

    BEARER = "bearer"
    X_API_KEY = "x_api_key"
    API_KEY = "api_key"
    X_GOOG_API_KEY = "x_goog_api_key"
    SIGV4 = "sigv4"
    NONE = "none"


class FileSource(Contract):
    """A file that holds the secret, or JSON with it and the time it ends."""

    from_: Literal["file"] = Field(default="file", alias="from")
    path: str


class CommandSource(Contract):
    """A program that writes the secret, or JSON with it and the time it ends."""

    from_: Literal["command"] = Field(default="command", alias="from")
    argv: list[str]


class AwsSource(Contract):
    """Where AWS's own programs look: environment, shared files, web identity, container, instance."""

    from_: Literal["aws"] = Field(default="aws", alias="from")
    profile: str | None = Field(default=None, description="Of the shared files.")


class GcpSource(Contract):
    """Where Google's own programs look: a key file, the user's login, the metadata server."""

    from_: Literal["gcp"] = Field(default="gcp", alias="from")
    path: str | None = Field(default=None, description="A key file, instead of the one that the environment names.")


class AzureSource(Contract):
    """Where Azure's own programs look: a client of the environment, a managed identity."""

    from_: Literal["azure"] = Field(default="azure", alias="from")


SecretSource = Annotated[FileSource | CommandSource | AwsSource | GcpSource | AzureSource, Field(discriminator="from_")]


class Credential(Contract):
    """What the gateway presents to a provider. Only ever inside a snapshot: never logged, never in a sandbox."""

    kind: CredentialKind
    secret: str | None = Field(default=None, description="The value itself.")
    env: str | None = Field(
        default=None,
        description="In a snapshot read from a file, instead of `secret`: the gateway's environment variable to take.",
    )
    source: SecretSource | None = Field(
        default=None, description="Instead of `secret`: where the gateway reads it, again and again, as it changes."
    )


class ProviderKey(Credential):
    """One of a provider's credentials."""

    key_id: str = Field(description="The same in every snapshot that has it; says nothing about the secret.")
    weight: int = Field(default=1, description="Its share of the calls.")


class Timeouts(Contract):
    """How long the gateway waits for a provider, in milliseconds."""

    connect_ms: int = 5_000
    first_byte_ms: int = Field(default=120_000, description="From the last request byte to the response head.")
    idle_ms: int = Field(default=120_000, description="Between two chunks of a response body.")


class Provider(Contract):
    """One account at one vendor."""

    name: str
    protocol: ProviderProtocol
    vendor: Vendor | None = Field(default=None, description="Whose service it is; None: told from the protocol.")
    base_url: str = Field(
        description="What the vendor's own SDK takes: Anthropic and Gemini without a version, OpenAI with `/v1`. No "
        "trailing slash."
    )
    region: str | None = Field(default=None, description="AWS's region, or Google Cloud's location.")
    project: str | None = Field(default=None, description="Google Cloud's project.")
    api_version: str | None = Field(default=None, description="Azure's `api-version`.")
    credential: Credential | None = Field(default=None, description="In snapshots without `credentials`.")
    credentials: list[ProviderKey] = Field(
        default_factory=list, description="What the gateway shows it: one of these. Empty: nothing is needed."
    )
    headers: list[tuple[str, str]] = Field(default_factory=list, description="Sent with every call, after ours.")
    timeouts: Timeouts = Timeouts()


class Price(Contract):
    """The tiers of one model, lowest first; the last tier whose threshold the call exceeds prices the whole call."""

    tiers: Annotated[list[TierPrices], Field(min_length=1)]
    service_tiers: ServiceTierPrices = ServiceTierPrices()
    unasked_service_tier: Literal["priority"] | None = Field(
        default=None, description="What a call may be served as that names no service tier, by the account's setting."
    )
    tool_fees: ToolFees = ToolFees()


class Capabilities(Contract):
    """What a model can be given. None: nobody said, and it is taken to be able."""

    images: bool | None = None
    documents: bool | None = None
    tools: bool | None = None
    thinking: bool | None = None
    structured_output: bool | None = Field(
        default=None, description="Bedrock's Converse is told of a schema only where this is true."
    )


class Target(Contract):
    """One model at one provider: a place a call can go."""

    provider: str
    model: str = Field(description="The provider's own name for it; may contain slashes.")
    price: Price | None = Field(default=None, description="None: `unknown_price` decides.")
    max_output_tokens: int = Field(
        default=32_000, description="Reserved for the answer when the request names no limit of its own."
    )
    max_input_tokens: int | None = Field(
        default=None,
        description="The model's context window, where known: no call can take more, so no reservation is larger.",
    )
    weight: int = Field(default=1, ge=1, description="Its share among the targets of a weighted step.")
    capabilities: Capabilities = Capabilities()


class Strategy(StrEnum):
    """In which order the targets of a step are tried."""

    ORDERED = "ordered"
    WEIGHTED = "weighted"
    CHEAPEST = "cheapest"
    FASTEST = "fastest"


class Share(Contract):
    """A target for a share of the calls only."""

    target: Target
    basis_points: int = Field(ge=0, le=10_000, description="Hundredths of a per cent: 10,000 is every call.")


class Step(Contract):
    """One rule of a route: the targets to try for the calls it is for. The first step that applies counts."""

    when: str | None = Field(
        default=None,
        description="A CEL expression over the call (`airside_gateway.check_condition`); None: every call.",
    )
    to: Annotated[list[Target], Field(min_length=1)]
    strategy: Strategy = Strategy.ORDERED
    split: Share | None = Field(default=None, description="A new target that a share of the sessions tries first.")
    shadow: Share | None = Field(
        default=None, description="A target that gets a copy of a share of the calls; nobody sees its answer."
    )


class Model(Contract):
    """An alias that agents call, and its route."""

    name: str
    route: Annotated[list[Step], Field(min_length=1)]


class Key(Contract):
    """A long-lived key. Only its SHA-256 is known."""

    key_id: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    project: str
    agent_id: str | None = None
    agent_name: str | None = None
    user: str | None = None
    team: str | None = None
    models: list[str] | None = Field(default=None, description="Aliases it may call; None: every model here.")
    expires_at: datetime | None = None


class SessionTokenKey(Contract):
    """The public half of a key that signs session tokens."""

    key_id: str
    ed25519: str = Field(description="32 bytes, base64url without padding.")


class RevokedSession(Contract):
    """A session whose tokens are refused from now on."""

    session_id: str
    until: datetime = Field(description="When its last token expires by itself and this line may go.")


class OnLimit(StrEnum):
    """What happens to the caller when a budget cannot cover a call. The answer is 402 unless a downgrade is covered."""

    PARK = "park"
    REFUSE = "refuse"
    DOWNGRADE = "downgrade"


class Budget(Contract):
    """A hard cap. `scope_id` is the id of a project or agent, or a name; a session's own cap travels in its token
    instead (see `SessionClaims`).
    """

    budget_id: str
    scope: ScopeKind
    scope_id: str = Field(description="`*` for each of its kind that has no budget of its own.")
    limit_nanousd: int = Field(ge=0)
    window: Window = Field(description="The control plane computes its bounds and sends them with a lease.")
    timezone: str = Field(
        default="UTC", description="IANA zone of its days, weeks and months, for a gateway without a control plane."
    )
    warn_at_nanousd: int | None = None
    on_limit: OnLimit = OnLimit.PARK
    downgrade_to: str | None = Field(default=None, description="The alias that serves instead.")


class RateLimit(Contract):
    """How fast a scope may call; each gateway keeps its share of it. None: not limited."""

    scope: ScopeKind
    scope_id: str = Field(description="`*` for each of its kind that has no limit of its own.")
    window: Literal["minute", "hour", "day"]
    requests: int | None = None
    tokens: int | None = None
    concurrent: int | None = None


class UnknownPrice(Contract):
    """What to do with a target nobody has priced: refuse it, or bill it at a flat ceiling. Never zero."""

    policy: Literal["refuse", "ceiling"]
    ceiling: Price | None = None


class Limits(Contract):
    """Bounds that hold for every caller."""

    max_body_bytes: int = 64 * 1024 * 1024
    startup_hold_ms: int = Field(
        default=20_000, description="Longest wait for the first content before the answer is committed."
    )
    startup_hold_bytes: int = 64 * 1024
    short_retry_after_ms: int = Field(
        default=2_000, description="A Retry-After up to this is waited out when no other target is left."
    )
    max_concurrent_calls: int = 4_096
    websocket_lifetime_ms: int = 3_600_000
    session_retries: int = Field(
        default=20,
        ge=0,
        description="Requests after the first one of a call that a session may have in `retry_window_ms`.",
    )
    retry_window_ms: int = Field(default=600_000, ge=1)
    max_shadow_calls: int = Field(default=16, ge=0, description="Copies for shadow targets at once; more are not sent.")


class Recording(Contract):
    """How a project wants the bodies of its calls recorded."""

    project: str
    bodies: BodyPolicy = BodyPolicy.OFF
    retention_days: int = 30
    max_bytes: int = Field(default=1024 * 1024, description="The most of a request or an answer that is kept.")
    audited: bool = Field(default=False, description="A call whose bodies there is no room for is refused.")
    emails: bool = Field(default=False, description="Addresses of e-mail are taken out too.")
    patterns: list[str] = Field(default_factory=list, description="What else is taken out.")


class Snapshot(Contract):
    """Everything a data plane needs to serve without asking anybody."""

    format: Literal[1] = SNAPSHOT_FORMAT
    version: int = Field(ge=1, description="Rises by at least one with each change, within one control plane.")
    compiled_at: datetime
    session_token_keys: list[SessionTokenKey] = Field(default_factory=list)
    keys: list[Key] = Field(default_factory=list)
    revoked_sessions: list[RevokedSession] = Field(default_factory=list)
    providers: list[Provider] = Field(default_factory=list)
    models: list[Model] = Field(default_factory=list)
    unknown_price: UnknownPrice = UnknownPrice(policy="refuse")
    budgets: list[Budget] = Field(default_factory=list)
    rate_limits: list[RateLimit] = Field(default_factory=list)
    limits: Limits = Limits()
    recordings: list[Recording] = Field(default_factory=list, description="Projects that want bodies recorded.")


class SessionClaims(Contract):
    """What a session token says: `airs_` + base64url(this as JSON) + `.` + base64url(Ed25519 signature of that text).

    The signature covers the ASCII bytes of the first base64url part, exactly as sent. Times are seconds since 1970.
    """

    version: Literal[1] = 1
    key_id: str = Field(description="Which `session_token_keys` entry signed it.")
    session_id: str
    deployment_id: str | None = None
    agent_id: str
    agent_name: str
    agent_version: int
    team: str | None = None
    user: str | None = None
    project: str
    harness: str
    models: list[str] = Field(description="Aliases this session may call.")
    budget_nanousd: int | None = Field(default=None, description="The session's own cap over its whole life.")
    issued_at: int
    expires_at: int
    minimum_snapshot: int = Field(
        default=0, description="The gateway waits briefly for this snapshot version before it answers."
    )
