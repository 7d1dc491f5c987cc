"""Prices are integers, complete, and those of the published list unless somebody wrote down others."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from airside.routing.definitions import TierTokenPrices, TokenPrices
from airside.routing.prices import ModelPrices, TierPrices, context_window, is_price_list, published, written

NOVEMBER = datetime(2026, 11, 20, tzinfo=UTC)
PLAIN = TokenPrices(input=Decimal(2), output=Decimal(8))


def listed(price_list: str, model: str) -> ModelPrices:
    prices = published(price_list, model, NOVEMBER)
    assert prices is not None
    return prices


def test_a_published_price_is_in_nanodollars_per_million_tokens() -> None:
    assert listed("anthropic", "claude-haiku-4-5").tiers == [
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
    tiers = listed("anthropic", "claude-sonnet-4-5").tiers
    assert [(tier.above_input_tokens, tier.input_uncached, tier.output) for tier in tiers] == [
        (0, 3_000_000_000, 15_000_000_000),
        (200_000, 6_000_000_000, 22_500_000_000),
    ]


def test_a_cache_write_nobody_priced_costs_what_input_costs() -> None:
    tiers = listed("openai", "gpt-5").tiers
    assert tiers[0].cache_write_5m == tiers[0].cache_write_1h == tiers[0].input_uncached == 1_250_000_000
    assert tiers[0].cache_read == 125_000_000


def test_an_unknown_model_has_no_price_rather_than_none() -> None:
    assert published("anthropic", "no-such-model", NOVEMBER) is None
    assert published("no-such-vendor", "claude-haiku-4-5", NOVEMBER) is None


def test_service_tiers_have_the_prices_of_the_list() -> None:
    own = listed("openai", "gpt-5").service_tiers
    assert own.flex is not None
    assert own.priority is not None
    assert [tier.input_uncached for tier in own.flex] == [625_000_000]
    assert [tier.output for tier in own.priority] == [20_000_000_000]
    fast = listed("anthropic", "claude-opus-5-5").service_tiers.fast
    assert fast is not None
    assert (fast[0].input_uncached, fast[0].cache_write_1h) == (8_000_000_000, 16_000_000_000)


def test_a_service_tier_nobody_priced_is_never_taken_for_cheaper() -> None:
    haiku = listed("anthropic", "claude-haiku-4-5")
    assert haiku.service_tiers.flex is None  # the usual price holds
    assert haiku.service_tiers.priority is None  # capacity bought ahead
    assert haiku.service_tiers.fast == [haiku.tiers[0].times(Decimal(6))]
    codex = listed("openai", "gpt-5.3")
    assert codex.service_tiers.priority is not None
    assert codex.service_tiers.priority[0].output >= codex.tiers[0].output


def test_only_where_an_account_can_be_set_to_it_is_priority_possible_unasked() -> None:
    assert listed("openai", "gpt-5").unasked_service_tier == "priority"
    assert listed("anthropic", "claude-opus-5-5").unasked_service_tier is None
    assert listed("google", "gemini-3.8-flash").unasked_service_tier is None


@pytest.mark.parametrize(
    ("price_list", "model", "web", "files"),
    [
        ("anthropic", "claude-opus-5-5", 10_000_000_000, 0),
        ("openai", "gpt-5", 10_000_000_000, 2_500_000_000),
        ("anthropic", "claude-3-haiku", 10_000_000_000, 0),  # the list has none: the vendor's own
    ],
)
def test_tools_of_the_provider_have_a_fee(price_list: str, model: str, web: int, files: int) -> None:
    fees = listed(price_list, model).tool_fees
    assert (fees.web_search, fees.file_search) == (web, files)


def test_embeddings_are_priced_though_nothing_is_written() -> None:
    tier = listed("openai", "text-embedding-3-small").tiers[0]
    assert (tier.input_uncached, tier.output) == (20_000_000, 20_000_000)


def test_written_prices_replace_the_list() -> None:
    tier = written(TokenPrices(input=Decimal("0.1"), output=Decimal("0.0000000001")), None).tiers[0]
    assert tier.input_uncached == tier.cache_read == tier.cache_write_1h == 100_000_000
    assert tier.output == 1  # rounded up: nothing that has a price is free


def test_written_service_tiers_are_factors_or_prices() -> None:
    prices = PLAIN.model_copy(
        update={
            "service_tiers": {
                "flex": Decimal("0.5"),
                "priority": TierTokenPrices(input=Decimal(3), output=Decimal(9)),
            }
        }
    )
    own = written(prices, None).service_tiers
    assert own.flex is not None
    assert own.priority is not None
    assert own.fast is not None
    assert (own.flex[0].input_uncached, own.flex[0].output) == (1_000_000_000, 4_000_000_000)
    assert (own.priority[0].input_uncached, own.priority[0].output) == (3_000_000_000, 9_000_000_000)
    assert own.fast[0].input_uncached == 12_000_000_000
    assert own.batch is None


def test_written_prices_keep_the_fees_of_the_list_unless_they_name_others() -> None:
    known = listed("openai", "gpt-5")
    assert written(PLAIN, known).tool_fees == known.tool_fees
    own = written(PLAIN.model_copy(update={"web_search": Decimal(25)}), known).tool_fees
    assert (own.web_search, own.file_search) == (25_000_000_000, 2_500_000_000)


def test_the_list_knows_vendors_and_windows() -> None:
    assert is_price_list("openrouter")
    assert not is_price_list("nobody")
    assert context_window("anthropic", "claude-opus-5-5") == 1_000_000
    assert context_window("anthropic", "nobody") is None
