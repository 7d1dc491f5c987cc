"""Prices: from the `genai-prices` list that came with the package, or as people override them.

The result is the snapshot's own shape: tiers in nano-dollars per million tokens, for the usual service tier and for
others, and fees in nano-dollars per thousand uses of a tool. Where a list leaves a price out, plain input counts, so
that nothing is ever taken for free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Literal

from genai_prices import types as listed
from genai_prices.data_snapshot import get_snapshot

from airside.routing.definitions import TierTokenPrices, TokenPrices

NANO = Decimal(1_000_000_000)
# How the list says under which circumstances a price of its own holds.
_CONTEXTS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "batch": ({"processing": "batch"},),
    "flex": ({"service_tier": "flex"},),
    "priority": ({"service_tier": "priority"},),
    "fast": ({"speed": "fast"}, {"service_tier": "fast"}),
}
# What a dearer service tier costs at most where the list does not say. A cheaper one costs what the usual one costs.
_ASSUMED_FACTORS = {"priority": Decimal(2), "fast": Decimal(6)}
# Whose priority is capacity bought ahead: its tokens are billed at the usual price.
_PRIORITY_IS_PREPAID = frozenset({"anthropic", "aws"})
# Whose accounts can be set to serve calls as `priority` that did not ask for it.
_PRIORITY_UNASKED = frozenset({"openai", "azure"})


@dataclass(frozen=True, slots=True)
class TierPrices:
    """Nano-dollars per million tokens, for calls whose whole input is above `above_input_tokens`."""

    above_input_tokens: int
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int

    def times(self, factor: Decimal) -> TierPrices:
        """The same, dearer or cheaper, rounded up."""
        scaled = {
            field.name: int((getattr(self, field.name) * factor).to_integral_value(rounding=ROUND_CEILING))
            for field in fields(self)
            if field.name != "above_input_tokens"
        }
        return replace(self, **scaled)


@dataclass(frozen=True, slots=True)
class ServiceTierPrices:
    """Tiers for calls that are served more or less urgently; None where the usual ones hold."""

    batch: Sequence[TierPrices] | None = None
    flex: Sequence[TierPrices] | None = None
    priority: Sequence[TierPrices] | None = None
    fast: Sequence[TierPrices] | None = None


@dataclass(frozen=True, slots=True)
class ToolFees:
    """Nano-dollars per thousand uses of tools that the provider runs by itself."""

    web_search: int = 0
    file_search: int = 0


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """Everything that one model asks for; the tiers lowest first."""

    tiers: Sequence[TierPrices]
    service_tiers: ServiceTierPrices = ServiceTierPrices()
    unasked_service_tier: Literal["priority"] | None = None
    tool_fees: ToolFees = ToolFees()


def _nano(dollars: Decimal) -> int:
    return int((dollars * NANO).to_integral_value(rounding=ROUND_CEILING))


# --- as people write them ---------------------------------------------------------------------------------------------


def written(prices: TokenPrices, known: ModelPrices | None) -> ModelPrices:
    """Prices that somebody wrote down: one tier by context size. Fees they left out are those that are `known`."""
    tiers = [_written_tier(prices)]
    own: dict[str, Sequence[TierPrices]] = {
        name: [_written_tier(given)] if isinstance(given, TierTokenPrices) else [tier.times(given) for tier in tiers]
        for name, given in prices.service_tiers.items()
    }
    fees = known.tool_fees if known else ToolFees()
    return ModelPrices(
        tiers,
        ServiceTierPrices(**_with_assumed(tiers, own, frozenset(_ASSUMED_FACTORS))),
        unasked_service_tier=known.unasked_service_tier if known else None,
        tool_fees=ToolFees(
            web_search=fees.web_search if prices.web_search is None else _nano(prices.web_search),
            file_search=fees.file_search if prices.file_search is None else _nano(prices.file_search),
        ),
    )


def _written_tier(prices: TierTokenPrices) -> TierPrices:
    return TierPrices(
        above_input_tokens=0,
        input_uncached=_nano(prices.input),
        cache_read=_nano(prices.input if prices.cache_read is None else prices.cache_read),
        cache_write_5m=_nano(prices.input if prices.cache_write_5m is None else prices.cache_write_5m),
        cache_write_1h=_nano(_hour_write(prices.input, prices.cache_write_5m, prices.cache_write_1h)),
        output=_nano(prices.output),
    )


def _hour_write(plain: Decimal, write: Decimal | None, hour_write: Decimal | None) -> Decimal:
    if hour_write is not None:
        return hour_write
    return plain if write is None else write


def _with_assumed(
    tiers: Sequence[TierPrices], own: Mapping[str, Sequence[TierPrices]], assumed: frozenset[str]
) -> dict[str, Sequence[TierPrices]]:
    """These service tiers, and those among `assumed` that nobody priced, at the most they can cost."""
    missing = {name: factor for name, factor in _ASSUMED_FACTORS.items() if name in assumed and name not in own}
    return {**own, **{name: [tier.times(factor) for tier in tiers] for name, factor in missing.items()}}


# --- as they are published --------------------------------------------------------------------------------------------


def is_price_list(name: str) -> bool:
    """True if the price list knows a vendor of that name."""
    return _vendor(name) is not None


def published(price_list: str, model: str, at: datetime) -> ModelPrices | None:
    """What the vendor `price_list` asks for `model` at that time; None if it does not say."""
    vendor, info = _vendor(price_list), _listed_model(price_list, model)
    if vendor is None or info is None:
        return None
    standard = info.get_prices(at)
    if standard.input_mtok is None:
        return None
    tiers = _tiers(standard)
    own = {name: _tiers(prices) for name in _CONTEXTS if (prices := _variant(info, name, at)) is not None}
    assumed = _ASSUMED_FACTORS.keys() - ({"priority"} if price_list in _PRIORITY_IS_PREPAID else set())
    return ModelPrices(
        tiers,
        ServiceTierPrices(**_with_assumed(tiers, own, frozenset(assumed))),
        unasked_service_tier="priority" if price_list in _PRIORITY_UNASKED and "priority" in own else None,
        tool_fees=ToolFees(
            web_search=_fee(vendor, standard, "web_searches_kcount", at),
            file_search=_fee(vendor, standard, "storage_searches_kcount", at),
        ),
    )


def context_window(price_list: str, model: str) -> int | None:
    """The most input tokens the vendor's model takes, where the list says so."""
    info = _listed_model(price_list, model)
    return info.context_window if info else None


def _vendor(price_list: str) -> listed.Provider | None:
    return next((vendor for vendor in get_snapshot().providers if vendor.id == price_list), None)


def _listed_model(price_list: str, model: str) -> listed.ModelInfo | None:
    vendor = _vendor(price_list)
    return vendor.find_model(model, all_providers=get_snapshot().providers) if vendor else None


def _variant(info: listed.ModelInfo, name: str, at: datetime) -> listed.ModelPrice | None:
    """The model's own prices for a service tier; None if it has none at that time."""
    for context in _CONTEXTS[name]:
        for variant in info.price_variants or ():
            is_active = variant.constraint is None or variant.constraint.active(at)
            if is_active and variant.when == context and variant.prices.__dict__:
                return info.get_prices(at, context)
    return None


def _fee(vendor: listed.Provider, prices: listed.ModelPrice, key: str, at: datetime) -> int:
    """The fee of a tool; where the list leaves a model's out, the highest that its vendor asks anywhere."""
    own = getattr(prices, key)
    if isinstance(own, Decimal):
        return _nano(own)
    others = (getattr(model.get_prices(at), key) for model in vendor.models)
    return max((_nano(fee) for fee in others if isinstance(fee, Decimal)), default=0)


def _fields(prices: listed.ModelPrice) -> Sequence[Decimal | listed.TieredPrices | None]:
    return (
        prices.input_mtok,
        prices.cache_read_mtok,
        prices.cache_write_mtok,
        prices.cache_write_1h_mtok,
        prices.output_mtok,
    )


def _tiers(prices: listed.ModelPrice) -> list[TierPrices]:
    starts = {tier.start for price in _fields(prices) if isinstance(price, listed.TieredPrices) for tier in price.tiers}
    return [_tier_of(prices, threshold) for threshold in (0, *sorted(starts - {0}))]


def _tier_of(prices: listed.ModelPrice, threshold: int) -> TierPrices:
    def at(price: Decimal | listed.TieredPrices | None) -> Decimal | None:
        if not isinstance(price, listed.TieredPrices):
            return price
        reached = [tier.price for tier in price.tiers if tier.start <= threshold]
        return reached[-1] if threshold and reached else price.base

    plain, read, write, hour_write, output = (at(price) for price in _fields(prices))
    assert plain is not None  # the list prices this model
    return TierPrices(
        above_input_tokens=threshold,
        input_uncached=_nano(plain),
        cache_read=_nano(plain if read is None else read),
        cache_write_5m=_nano(plain if write is None else write),
        cache_write_1h=_nano(_hour_write(plain, write, hour_write)),
        output=_nano(plain if output is None else output),
    )
