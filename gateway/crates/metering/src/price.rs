//! What a call costs: its tokens in the tier of its context size and service tier, and the fees of the provider's tools.

use airside_protocols::{Consumption, ServiceTier, TokenUsage};
use airside_snapshot::{Price, PriceTier};

/// The most one amount can be: what a signed 64-bit column holds.
pub const MAX_NANOUSD: u64 = i64::MAX as u64;

const TOKENS_PER_PRICE: u128 = 1_000_000;
const USES_PER_FEE: u128 = 1_000;

/// The tiers that hold for this service tier: its own, else the usual ones.
#[must_use]
pub fn tiers_of(price: &Price, service_tier: ServiceTier) -> &[PriceTier] {
    price.service_tiers.of(service_tier).unwrap_or(&price.tiers)
}

/// The tier that prices a whole call with this much input: the last whose threshold it exceeds, else the first.
#[must_use]
pub fn tier_for(tiers: &[PriceTier], total_input: u64) -> Option<&PriceTier> {
    let exceeded = tiers.iter().rev().find(|tier| total_input > tier.above_input_tokens);
    exceeded.or(tiers.first())
}

/// What these tokens cost in the usual service tier, in nano-dollars, rounded up once.
#[must_use]
pub fn cost(price: &Price, usage: &TokenUsage) -> u64 {
    cost_of(price, &Consumption::from(*usage))
}

/// What a call cost, in nano-dollars, rounded up once.
#[must_use]
pub fn cost_of(price: &Price, consumed: &Consumption) -> u64 {
    let (usage, tools) = (&consumed.usage, &consumed.tool_uses);
    let Some(tier) = tier_for(tiers_of(price, consumed.service_tier), usage.total_input()) else {
        return MAX_NANOUSD;
    };
    let parts = [
        (usage.input_uncached, tier.input_uncached, 1),
        (usage.cache_read, tier.cache_read, 1),
        (usage.cache_write_5m, tier.cache_write_5m, 1),
        (usage.cache_write_1h, tier.cache_write_1h, 1),
        (usage.output, tier.output, 1),
        (
            tools.web_searches,
            price.tool_fees.web_search,
            TOKENS_PER_PRICE / USES_PER_FEE,
        ),
        (
            tools.file_searches,
            price.tool_fees.file_search,
            TOKENS_PER_PRICE / USES_PER_FEE,
        ),
    ];
    // A product of two 64-bit numbers fits 128 bits; what is added to that saturates.
    let sum = parts.iter().fold(0_u128, |sum, (count, price, scale)| {
        sum.saturating_add(
            u128::from(*count)
                .saturating_mul(u128::from(*price))
                .saturating_mul(*scale),
        )
    });
    u64::try_from(sum.div_ceil(TOKENS_PER_PRICE))
        .unwrap_or(MAX_NANOUSD)
        .min(MAX_NANOUSD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_protocols::ToolUses;
    use airside_snapshot::{ServiceTierPrices, ToolFees};
    use proptest::prelude::*;

    fn tier(above_input_tokens: u64, scale: u64) -> PriceTier {
        PriceTier {
            above_input_tokens,
            input_uncached: 3_000_000_000 * scale,
            cache_read: 300_000_000 * scale,
            cache_write_5m: 3_750_000_000 * scale,
            cache_write_1h: 6_000_000_000 * scale,
            output: 15_000_000_000 * scale,
        }
    }

    #[test]
    fn every_counter_has_its_own_price() {
        let price = Price::plain(vec![tier(0, 1)]);
        let usage = TokenUsage {
            input_uncached: 1,
            cache_read: 10,
            cache_write_5m: 100,
            cache_write_1h: 1000,
            output: 10_000,
        };
        assert_eq!(cost(&price, &usage), 3_000 + 3_000 + 375_000 + 6_000_000 + 150_000_000);
    }

    #[test]
    fn a_fraction_is_rounded_up_once_per_call() {
        let price = Price::plain(vec![PriceTier {
            input_uncached: 1,
            output: 1,
            ..tier(0, 0)
        }]);
        let usage = TokenUsage {
            input_uncached: 1,
            output: 1,
            ..TokenUsage::default()
        };
        assert_eq!(cost(&price, &usage), 1);
        assert_eq!(cost(&price, &TokenUsage::default()), 0);
    }

    #[test]
    fn the_highest_tier_exceeded_prices_the_whole_call() {
        let price = Price::plain(vec![tier(0, 1), tier(200_000, 2)]);
        let usage = |input| TokenUsage {
            cache_read: input,
            ..TokenUsage::default()
        };
        assert_eq!(cost(&price, &usage(200_000)), 200_000 * 300);
        assert_eq!(cost(&price, &usage(200_001)), 200_001 * 600);
        assert_eq!(tier_for(&price.tiers, 0), Some(&tier(0, 1)));
    }

    #[test]
    fn a_service_tier_has_its_own_prices_where_it_has_any() {
        let price = Price {
            service_tiers: ServiceTierPrices {
                priority: Some(vec![tier(0, 2), tier(200_000, 5)]),
                ..ServiceTierPrices::default()
            },
            ..Price::plain(vec![tier(0, 1)])
        };
        let consumed = |service_tier, input_uncached| Consumption {
            usage: TokenUsage {
                input_uncached,
                ..TokenUsage::default()
            },
            service_tier,
            ..Consumption::default()
        };
        assert_eq!(cost_of(&price, &consumed(ServiceTier::Standard, 10)), 30_000);
        assert_eq!(cost_of(&price, &consumed(ServiceTier::Flex, 10)), 30_000);
        assert_eq!(cost_of(&price, &consumed(ServiceTier::Priority, 10)), 60_000);
        assert_eq!(
            cost_of(&price, &consumed(ServiceTier::Priority, 200_001)),
            200_001 * 15_000
        );
    }

    #[test]
    fn tools_cost_their_fee_by_the_use() {
        let price = Price {
            tool_fees: ToolFees {
                web_search: 10_000_000_000,
                file_search: 2_500_000_000,
            },
            ..Price::plain(vec![tier(0, 1)])
        };
        let consumed = Consumption {
            tool_uses: ToolUses {
                web_searches: 3,
                file_searches: 1,
            },
            ..Consumption::default()
        };
        assert_eq!(cost_of(&price, &consumed), 30_000_000 + 2_500_000);
    }

    proptest! {
        #[test]
        fn no_amount_overflows_and_more_tokens_never_cost_less(
            a in any::<[u64; 5]>(), price in any::<[u64; 5]>(), more in any::<u32>(),
        ) {
            let price = Price::plain(vec![PriceTier { above_input_tokens: 0, input_uncached: price[0], cache_read: price[1],
                cache_write_5m: price[2], cache_write_1h: price[3], output: price[4] }]);
            let usage = TokenUsage { input_uncached: a[0], cache_read: a[1], cache_write_5m: a[2], cache_write_1h: a[3], output: a[4] };
            let dearer = TokenUsage { output: a[4].saturating_add(u64::from(more)), ..usage };
            prop_assert!(cost(&price, &usage) <= cost(&price, &dearer));
            prop_assert!(cost(&price, &dearer) <= MAX_NANOUSD);
        }
    }
}
