//! Two things that an answer says of itself in every dialect: why the model stopped, and how much of it was reasoning.

use std::sync::LazyLock;

use airside_journal::word;
use memchr::memmem::Finder;

use super::settle::Call;

/// The end of the keys that name a reason to stop: one search for all dialects in every event.
static REASON: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("eason\""));
const STOP_KEYS: [&[u8]; 3] = [b"\"stop_r", b"\"finish_r", b"\"finishR"];
static REASONING: LazyLock<[Finder<'static>; 2]> = LazyLock::new(|| {
    [
        Finder::new("\"reasoning_tokens\""),
        Finder::new("\"thoughtsTokenCount\""),
    ]
});

impl Call {
    /// Whole events of the answer, or all of a document, went by.
    pub(crate) fn note_finish(&mut self, block: &[u8]) {
        if let Some(reason) = finish_reason(block) {
            self.record.finish_reason = Some(reason);
        }
        if let Some(tokens) = reasoning_tokens(block) {
            self.record.reasoning_tokens = Some(tokens);
        }
    }
}

/// The last reason to stop in it. Inside a text of the model the key's quotes are escaped, so that it is none.
fn finish_reason(block: &[u8]) -> Option<String> {
    let reasons = REASON.find_iter(block).filter_map(|at| {
        let before = block.get(..at)?;
        let key = STOP_KEYS.iter().find(|key| before.ends_with(key))?;
        if before.get(..before.len() - key.len())?.ends_with(b"\\") {
            return None;
        }
        let value = value_after(block, at + REASON.needle().len())?.strip_prefix(b"\"")?;
        let end = value.iter().position(|byte| *byte == b'"')?;
        std::str::from_utf8(value.get(..end)?).ok().map(word)
    });
    reasons.last()
}

fn reasoning_tokens(block: &[u8]) -> Option<u64> {
    REASONING.iter().find_map(|finder| {
        let counts = finder.find_iter(block).filter_map(|at| {
            let value = value_after(block, at + finder.needle().len())?;
            let digits = value.iter().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(value.get(..digits)?).ok()?.parse().ok()
        });
        counts.last()
    })
}

/// What follows a key: behind its colon and any space.
fn value_after(block: &[u8], at: usize) -> Option<&[u8]> {
    let rest = block.get(at..)?.trim_ascii_start().strip_prefix(b":")?;
    Some(rest.trim_ascii_start())
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
            assert_eq!(finish_reason(block.as_bytes()).as_deref(), reason, "{block}");
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
            (r#"{"usage":{}}"#, None),
        ] {
            assert_eq!(reasoning_tokens(block.as_bytes()), tokens, "{block}");
        }
    }
}
