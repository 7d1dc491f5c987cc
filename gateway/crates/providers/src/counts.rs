//! Objects of counts, as providers write their usage: read in one walk, and only what is asked for.
//!
//! What makes counts void is what a parser would stumble over: a count that is no number or stands twice, and text that
//! is no JSON, also where nobody asks for it.

use airside_protocols::each_member;
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

/// What became of one member of `usage`.
pub(crate) enum Taken {
    /// It is one of the counts.
    Counted,
    /// It should be, and cannot be read.
    Unreadable,
    /// It is something else.
    Unknown,
}

/// The counts of one family.
pub(crate) trait Counts: Default {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken;
}

/// Read an object of counts in one walk, and show what is none of them to `other`. A count that cannot be read, or
/// stands twice, makes all of them void. `Err` for text that is no JSON, wherever in it.
pub(crate) fn read<'a, C: Counts>(
    object: &'a [u8],
    mut other: impl FnMut(&[u8], &'a [u8]),
) -> Result<Option<C>, NoJson> {
    let (mut counts, mut is_readable) = (C::default(), true);
    let whole = each_member(object, |key, raw| {
        match counts.take(key, raw) {
            Taken::Counted => return Some(()),
            Taken::Unreadable => is_readable = false,
            Taken::Unknown => other(key, raw),
        }
        is_json(raw).then_some(())
    });
    whole.map(|()| is_readable.then_some(counts)).ok_or(NoJson)
}

/// Text that no parser would take.
pub(crate) struct NoJson;

fn is_json(raw: &[u8]) -> bool {
    serde_json::from_slice::<de::IgnoredAny>(raw).is_ok()
}

/// A count in its place, which is taken once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) tokens: Option<u64>,
    is_taken: bool,
}

impl Count {
    pub(crate) fn or_zero(self) -> u64 {
        self.tokens.unwrap_or(0)
    }

    pub(crate) fn or(self, earlier: Self) -> Self {
        if self.tokens.is_some() { self } else { earlier }
    }

    pub(crate) fn take(&mut self, raw: &[u8]) -> Taken {
        match number(raw) {
            Ok(AnyNumber(tokens)) if !self.is_taken => {
                *self = Self { tokens, is_taken: true };
                Taken::Counted
            }
            _ => Taken::Unreadable,
        }
    }
}

fn number(raw: &[u8]) -> serde_json::Result<AnyNumber> {
    match raw {
        // Nearly all are nothing or a few digits.
        b"0" => Ok(AnyNumber(Some(0))),
        [b'1'..=b'9', rest @ ..] if rest.len() < 18 && rest.iter().all(u8::is_ascii_digit) => {
            let digits = raw.iter().map(|digit| u64::from(digit - b'0'));
            Ok(AnyNumber(Some(digits.fold(0, |number, digit| number * 10 + digit))))
        }
        _ => serde_json::from_slice(raw),
    }
}

/// A number as servers write it: a whole one, a float, or null.
struct AnyNumber(Option<u64>);

impl<'de> Deserialize<'de> for AnyNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl Visitor<'_> for Seen {
            type Value = AnyNumber;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a count of tokens")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<AnyNumber, E> {
                Ok(AnyNumber(Some(count)))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<AnyNumber, E> {
                Ok(AnyNumber(u64::try_from(count).ok()))
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
            fn visit_f64<E: de::Error>(self, count: f64) -> Result<AnyNumber, E> {
                Ok(AnyNumber((count >= 0.0).then(|| count.ceil() as u64)))
            }
            fn visit_unit<E: de::Error>(self) -> Result<AnyNumber, E> {
                Ok(AnyNumber(None))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

/// Counts of their own within the others, which are taken once.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Group<C> {
    pub(crate) counts: Option<C>,
    is_taken: bool,
}

impl<C: Counts + Copy> Group<C> {
    pub(crate) fn or(self, earlier: Self) -> Self {
        if self.counts.is_some() { self } else { earlier }
    }

    pub(crate) fn take(&mut self, raw: &[u8]) -> Taken {
        if self.is_taken {
            return Taken::Unreadable;
        }
        self.is_taken = true;
        if raw == b"null" {
            return Taken::Counted;
        }
        match read::<C>(raw, |_, _| ()) {
            Ok(Some(counts)) => {
                self.counts = Some(counts);
                Taken::Counted
            }
            _ => Taken::Unreadable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Few {
        input_tokens: Count,
        total_tokens: Count,
        prompt_tokens_details: Group<Details>,
    }

    #[derive(Default, Clone, Copy)]
    struct Details {
        cached_tokens: Count,
    }

    impl Counts for Few {
        fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
            match key {
                b"input_tokens" => self.input_tokens.take(raw),
                b"total_tokens" => self.total_tokens.take(raw),
                b"prompt_tokens_details" => self.prompt_tokens_details.take(raw),
                _ => Taken::Unknown,
            }
        }
    }

    impl Counts for Details {
        fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
            match key {
                b"cached_tokens" => self.cached_tokens.take(raw),
                _ => Taken::Unknown,
            }
        }
    }

    /// The same read by a parser that builds it.
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Built {
        input_tokens: Option<AnyNumber>,
        total_tokens: Option<AnyNumber>,
        prompt_tokens_details: Option<BuiltDetails>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct BuiltDetails {
        cached_tokens: Option<AnyNumber>,
    }

    fn members(keys: &'static [&'static str], values: &'static [&'static str]) -> impl Strategy<Value = String> {
        let member = (prop::sample::select(keys), prop::sample::select(values));
        let member = member.prop_map(|(key, value)| format!("\"{key}\" :{value}"));
        prop::collection::vec(member, 0..4).prop_map(|members| members.join(","))
    }

    proptest! {
        #[test]
        fn counts_are_those_a_parser_reads(
            counts in members(
                &["input_tokens", "total_tokens", "t\\u006ftal_tokens", "unknown"],
                &["0", "7", "123456789012345678", "18446744073709551616", "-3", "-0", "2.5", "1e3", "1e999", "null", "\"9\"", "true", "01", "tru", "[1]", "\"\\x\""],
            ),
            details in members(&["cached_tokens", "other"], &["5", "null", "{}", "no"]),
            kind in 0_usize..3,
        ) {
            let details = ["null".to_owned(), "7".to_owned(), format!("{{{details}}}")][kind].clone();
            let comma = if counts.is_empty() { "" } else { "," };
            let usage = format!("{{{counts}{comma}\"prompt_tokens_details\":{details}}}");
            let found = read::<Few>(usage.as_bytes(), |_, _| ()).ok().flatten();
            let built = serde_json::from_str::<Built>(&usage).ok();
            let tokens = |number: Option<AnyNumber>| number.and_then(|number| number.0);
            let expected = built.map(|built| {
                let cached = built.prompt_tokens_details.map(|details| tokens(details.cached_tokens));
                (tokens(built.input_tokens), tokens(built.total_tokens), cached)
            });
            let found = found.map(|found| {
                let cached = found.prompt_tokens_details.counts.map(|details| details.cached_tokens.tokens);
                (found.input_tokens.tokens, found.total_tokens.tokens, cached)
            });
            prop_assert_eq!(found, expected, "{}", usage);
        }
    }
}
