"""Prices are integers, complete, and those of the published list unless somebody wrote down others."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from airside.routing.definitions import TokenPrices
from airside.routing.prices import TierPrices, context_window, is_price_list, overridden, published

NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)


def test_a_published_price_is_in_nanodollars_per_million_tokens() -> None:
    assert published("anthropic", "claude-haiku-4-5", NOVEMBER) == [
        TierPrices(
            above_input_tokens=0,
            input_uncached=1_000_000_000,
            cache_read=100_000_000,
            cache_write_5m=1_250_000_000,
            cache_write_1h=2_000_000_000,
            output=5_000_000_000,
        )
    ]


def test_tiers_by_context_size_are_kept() -> None:
    tiers = published("anthropic", "claude-sonnet-4-5", NOVEMBER)
    assert tiers is not None
    assert [(tier.above_input_tokens, tier.input_uncached, tier.output) for tier in tiers] == [
        (0, 3_000_000_000, 15_000_000_000),
        (200_000, 6_000_000_000, 22_500_000_000),
    ]


def test_a_cache_write_nobody_priced_costs_what_input_costs() -> None:
    tiers = published("openai", "gpt-5", NOVEMBER)
    assert tiers is not None
    assert tiers[0].cache_write_5m == tiers[0].cache_write_1h == tiers[0].input_uncached == 1_250_000_000
    assert tiers[0].cache_read == 125_000_000


def test_an_unknown_model_has_no_price_rather_than_none() -> None:
    assert published("anthropic", "no-such-model", NOVEMBER) is None
    assert published("no-such-vendor", "claude-haiku-4-5", NOVEMBER) is None


def test_written_prices_replace_the_list() -> None:
    tier = overridden(TokenPrices(input=Decimal("0.1"), output=Decimal("0.0000000001")))[0]
    assert tier.input_uncached == tier.cache_read == tier.cache_write_1h == 100_000_000
    assert tier.output == 1  # rounded up: nothing that has a price is free


def test_the_list_knows_vendors_and_windows() -> None:
    assert is_price_list("openrouter")
    assert not is_price_list("nobody")
    assert context_window("anthropic", "claude-opus-5-5") == 1_000_000
    assert context_window("anthropic", "nobody") is None
