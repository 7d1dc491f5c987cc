//! The members of a request that the gateway acts on, by front door, and how their keys and values are read.

use crate::family::FrontDoor;
use crate::json::{top_level_member, unescape};
use crate::usage::ServiceTier;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Model,
    Stream,
    OutputLimit,
    Choices,
    StreamOptions,
    StoredState,
    Background,
    /// Gemini: an object whose members are read as well.
    Settings,
    /// Gemini: the request itself, inside a request to count it.
    Wrapped,
    ServiceTier,
    Speed,
}

/// Keys, and what they say.
pub(crate) type Table = &'static [(&'static str, Field)];

const ANTHROPIC: Table = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("max_tokens", Field::OutputLimit),
    ("service_tier", Field::ServiceTier),
    ("speed", Field::Speed),
];
const RESPONSES: Table = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("max_output_tokens", Field::OutputLimit),
    ("previous_response_id", Field::StoredState),
    ("conversation", Field::StoredState),
    ("prompt", Field::StoredState),
    ("background", Field::Background),
    ("service_tier", Field::ServiceTier),
];
const CHAT: Table = &[
    ("model", Field::Model),
    ("stream", Field::Stream),
    ("max_tokens", Field::OutputLimit),
    ("max_completion_tokens", Field::OutputLimit),
    ("n", Field::Choices),
    ("stream_options", Field::StreamOptions),
    ("service_tier", Field::ServiceTier),
];

const EMBEDDINGS: Table = &[("model", Field::Model)];
const GEMINI: Table = &[
    ("model", Field::Model),
    ("serviceTier", Field::ServiceTier),
    ("cachedContent", Field::StoredState),
    ("generationConfig", Field::Settings),
    ("generateContentRequest", Field::Wrapped),
];
pub(crate) const GEMINI_WRAPPED: Table = &[
    ("model", Field::Model),
    ("serviceTier", Field::ServiceTier),
    ("cachedContent", Field::StoredState),
    ("generationConfig", Field::Settings),
];
pub(crate) const GEMINI_SETTINGS: Table = &[
    ("maxOutputTokens", Field::OutputLimit),
    ("candidateCount", Field::Choices),
];

/// What is read at this door.
pub(crate) const fn table_of(door: FrontDoor) -> Table {
    match door {
        FrontDoor::Messages | FrontDoor::CountTokens => ANTHROPIC,
        FrontDoor::Responses | FrontDoor::Compact => RESPONSES,
        FrontDoor::Chat => CHAT,
        FrontDoor::Embeddings => EMBEDDINGS,
        FrontDoor::GenerateContent | FrontDoor::CountContent => GEMINI,
    }
}

/// True if this key could be taken for this name by some reader of it.
pub(crate) fn names(key: &[u8], name: &str, is_proto: bool) -> bool {
    if !is_proto {
        return key.eq_ignore_ascii_case(name.as_bytes());
    }
    let letters = key.iter().filter(|byte| **byte != b'_').map(u8::to_ascii_lowercase);
    letters.eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// True if this key is the name in camel case, written in snake case.
pub(crate) fn is_snake_of(key: &[u8], name: &str) -> bool {
    let mut rest = key;
    for letter in name.bytes() {
        let (expected, tail): (&[u8], _) = match rest {
            [b'_', byte, tail @ ..] if letter.is_ascii_uppercase() => (std::slice::from_ref(byte), tail),
            [byte, tail @ ..] if !letter.is_ascii_uppercase() => (std::slice::from_ref(byte), tail),
            _ => return false,
        };
        if expected != [letter.to_ascii_lowercase()] {
            return false;
        }
        rest = tail;
    }
    rest.is_empty()
}

/// A count as lenient servers read it: rounded up, also from a text. `None` when it is no number.
pub(crate) fn whole_number(raw: &[u8]) -> Option<u64> {
    // Nearly all are a few digits.
    if raw.len() < 19 && !raw.is_empty() && raw.iter().all(u8::is_ascii_digit) {
        let digits = raw.iter().map(|digit| u64::from(digit - b'0'));
        return Some(digits.fold(0, |number, digit| number * 10 + digit));
    }
    let text = std::str::from_utf8(raw).ok()?.trim_matches('"').trim();
    if let Ok(number) = text.parse::<u64>() {
        return Some(number);
    }
    let number = text.parse::<f64>().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, which is wanted"
    )]
    number.is_finite().then(|| number.ceil().max(0.0) as u64)
}

pub(crate) fn tier_named(raw: &[u8]) -> Option<ServiceTier> {
    let inside = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    ServiceTier::named(&unescape(inside)?)
}

pub(crate) fn asks_for_usage(raw: &[u8]) -> bool {
    top_level_member(raw, "include_usage").and_then(|range| raw.get(range)) == Some(b"true")
}
