//! What a call will probably need and cost. Guesses, to choose by; what is reserved is a bound and lies elsewhere.

use airside_metering::cost;
use airside_protocols::{RequestFields, TokenUsage, media_bytes};
use airside_snapshot::{Price, Target};

use crate::sessions::SessionView;

/// Prompts of agents (English, code, JSON) have about four bytes a token.
const BYTES_PER_TOKEN: u64 = 4;
/// A screenshot or a page: vendors count 1,000 to 3,000.
const TOKENS_PER_IMAGE: u64 = 1_500;
const TOKENS_PER_DOCUMENT: u64 = 3_000;
/// A page of a document in base64, and what vendors count for it.
const BYTES_PER_PAGE: u64 = 100_000;
const TOKENS_PER_PAGE: u64 = 2_000;
/// What an agent's turn writes: measured medians lie between 100 and 1,500.
const USUAL_OUTPUT: u64 = 800;

/// About how many tokens this request's input is.
#[must_use]
pub fn estimate_input_tokens(body: &[u8], fields: &RequestFields) -> u64 {
    let bytes = body.len() as u64;
    if fields.images == 0 && fields.documents == 0 {
        return bytes / BYTES_PER_TOKEN;
    }
    let media = media_bytes(body).min(bytes);
    let pages = if fields.documents > 0 {
        media / BYTES_PER_PAGE * TOKENS_PER_PAGE
    } else {
        0
    };
    ((bytes - media) / BYTES_PER_TOKEN)
        .saturating_add(fields.images.saturating_mul(TOKENS_PER_IMAGE))
        .saturating_add(fields.documents.saturating_mul(TOKENS_PER_DOCUMENT).max(pages))
}

/// What this call will probably use at this target: its cache counts where the session has one there.
#[must_use]
pub fn expected_usage(
    input_tokens: u64,
    output_limit: Option<u64>,
    target: &Target,
    session: &SessionView,
) -> TokenUsage {
    let cached = match &session.place {
        Some(place) if *place.provider == target.provider && *place.model == target.model => session.cached_tokens,
        _ => 0,
    };
    let cache_read = cached.min(input_tokens);
    TokenUsage {
        input_uncached: input_tokens - cache_read,
        cache_read,
        output: USUAL_OUTPUT.min(output_limit.unwrap_or(target.max_output_tokens)),
        ..TokenUsage::default()
    }
}

/// What it will probably cost.
#[must_use]
pub fn expected_cost(
    input_tokens: u64,
    output_limit: Option<u64>,
    target: &Target,
    price: &Price,
    session: &SessionView,
) -> u64 {
    cost(price, &expected_usage(input_tokens, output_limit, target, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_not_counted_by_their_bytes() {
        let picture = "A".repeat(400_000);
        let body = format!(r#"{{"words":"{}","data":"{picture}"}}"#, "word ".repeat(800));
        let fields = RequestFields {
            images: 1,
            ..RequestFields::default()
        };
        let estimate = estimate_input_tokens(body.as_bytes(), &fields);
        assert!((2_400..2_700).contains(&estimate), "{estimate}");
        let paper = RequestFields {
            documents: 1,
            ..RequestFields::default()
        };
        assert!((9_000..9_100).contains(&estimate_input_tokens(body.as_bytes(), &paper)));
        assert_eq!(estimate_input_tokens(&[b'x'; 400], &RequestFields::default()), 100);
    }
}
