//! The most a call can cost, known before it is made; and the best guess where a provider never said.
//!
//! Every tokenizer in use works on bytes and no token is shorter than one, and the bytes of a JSON body are never fewer
//! than those of the text in it: so a body has at most as many tokens as bytes. What a provider adds by itself (a
//! preamble for tools, the pixels behind a picture, the pages of a document, a conversation it keeps) is allowed for
//! on top. A model's context window, where known, bounds it all.

use airside_protocols::{RequestFields, TokenUsage};
use airside_snapshot::{Price, PriceTier, Target};

use crate::price::cost;

/// For what a provider puts before the request, such as its instructions for tools.
const PREAMBLE_TOKENS: u64 = 2_000;
const TOKENS_PER_IMAGE: u64 = 6_000;
const TOKENS_PER_DOCUMENT: u64 = 200_000;
const STORED_STATE_TOKENS: u64 = 400_000;

/// English, code and JSON have three to four bytes a token; the guess leans to the dear side.
const BYTES_PER_TOKEN: u64 = 3;

/// The most input tokens a request can be.
#[must_use]
pub fn input_bound(body_bytes: u64, fields: &RequestFields, target: &Target) -> u64 {
    let stored = if fields.continues_stored_state {
        STORED_STATE_TOKENS
    } else {
        0
    };
    let bound = body_bytes
        .saturating_add(PREAMBLE_TOKENS)
        .saturating_add(fields.images.saturating_mul(TOKENS_PER_IMAGE))
        .saturating_add(fields.documents.saturating_mul(TOKENS_PER_DOCUMENT))
        .saturating_add(stored);
    bound.min(target.max_input_tokens.unwrap_or(u64::MAX))
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
    pub fn of(body_bytes: u64, fields: &RequestFields, target: &Target, price: &Price) -> Self {
        let input_tokens = input_bound(body_bytes, fields, target);
        let output = fields
            .output_limit
            .unwrap_or_else(|| target.max_output_tokens.saturating_mul(fields.choices));
        let dearest = dearest_of(price, input_tokens, fields.one_hour_cache);
        let as_input = TokenUsage {
            input_uncached: input_tokens,
            ..TokenUsage::default()
        };
        Self {
            input_tokens,
            input_nanousd: cost(&dearest, &as_input),
            total_nanousd: cost(&dearest, &TokenUsage { output, ..as_input }),
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

/// One tier that is as dear as any tier and any kind of input this call can meet. The one-hour cache is only written
/// where a request asks for it.
fn dearest_of(price: &Price, input_tokens: u64, one_hour_cache: bool) -> Price {
    let reachable = price.tiers.iter().enumerate();
    let reachable = reachable.filter(|(at, tier)| *at == 0 || input_tokens > tier.above_input_tokens);
    let (mut input, mut output) = (0, 0);
    for (_, tier) in reachable {
        let long_write = if one_hour_cache { tier.cache_write_1h } else { 0 };
        input = input
            .max(tier.input_uncached)
            .max(tier.cache_read)
            .max(tier.cache_write_5m)
            .max(long_write);
        output = output.max(tier.output);
    }
    let tier = PriceTier {
        above_input_tokens: 0,
        input_uncached: input,
        cache_read: input,
        cache_write_5m: input,
        cache_write_1h: input,
        output,
    };
    Price { tiers: vec![tier] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn target(max_input_tokens: Option<u64>) -> Target {
        Target {
            provider: "p".into(),
            model: "m".into(),
            price: None,
            max_output_tokens: 1000,
            max_input_tokens,
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

    proptest! {
        #[test]
        fn no_usage_within_the_bound_costs_more_than_was_reserved(
            body in 0_u64..2_000_000, output in 0_u64..50_000, share in any::<[u16; 4]>(),
            prices in prop::collection::vec(0_u64..100_000_000_000, 10), threshold in 1_u64..400_000, limit in prop::option::of(0_u64..60_000),
        ) {
            let tier = |above, p: &[u64]| PriceTier { above_input_tokens: above, input_uncached: p[0], cache_read: p[1], cache_write_5m: p[2], cache_write_1h: p[3], output: p[4] };
            let price = Price { tiers: vec![tier(0, &prices[..5]), tier(threshold, &prices[5..])] };
            let request = RequestFields { one_hour_cache: true, ..fields(limit) };
            let bound = CallBound::of(body, &request, &target(None), &price);
            let scale = share.iter().map(|s| u64::from(*s)).sum::<u64>().max(1);
            let part = |at: usize| body * u64::from(share[at]) / scale;
            let usage = TokenUsage { input_uncached: part(0), cache_read: part(1), cache_write_5m: part(2), cache_write_1h: part(3),
                output: output.min(limit.unwrap_or(1000)) };
            prop_assert!(cost(&price, &usage) <= bound.total_nanousd);
            prop_assert!(bound.input_nanousd <= bound.total_nanousd);
        }
    }
}
