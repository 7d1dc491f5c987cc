//! Takes secrets out of bodies before anything of them is written.
//!
//! Patterns run in time linear in the text, whatever they are (the `regex` crate has no backtracking). A stream's text
//! comes in pieces; it is looked at as one, so that a secret is found wherever the pieces were cut.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

/// What stands where a secret was.
pub const REDACTED: &str = "[redacted]";
/// The largest a compiled pattern may be.
const MOST_PATTERN_BYTES: usize = 1 << 20;

/// The shapes of secrets that vendors give out, and of our own. Where there is a group, it is the secret.
const SHAPES: [&str; 13] = [
    r"\bair_[a-z0-9]{1,16}_[0-9A-Za-z]{40,60}\b",
    r"\bairs_[0-9A-Za-z_-]{8,}\.[0-9A-Za-z_-]{8,}",
    r"\bsk-[0-9A-Za-z_-]{16,}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\bgh[pousr]_[0-9A-Za-z]{30,}",
    r"\bgithub_pat_[0-9A-Za-z_]{22,}",
    r"\bglpat-[0-9A-Za-z_-]{20,}",
    r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}",
    r"\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}",
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*-----END [A-Z ]{0,30}PRIVATE KEY-----",
    r"(?i)\bbearer\s+([0-9a-z._~+/-]{16,}=*)",
    r"\b[a-z][a-z0-9+.-]*://[^/\s:@\x22\\]+:([^/\s:@\x22\\]+)@",
];
/// `NAME_TOKEN=...`, `"password": "..."` and the like, in plain text and inside JSON.
const NAMED: &str = r#"(?i)(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)(?:\\?["'])?\s*[:=]\s*(?:\\?["'])?([0-9a-z._~+/=-]{12,})"#;
const EMAIL: &str = r"(?i)\b[0-9a-z._%+-]+@[0-9a-z.-]+\.[a-z]{2,24}\b";

/// The values that hold the words of a model or what it makes of them, in every dialect's events.
static WORDS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let keys = "text|thinking|partial_json|delta|content|arguments|input|reasoning_content|reasoning|refusal";
    Regex::new(&format!(r#""(?:{keys})"\s*:\s*"((?:[^"\\]|\\.)*)""#)).ok()
});

/// A pattern that cannot be used, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPattern(pub String);

impl fmt::Display for BadPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for BadPattern {}

/// What is taken out.
#[derive(Debug)]
pub struct Redactor {
    patterns: Vec<Regex>,
}

impl Redactor {
    /// One that takes out what is the gateway's own to keep and nothing else: secrets named by value, our keys and our
    /// session tokens.
    #[must_use]
    pub fn of_own_secrets() -> Self {
        let own = SHAPES.iter().take(2).filter_map(|shape| compiled(shape).ok());
        Self {
            patterns: own.collect(),
        }
    }

    /// One that also takes out whatever has the shape of a secret, what these patterns find and, if wanted, addresses
    /// of e-mail.
    ///
    /// # Errors
    /// `BadPattern` for a pattern that is none, or one too large.
    pub fn of_shapes(more: &[String], with_emails: bool) -> Result<Self, BadPattern> {
        let shapes = SHAPES
            .iter()
            .copied()
            .chain([NAMED])
            .chain(with_emails.then_some(EMAIL));
        let all = shapes.chain(more.iter().map(String::as_str));
        let patterns = all.map(compiled).collect::<Result<_, _>>()?;
        Ok(Self { patterns })
    }

    /// The text without its secrets, and how many there were. `known`: secrets by their value.
    #[must_use]
    pub fn redact(&self, text: &[u8], known: &[&[u8]], is_stream: bool) -> (Vec<u8>, u64) {
        let mut found = self.find(text, known);
        if is_stream {
            self.find_in_pieces(text, known, &mut found);
        }
        let found = merged(found);
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for range in &found {
            out.extend_from_slice(text.get(done..range.start).unwrap_or_default());
            out.extend_from_slice(REDACTED.as_bytes());
            done = range.end;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        (out, found.len() as u64)
    }

    fn find(&self, text: &[u8], known: &[&[u8]]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        for secret in known.iter().filter(|secret| !secret.is_empty()) {
            let starts = memchr::memmem::find_iter(text, secret);
            found.extend(starts.map(|start| start..start + secret.len()));
        }
        for pattern in &self.patterns {
            for captures in pattern.captures_iter(text) {
                let secret = captures.get(1).or_else(|| captures.get(0));
                found.extend(secret.map(|secret| secret.range()).filter(|range| !range.is_empty()));
            }
        }
        found
    }

    /// Look at the words of a stream as one text, and find the places of what is secret there in the stream.
    fn find_in_pieces(&self, text: &[u8], known: &[&[u8]], found: &mut Vec<Range<usize>>) {
        let Some(words) = WORDS.as_ref() else { return };
        let (mut joined, mut pieces) = (Vec::new(), Vec::new());
        for captures in words.captures_iter(text) {
            if let Some(piece) = captures.get(1).filter(|piece| !piece.is_empty()) {
                pieces.push((joined.len(), piece.range()));
                joined.extend_from_slice(piece.as_bytes());
            }
        }
        for secret in self.find(&joined, known) {
            for (at, place) in &pieces {
                let start = secret.start.max(*at);
                let end = secret.end.min(at + place.len());
                if start < end {
                    found.push(place.start + (start - at)..place.start + (end - at));
                }
            }
        }
    }
}

/// Say what is wrong with a pattern, if anything is.
///
/// # Errors
/// `BadPattern`.
pub fn check_pattern(pattern: &str) -> Result<(), BadPattern> {
    compiled(pattern).map(|_| ())
}

fn compiled(pattern: &str) -> Result<Regex, BadPattern> {
    let built = RegexBuilder::new(pattern)
        .unicode(false)
        .size_limit(MOST_PATTERN_BYTES)
        .build();
    let built = built.map_err(|problem| BadPattern(problem.to_string()))?;
    if built.is_match(b"") {
        return Err(BadPattern("it matches the empty text, and so everything".to_owned()));
    }
    Ok(built)
}

/// Ranges in order, none touching another.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shapes() -> Redactor {
        Redactor::of_shapes(&["\\bTICKET-[0-9]{4}\\b".to_owned()], true).unwrap()
    }

    fn redacted(text: &str) -> String {
        String::from_utf8(shapes().redact(text.as_bytes(), &[], false).0).unwrap()
    }

    #[test]
    fn the_shapes_of_secrets_are_taken_out_and_nothing_else() {
        let key = format!("air_live_{}", "A".repeat(49));
        let pem = "-----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----";
        for secret in [
            key.as_str(),
            "airs_eyJhIjoxfQAA.c2lnbmF0dXJl",
            "sk-ant-api03-abcdefghijklmnop",
            "sk-proj-abcdefghijklmnopqrstu",
            &format!("AIza{}", "b".repeat(35)),
            "AKIAIOSFODNN7EXAMPLE",
            &format!("ghp_{}", "c".repeat(36)),
            &format!("github_pat_{}", "d".repeat(40)),
            "glpat-abcdefghij1234567890",
            "xoxb-1234567890-abcdef",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlLXNpZw",
            pem,
            "someone@example.com",
            "TICKET-1234",
        ] {
            assert_eq!(
                redacted(&format!("before {secret} after")),
                "before [redacted] after",
                "{secret}"
            );
        }
        assert_eq!(
            redacted("curl -H 'Authorization: Bearer abcdefgh12345678'"),
            "curl -H 'Authorization: Bearer [redacted]'"
        );
        assert_eq!(
            redacted("postgres://app:hunter2@db/x"),
            "postgres://app:[redacted]@db/x"
        );
        assert_eq!(
            redacted(r#"{\"api_key\": \"abcdef123456\"}"#),
            r#"{\"api_key\": \"[redacted]\"}"#
        );
        assert_eq!(
            redacted("export DB_PASSWORD=correcthorsebattery"),
            "export DB_PASSWORD=[redacted]"
        );
        for plain in [
            "a task for skilled people",
            "max_tokens: 4096",
            "risk-averse",
            "the token was short",
            "sk-1",
        ] {
            assert_eq!(redacted(plain), plain);
        }
    }

    #[test]
    fn a_secret_cut_over_events_is_found() {
        let event = |text: &str| {
            format!("data: {{\"type\":\"d\",\"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}\n\n")
        };
        let stream: String = ["the key is s", "k-ant-", "api03-abcdefgh", "ijklmnop", " ok"]
            .map(event)
            .concat();
        let (out, _) = shapes().redact(stream.as_bytes(), &[], true);
        let out = String::from_utf8(out).unwrap();
        let expected: String = ["the key is [redacted]", "[redacted]", "[redacted]", "[redacted]", " ok"]
            .map(event)
            .concat();
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_known_by_value_is_always_taken_out() {
        let (out, count) = Redactor::of_own_secrets().redact(b"a hush b hush", &[b"hush", b""], false);
        assert_eq!((out.as_slice(), count), (b"a [redacted] b [redacted]".as_slice(), 2));
    }

    #[test]
    fn patterns_that_cannot_be_used_are_named() {
        for bad in ["(", "(?=a)", r"(a)\1", "a*", "(a{1000}){1000}"] {
            assert!(check_pattern(bad).is_err(), "{bad}");
        }
        assert_eq!(check_pattern("ORD-[0-9]+"), Ok(()));
    }

    #[test]
    fn hostile_text_takes_no_longer_than_its_length() {
        let text = format!("{}{}", "a".repeat(200_000), "@".repeat(200_000));
        let (out, count) = shapes().redact(text.as_bytes(), &[], true);
        assert_eq!((out.len(), count), (text.len(), 0));
    }

    proptest! {
        #[test]
        fn no_cut_hides_a_known_secret(cuts in prop::collection::vec(0_usize..24, 0..6)) {
            let secret = "sk-live-0123456789abcdef";
            let mut cuts: Vec<usize> = cuts.into_iter().chain([0, secret.len()]).collect();
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|pair| &secret[pair[0]..pair[1]]);
            let events: Vec<String> = pieces.map(|piece| format!("data: {{\"text\":\"{piece}\"}}\n\n")).collect();
            let stream = events.concat();
            let (out, _) = shapes().redact(stream.as_bytes(), &[], true);
            let out = String::from_utf8(out).unwrap();
            prop_assert!(!out.chars().any(|sign| sign.is_ascii_digit()), "{out}");
        }
    }
}
