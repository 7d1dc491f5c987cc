"""Compiles what people defined into a snapshot.

Pure: definitions, prices and the values of credentials in, a snapshot out. Its content hash decides whether there is
anything new to send.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airside.access.keys import StoredKey
from airside.access.tokens import encode_base64url
from airside.agents.agents import Agent
from airside.dataplanes.snapshot import (
    AwsSource,
    AzureSource,
    Budget,
    Capabilities,
    CommandSource,
    CredentialKind,
    FileSource,
    GcpSource,
    Key,
    Model,
    OnLimit,
    Price,
    Provider,
    ProviderKey,
    RateLimit,
    Recording,
    RevokedSession,
    SecretSource,
    SessionTokenKey,
    Share,
    Snapshot,
    Step,
    Strategy,
    Target,
    Timeouts,
    UnknownPrice,
)
from airside.events import canonical_json
from airside.ids import ProjectId
from airside.recording.definitions import BodyPolicy, RecordingDefinition
from airside.routing import definitions
from airside.routing.definitions import (
    ModelDefinition,
    PooledCredential,
    ProviderDefinition,
    ProviderModel,
    RouteStep,
    UnknownPriceDefinition,
    split_target,
)
from airside.routing.prices import ModelPrices, context_window, published, written
from airside.routing.vendors import PRICE_LISTS, PRICE_LISTS_BY_PROTOCOL, priced_name
from airside.spending.budgets import StoredBudget
from airside.spending.rate_limits import RateLimitDefinition
from airside.spending.scopes import ANY, ScopeKind, split_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Everything a snapshot is made from. What is left out is not there."""

    providers: Mapping[str, ProviderDefinition]
    models: Mapping[str, ModelDefinition]
    agents: Sequence[Agent] = ()
    keys: Sequence[StoredKey] = ()
    budgets: Sequence[StoredBudget] = ()
    rate_limits: Sequence[RateLimitDefinition] = ()
    revoked: Sequence[RevokedSession] = ()
    unknown_price: UnknownPriceDefinition = field(default_factory=UnknownPriceDefinition)
    recordings: Mapping[ProjectId, RecordingDefinition] = field(default_factory=dict)
    token_key_id: str
    token_public_key: bytes


def compile_snapshot(sources: Sources, version: int, at: datetime, environment: Mapping[str, str]) -> Snapshot:
    """The snapshot of these sources. Credentials are taken from `environment`; one that is missing is left empty,
    and the gateway then skips that provider and says so.
    """
    return Snapshot(
        version=version,
        compiled_at=at,
        session_token_keys=[
            SessionTokenKey(key_id=sources.token_key_id, ed25519=encode_base64url(sources.token_public_key))
        ],
        keys=_keys(sources, at),
        revoked_sessions=[revoked for revoked in sources.revoked if revoked.until > at],
        providers=[_provider(name, definition, environment) for name, definition in sorted(sources.providers.items())],
        models=[
            Model(name=name, route=[_step(step, sources.providers, at) for step in definition.route])
            for name, definition in sorted(sources.models.items())
        ],
        unknown_price=_unknown_price(sources.unknown_price),
        budgets=_budgets(sources),
        recordings=[
            Recording(project=project, **definition.model_dump())
            for project, definition in sorted(sources.recordings.items())
            if definition.bodies is not BodyPolicy.OFF
        ],
        rate_limits=_rate_limits(sources),
    )


def content_sha256(snapshot: Snapshot) -> str:
    """What the snapshot says, apart from its version and date."""
    content = snapshot.model_dump(mode="json", exclude={"version", "compiled_at"})
    return hashlib.sha256(canonical_json(content)).hexdigest()


def missing_credentials(definition: ProviderDefinition, environment: Mapping[str, str]) -> list[str]:
    """The environment variables that a provider's credentials name and this process lacks."""
    references = [key.credential for key in definition.keys]
    variables = [reference.removeprefix("env:") for reference in references if reference.startswith("env:")]
    return [variable for variable in variables if not environment.get(variable)]


def _keys(sources: Sources, at: datetime) -> list[Key]:
    agents = {agent.agent_id: agent for agent in sources.agents}
    return [
        Key(
            key_id=key.key_id,
            sha256=key.sha256,
            project=key.project_id,
            agent_id=key.agent_id,
            agent_name=agents[key.agent_id].name,
            user=key.user,
            team=key.team,
            models=None,
            expires_at=key.expires_at,
        )
        for key in sources.keys
        if key.revoked_at is None and key.agent_id in agents and (key.expires_at is None or key.expires_at > at)
    ]


def _provider(name: str, definition: ProviderDefinition, environment: Mapping[str, str]) -> Provider:
    return Provider(
        name=name,
        protocol=definition.protocol,
        vendor=definition.seller,
        base_url=definition.url,
        region=definition.region,
        project=definition.project,
        api_version=definition.api_version,
        credentials=[_key(definition, key, environment) for key in definition.keys],
        headers=sorted(definition.headers.items()),
        timeouts=Timeouts(
            connect_ms=round(definition.timeouts.connect * 1000),
            first_byte_ms=round(definition.timeouts.first_byte * 1000),
            idle_ms=round(definition.timeouts.idle * 1000),
        ),
    )


def _key(definition: ProviderDefinition, key: PooledCredential, environment: Mapping[str, str]) -> ProviderKey:
    """A credential as the gateway takes it: what the environment holds is sent, the rest it reads itself."""
    form, _, rest = key.credential.partition(":")
    secret = environment.get(rest) if form == "env" else None
    return ProviderKey(
        key_id=key.key_id,
        weight=key.weight,
        kind=CredentialKind(definition.auth_of(key).replace("-", "_")),
        secret=secret or None,
        source=_source(form, rest),
    )


def _source(form: str, rest: str) -> SecretSource | None:
    match form:
        case "file":
            return FileSource(path=rest)
        case "command":
            return CommandSource(argv=shlex.split(rest))
        case "aws":
            return AwsSource(profile=rest or None)
        case "gcp":
            return GcpSource(path=rest or None)
        case "azure":
            return AzureSource()
        case _:
            return None


def _step(step: RouteStep, providers: Mapping[str, ProviderDefinition], at: datetime) -> Step:
    return Step(
        when=step.when,
        to=[
            _target(*split_target(target), providers, at).model_copy(update={"weight": weight})
            for target, weight in step.weighted
        ],
        strategy=Strategy(step.strategy),
        split=_share(step.split, providers, at),
        shadow=_share(step.shadow, providers, at),
    )


def _share(share: definitions.Share | None, providers: Mapping[str, ProviderDefinition], at: datetime) -> Share | None:
    if share is None:
        return None
    return Share(target=_target(*split_target(share.target), providers, at), basis_points=share.basis_points)


def _target(provider_name: str, model: str, providers: Mapping[str, ProviderDefinition], at: datetime) -> Target:
    provider = providers[provider_name]
    known = provider.models.get(model, ProviderModel())
    price_list, listed_name = price_list_of(provider), priced_name(provider.seller, model)
    listed = published(price_list, listed_name, at)
    prices = written(known.prices, listed) if known.prices else listed
    return Target(
        provider=provider_name,
        model=model,
        price=price_of(prices) if prices else None,
        max_output_tokens=known.max_output_tokens,
        max_input_tokens=known.context_window or context_window(price_list, listed_name),
        capabilities=Capabilities.model_validate(known.capabilities.model_dump()),
    )


def price_of(prices: ModelPrices) -> Price:
    """These prices as a snapshot says them."""
    return Price(
        tiers=list(prices.tiers),
        service_tiers=prices.service_tiers,
        unasked_service_tier=prices.unasked_service_tier,
        tool_fees=prices.tool_fees,
    )


def unpriced_targets(
    providers: Mapping[str, ProviderDefinition], models: Mapping[str, ModelDefinition], at: datetime
) -> list[str]:
    """The targets, as `provider/model`, that nobody has priced."""
    targets = {target for model in models.values() for target in model.targets if target[0] in providers}
    return [f"{name}/{model}" for name, model in sorted(targets) if _target(name, model, providers, at).price is None]


def price_list_of(provider: ProviderDefinition) -> str:
    """The vendor whose published prices count: as defined, else the provider's own, else its protocol's."""
    return provider.price_list or PRICE_LISTS.get(provider.seller) or PRICE_LISTS_BY_PROTOCOL[provider.protocol]


def _unknown_price(definition: UnknownPriceDefinition) -> UnknownPrice:
    ceiling = price_of(written(definition.ceiling, None)) if definition.ceiling else None
    return UnknownPrice(policy=definition.policy, ceiling=ceiling)


def _scope_id(scope: str, agents: Mapping[str, Agent]) -> tuple[ScopeKind, str] | None:
    """A scope as the snapshot names it; None for an agent that there is not."""
    kind, name = split_scope(scope)
    if kind is ScopeKind.AGENT and name is not None and name != ANY:
        return (kind, agents[name].agent_id) if name in agents else None
    # Of projects there is one, so each of them is it.
    return (kind, name or ANY)


def _agents_by_name(sources: Sources) -> Mapping[str, Agent]:
    return {agent.name: agent for agent in reversed(sources.agents)}


def _budgets(sources: Sources) -> list[Budget]:
    agents = _agents_by_name(sources)
    return [
        Budget(
            budget_id=budget.budget_id,
            scope=found[0],
            scope_id=found[1],
            limit_nanousd=budget.definition.limit_nanousd,
            window=budget.definition.window,
            timezone=budget.definition.timezone,
            warn_at_nanousd=budget.definition.warn_at_nanousd,
            on_limit=OnLimit(budget.definition.on_limit),
            downgrade_to=budget.definition.downgrade_to if budget.definition.downgrade_to in sources.models else None,
        )
        for budget in sources.budgets
        if budget.definition.kind is not ScopeKind.SESSION
        and (found := _scope_id(budget.definition.scope, agents)) is not None
    ]


def _rate_limits(sources: Sources) -> list[RateLimit]:
    agents = _agents_by_name(sources)
    return [
        RateLimit(
            scope=found[0],
            scope_id=found[1],
            window=limit.window,
            requests=limit.requests,
            tokens=limit.tokens,
            concurrent=limit.concurrent,
        )
        for limit in sources.rate_limits
        if (found := _scope_id(limit.scope, agents)) is not None
    ]
