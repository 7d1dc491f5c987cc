//! Two things that an answer says of itself in every dialect: why the model stopped, and how much of it was reasoning.

use std::sync::LazyLock;

use airside_journal::word;
use airside_protocols::Family;
use memchr::memmem::Finder;

use super::settle::Call;

/// What the keys of all dialects but one have in common: one search for them in every event.
static REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eason"));
const STOP_KEYS: [&[u8]; 3] = [b"\"stop_r", b"\"finish_r", b"\"finishR"];
/// Gemini's count of reasoning.
static THOUGHTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"thoughtsTokenCount\""));

impl Call {
    /// Whole events of the provider's answer, or all of a document, went by.
    pub(crate) fn note_finish(&mut self, block: &[u8]) {
        let finish = Finish::of(block, self.family);
        if let Some(reason) = finish.reason {
            self.record.finish_reason = Some(word(reason));
        }
        if let Some(tokens) = finish.reasoning_tokens {
            self.record.reasoning_tokens = Some(tokens);
        }
    }
}

/// What a part of an answer says, the last of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Finish<'a> {
    reason: Option<&'a str>,
    reasoning_tokens: Option<u64>,
}

impl<'a> Finish<'a> {
    fn of(block: &'a [u8], family: Family) -> Self {
        let mut finish = Self::default();
        for at in places(&REASON, block) {
            let (before, rest) = block.split_at_checked(at).unwrap_or_default();
            let rest = rest.strip_prefix(REASON.needle()).unwrap_or_default();
            if let Some(after) = rest.strip_prefix(b"\"") {
                finish.reason = stop_reason(before, after).or(finish.reason);
            } else if let Some(after) = rest.strip_prefix(b"ing_tokens\"")
                && before.ends_with(b"\"r")
            {
                finish.reasoning_tokens = count(after).or(finish.reasoning_tokens);
            }
        }
        if family == Family::Gemini {
            let counts = places(&THOUGHTS, block).filter_map(|at| {
                let after = block.get(at + THOUGHTS.needle().len()..)?;
                count(after)
            });
            finish.reasoning_tokens = counts.last().or(finish.reasoning_tokens);
        }
        finish
    }
}

/// Where the words stand that this finder looks for. Its own iterator begins with a copy of the finder.
fn places<'a>(finder: &'a Finder<'static>, text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let mut from = 0;
    std::iter::from_fn(move || {
        let at = from + finder.find(text.get(from..)?)?;
        from = at + finder.needle().len();
        Some(at)
    })
}

/// Inside a text of the model the key's quotes are escaped, so that it is none.
fn stop_reason<'a>(before: &[u8], after: &'a [u8]) -> Option<&'a str> {
    let key = STOP_KEYS.iter().find(|key| before.ends_with(key))?;
    if before.get(..before.len() - key.len())?.ends_with(b"\\") {
        return None;
    }
    let value = value_after(after)?.strip_prefix(b"\"")?;
    let end = value.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(value.get(..end)?).ok()
}

fn count(after: &[u8]) -> Option<u64> {
    let value = value_after(after)?;
    let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
}

/// What follows a key: behind its colon and any space.
fn value_after(key: &[u8]) -> Option<&[u8]> {
    Some(key.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_says_why_it_stopped() {
        for (block, reason) in [
            (
                r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}"#,
                Some("end_turn"),
            ),
            (r#"{"choices":[{"finish_reason": "tool_calls"}]}"#, Some("tool_calls")),
            (r#"{"candidates":[{"finishReason":"STOP"}]}"#, Some("STOP")),
            (r#"{"stop_reason":null}"#, None),
            (r#"{"text":"\"finish_reason\":\"no\""}"#, None),
            (r#"{"some_reason":"no","reason":"no"}"#, None),
            (r#"{"finish_reason":null}{"finish_reason":"length"}"#, Some("length")),
            (r#"{"finish_reason":"#, None),
        ] {
            for family in [Family::Anthropic, Family::Gemini] {
                assert_eq!(Finish::of(block.as_bytes(), family).reason, reason, "{block}");
            }
        }
    }

    #[test]
    fn reasoning_is_counted_where_it_is_said() {
        for (block, tokens) in [
            (
                r#"{"usage":{"output_tokens_details":{"reasoning_tokens": 64}}}"#,
                Some(64),
            ),
            (
                r#"{"usageMetadata":{"thoughtsTokenCount":7}}{"usageMetadata":{"thoughtsTokenCount":9}}"#,
                Some(9),
            ),
            (r#"{"reasoning_tokens":null}"#, None),
            (r#"{"text":"\"reasoning_tokens\":7","other_reasoning_tokens":7}"#, None),
            (r#"{"usage":{}}"#, None),
        ] {
            let finish = Finish::of(block.as_bytes(), Family::Gemini);
            assert_eq!(finish.reasoning_tokens, tokens, "{block}");
        }
    }
}
