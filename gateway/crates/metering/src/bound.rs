//! The most a call can cost, known before it is made; and the best guess where a provider never said.
//!
//! Every tokenizer in use works on bytes and no token is shorter than one, and the bytes of a JSON body are never fewer
//! than those of the text in it: so a body has at most as many tokens as bytes. What a provider adds by itself (a
//! preamble for tools, the pixels behind a picture, the pages of a document, a conversation it keeps) is allowed for
//! on top. A model's context window, where known, bounds it all.

use airside_protocols::{RequestFields, ServiceTier};
use airside_snapshot::{Price, PriceTier, Target};

use crate::price::{MAX_NANOUSD, tiers_of};

/// For what a provider puts before the request, such as its instructions for tools.
const PREAMBLE_TOKENS: u64 = 2_000;
const TOKENS_PER_IMAGE: u64 = 6_000;
const TOKENS_PER_DOCUMENT: u64 = 200_000;
const STORED_STATE_TOKENS: u64 = 400_000;
/// What a tool that the provider runs by itself reads into the conversation, and how often it is used in one call.
const TOKENS_PER_SERVER_TOOL: u64 = 200_000;
const USES_PER_SERVER_TOOL: u64 = 10;

/// English, code and JSON have three to four bytes a token; the guess leans to the dear side.
const BYTES_PER_TOKEN: u64 = 3;

/// The most input tokens a request can be. Its own text is at most `text_tokens`: its bytes, or what is known better.
#[must_use]
pub fn input_bound(text_tokens: u64, fields: &RequestFields, target: &Target) -> u64 {
    let bound = text_tokens
        .saturating_add(PREAMBLE_TOKENS)
        .saturating_add(unseen_input(fields));
    let read_by_tools = fields.server_tools.saturating_mul(TOKENS_PER_SERVER_TOOL);
    // The window bounds what the model is shown at once; a tool's results are counted anew for each of its turns.
    bound
        .min(target.max_input_tokens.unwrap_or(u64::MAX))
        .saturating_add(read_by_tools)
}

/// The most input tokens that a request only points to: pictures, documents, a conversation that the provider keeps.
#[must_use]
pub fn unseen_input(fields: &RequestFields) -> u64 {
    let stored = if fields.continues_stored_state {
        STORED_STATE_TOKENS
    } else {
        0
    };
    let images = fields.images.saturating_mul(TOKENS_PER_IMAGE);
    let documents = fields.documents.saturating_mul(TOKENS_PER_DOCUMENT);
    images.saturating_add(documents).saturating_add(stored)
}

/// The most output tokens that all choices of an answer can be.
#[must_use]
pub fn output_bound(fields: &RequestFields, target: &Target) -> u64 {
    fields
        .output_limit
        .unwrap_or_else(|| target.max_output_tokens.saturating_mul(fields.choices))
}

/// A guess at the input of a request whose provider never counted it.
#[must_use]
pub fn estimate_input(body_bytes: u64) -> u64 {
    body_bytes.div_ceil(BYTES_PER_TOKEN)
}

/// A guess at the output from the bytes of it that were seen.
#[must_use]
pub fn estimate_output(content_bytes: u64) -> u64 {
    content_bytes.div_ceil(BYTES_PER_TOKEN)
}

/// What a call can cost at worst at one target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallBound {
    /// The most input tokens.
    pub input_tokens: u64,
    /// What that input costs at the dearest kind it can be.
    pub input_nanousd: u64,
    /// Input and output together: what is reserved.
    pub total_nanousd: u64,
}

impl CallBound {
    /// The bound of this request at this target and price.
    #[must_use]
    pub fn of(text_tokens: u64, fields: &RequestFields, target: &Target, price: &Price) -> Self {
        let input_tokens = input_bound(text_tokens, fields, target);
        let output = output_bound(fields, target);
        let (dearest_input, dearest_output) = dearest_of(price, input_tokens, fields);
        let input_nanousd = priced(input_tokens, dearest_input);
        let fees = fields
            .server_tools
            .saturating_mul(USES_PER_SERVER_TOOL)
            .saturating_mul(price.tool_fees.web_search.max(price.tool_fees.file_search))
            .div_ceil(1_000);
        let total = input_nanousd
            .saturating_add(priced(output, dearest_output))
            .saturating_add(fees);
        Self {
            input_tokens,
            input_nanousd,
            total_nanousd: total.min(MAX_NANOUSD),
        }
    }

    /// The dearer of two, in each respect.
    #[must_use]
    pub fn or_dearer(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.max(other.input_tokens),
            input_nanousd: self.input_nanousd.max(other.input_nanousd),
            total_nanousd: self.total_nanousd.max(other.total_nanousd),
        }
    }
}

/// Rounded up, so that a sum of parts is never below the cost of the whole.
fn priced(tokens: u64, nanousd_per_million: u64) -> u64 {
    let product = u128::from(tokens).saturating_mul(u128::from(nanousd_per_million));
    u64::try_from(product.div_ceil(1_000_000))
        .unwrap_or(MAX_NANOUSD)
        .min(MAX_NANOUSD)
}

/// The dearest prices of input and output that this call can meet: any context size it can reach, any kind of input,
/// and any service tier it may be served as. The one-hour cache is only written where a request asks for it.
fn dearest_of(price: &Price, input_tokens: u64, fields: &RequestFields) -> (u64, u64) {
    let asked = fields.service_tier.or(price.unasked_service_tier);
    let possible = [Some(ServiceTier::Standard), asked].into_iter().flatten();
    let (mut input, mut output) = (0, 0);
    for tiers in possible.map(|service_tier| tiers_of(price, service_tier)) {
        let reachable = tiers.iter().enumerate();
        let reachable = reachable.filter(|(at, tier)| *at == 0 || input_tokens > tier.above_input_tokens);
        for (_, tier) in reachable {
            input = input.max(dearest_input_of(tier, fields.one_hour_cache));
            output = output.max(tier.output);
        }
    }
    (input, output)
}

fn dearest_input_of(tier: &PriceTier, one_hour_cache: bool) -> u64 {
    let long_write = if one_hour_cache { tier.cache_write_1h } else { 0 };
    tier.input_uncached
        .max(tier.cache_read)
        .max(tier.cache_write_5m)
        .max(long_write)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::price::cost_of;
    use airside_protocols::{Consumption, TokenUsage, ToolUses};
    use airside_snapshot::{ServiceTierPrices, ToolFees};
    use proptest::prelude::*;

    fn target(max_input_tokens: Option<u64>) -> Target {
        Target {
            provider: "p".into(),
            model: "m".into(),
            price: None,
            max_output_tokens: 1000,
            max_input_tokens,
            weight: 1,
            capabilities: airside_snapshot::Capabilities::default(),
        }
    }

    fn fields(output_limit: Option<u64>) -> RequestFields {
        RequestFields {
            choices: 1,
            output_limit,
            ..RequestFields::default()
        }
    }

    #[test]
    fn a_context_window_bounds_the_input() {
        let request = RequestFields {
            images: 2,
            documents: 1,
            ..fields(None)
        };
        assert_eq!(
            input_bound(1_000, &request, &target(None)),
            1_000 + 2_000 + 12_000 + 200_000
        );
        assert_eq!(input_bound(1_000, &request, &target(Some(50_000))), 50_000);
    }

    fn tier(above_input_tokens: u64, p: &[u64]) -> PriceTier {
        PriceTier {
            above_input_tokens,
            input_uncached: p[0],
            cache_read: p[1],
            cache_write_5m: p[2],
            cache_write_1h: p[3],
            output: p[4],
        }
    }

    fn price(prices: &[u64], threshold: u64, priority: &[u64]) -> Price {
        Price {
            tiers: vec![tier(0, &prices[..5]), tier(threshold, &prices[5..])],
            service_tiers: ServiceTierPrices {
                priority: Some(vec![tier(0, priority)]),
                ..ServiceTierPrices::default()
            },
            unasked_service_tier: Some(ServiceTier::Priority),
            tool_fees: ToolFees {
                web_search: prices[0],
                file_search: prices[1],
            },
        }
    }

    #[test]
    fn a_dearer_service_tier_is_reserved_for_unless_it_is_ruled_out() {
        let price = price(&[10, 10, 10, 10, 10, 10, 10, 10, 10, 10], 1, &[30, 30, 30, 30, 30]);
        let reserved = |service_tier| {
            let request = RequestFields {
                service_tier,
                ..fields(Some(0))
            };
            CallBound::of(998_000, &request, &target(None), &price).total_nanousd
        };
        assert_eq!(reserved(Some(ServiceTier::Standard)), 10);
        assert_eq!(reserved(Some(ServiceTier::Flex)), 10);
        assert_eq!(reserved(None), 30);
        assert_eq!(reserved(Some(ServiceTier::Priority)), 30);
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bound_costs_more_than_was_reserved(
            body in 0_u64..2_000_000, output in 0_u64..50_000, share in any::<[u16; 4]>(), searches in 0_u64..=10,
            prices in prop::collection::vec(0_u64..100_000_000_000, 15), threshold in 1_u64..400_000, limit in prop::option::of(0_u64..60_000),
            is_priority in any::<bool>(), asks in any::<bool>(),
        ) {
            let price = price(&prices[..10], threshold, &prices[10..]);
            let tier = if is_priority { ServiceTier::Priority } else { ServiceTier::Standard };
            let request = RequestFields { one_hour_cache: true, server_tools: 1, service_tier: asks.then_some(tier), ..fields(limit) };
            let bound = CallBound::of(body, &request, &target(None), &price);
            let scale = share.iter().map(|s| u64::from(*s)).sum::<u64>().max(1);
            let part = |at: usize| body * u64::from(share[at]) / scale;
            let usage = TokenUsage { input_uncached: part(0), cache_read: part(1), cache_write_5m: part(2), cache_write_1h: part(3),
                output: output.min(limit.unwrap_or(1000)) };
            let tool_uses = ToolUses { web_searches: searches, file_searches: 0 };
            let consumed = Consumption { usage, tool_uses, service_tier: tier };
            prop_assert!(cost_of(&price, &consumed) <= bound.total_nanousd);
            prop_assert!(bound.input_nanousd <= bound.total_nanousd);
        }
    }
}
