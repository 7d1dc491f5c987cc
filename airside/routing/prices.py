"""Prices: from the `genai-prices` list that came with the package, or as people override them.

The result is the snapshot's own shape: tiers in nano-dollars per million tokens. Where a list leaves a cache price
out, plain input counts, so that nothing is ever taken for free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from genai_prices import types as listed
from genai_prices.data_snapshot import get_snapshot

from airside.routing.definitions import TokenPrices

NANO = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class TierPrices:
    """Nano-dollars per million tokens, for calls whose whole input is above `above_input_tokens`."""

    above_input_tokens: int
    input_uncached: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    output: int


def _nano(dollars: Decimal) -> int:
    return int((dollars * NANO).to_integral_value(rounding=ROUND_CEILING))


def overridden(prices: TokenPrices) -> list[TierPrices]:
    """Prices that somebody wrote down: one tier."""
    return [
        TierPrices(
            above_input_tokens=0,
            input_uncached=_nano(prices.input),
            cache_read=_nano(prices.input if prices.cache_read is None else prices.cache_read),
            cache_write_5m=_nano(prices.input if prices.cache_write_5m is None else prices.cache_write_5m),
            cache_write_1h=_nano(_hour_write(prices.input, prices.cache_write_5m, prices.cache_write_1h)),
            output=_nano(prices.output),
        )
    ]


def _hour_write(plain: Decimal, write: Decimal | None, hour_write: Decimal | None) -> Decimal:
    if hour_write is not None:
        return hour_write
    return plain if write is None else write


def is_price_list(name: str) -> bool:
    """True if the price list knows a vendor of that name."""
    return any(vendor.id == name for vendor in get_snapshot().providers)


def published(price_list: str, model: str, at: datetime) -> list[TierPrices] | None:
    """What the vendor `price_list` asks for `model` at that time, lowest tier first; None if it does not say."""
    info = _listed_model(price_list, model)
    if info is None:
        return None
    prices = info.get_prices(at)
    if prices.input_mtok is None or prices.output_mtok is None:
        return None
    return [_tier_of(prices, threshold) for threshold in _thresholds(prices)]


def context_window(price_list: str, model: str) -> int | None:
    """The most input tokens the vendor's model takes, where the list says so."""
    info = _listed_model(price_list, model)
    return info.context_window if info else None


def _listed_model(price_list: str, model: str) -> listed.ModelInfo | None:
    vendor = next((vendor for vendor in get_snapshot().providers if vendor.id == price_list), None)
    return vendor.find_model(model, all_providers=get_snapshot().providers) if vendor else None


def _fields(prices: listed.ModelPrice) -> Sequence[Decimal | listed.TieredPrices | None]:
    return (
        prices.input_mtok,
        prices.cache_read_mtok,
        prices.cache_write_mtok,
        prices.cache_write_1h_mtok,
        prices.output_mtok,
    )


def _thresholds(prices: listed.ModelPrice) -> list[int]:
    starts = {tier.start for price in _fields(prices) if isinstance(price, listed.TieredPrices) for tier in price.tiers}
    return [0, *sorted(starts - {0})]


def _tier_of(prices: listed.ModelPrice, threshold: int) -> TierPrices:
    def at(price: Decimal | listed.TieredPrices | None) -> Decimal | None:
        if not isinstance(price, listed.TieredPrices):
            return price
        reached = [tier.price for tier in price.tiers if tier.start <= threshold]
        return reached[-1] if threshold and reached else price.base

    plain, read, write, hour_write, output = (at(price) for price in _fields(prices))
    assert plain is not None and output is not None  # noqa: PT018 - one fact: the list prices this model
    return TierPrices(
        above_input_tokens=threshold,
        input_uncached=_nano(plain),
        cache_read=_nano(plain if read is None else read),
        cache_write_5m=_nano(plain if write is None else write),
        cache_write_1h=_nano(_hour_write(plain, write, hour_write)),
        output=_nano(output),
    )
