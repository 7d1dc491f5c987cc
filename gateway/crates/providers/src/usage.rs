//! What an answer says it cost, reduced to five disjoint counters.
//!
//! Anthropic's `input_tokens` leaves cached input out and its stream counts are cumulative: the latest one counts.
//! `OpenAI`'s and Gemini's input includes what the cache had, so that is subtracted. Gemini counts what was thought
//! beside what was said, and what its tools brought in beside the prompt.

use airside_protocols::{Family, ServiceTier, TokenUsage, ToolUses, top_level_member};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, de};

use crate::extras::Extras;

/// Reads token counts out of the payloads of one answer.
#[derive(Debug, Default)]
pub struct UsageTap {
    anthropic: AnthropicUsage,
    gemini: GeminiUsage,
    found: Option<TokenUsage>,
    extras: Extras,
}

impl UsageTap {
    /// The counts so far; `None` until the provider gave any.
    #[must_use]
    pub fn usage(&self) -> Option<TokenUsage> {
        self.found
    }

    /// The tools that the provider ran by itself.
    #[must_use]
    pub const fn tool_uses(&self) -> ToolUses {
        self.extras.tool_uses
    }

    /// The service tier that the answer came from, where it says so.
    #[must_use]
    pub const fn service_tier(&self) -> Option<ServiceTier> {
        self.extras.service_tier
    }

    /// Read one event's payload of a stream.
    pub fn read_event(&mut self, family: Family, payload: &[u8]) {
        let wrapped = match family {
            Family::Anthropic => member(payload, "message"),
            Family::OpenaiResponses => member(payload, "response"),
            Family::OpenaiChat | Family::Gemini => None,
        };
        self.read_answer(family, wrapped.unwrap_or(payload));
    }

    /// Read the body of an answer that came whole.
    pub fn read_answer(&mut self, family: Family, body: &[u8]) {
        let usage = usage_member(family, body);
        self.extras.read(family, body, usage);
        let Some(usage) = usage else { return };
        match family {
            Family::Anthropic => {
                if let Ok(counts) = serde_json::from_slice::<AnthropicUsage>(usage) {
                    self.anthropic.overwrite(counts);
                    self.found = Some(self.anthropic.reduced());
                }
            }
            Family::OpenaiResponses | Family::OpenaiChat => {
                if let Ok(counts) = serde_json::from_slice::<OpenaiUsage>(usage) {
                    self.found = Some(counts.reduced());
                }
            }
            Family::Gemini => {
                if let Ok(counts) = serde_json::from_slice::<GeminiUsage>(usage) {
                    self.gemini.overwrite(counts);
                    self.found = Some(self.gemini.reduced());
                }
            }
        }
    }
}

/// What an answer says of its usage.
pub(crate) fn usage_member(family: Family, body: &[u8]) -> Option<&[u8]> {
    let is_gemini = family == Family::Gemini;
    member(body, if is_gemini { "usageMetadata" } else { "usage" })
}

fn member<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let value = text.get(top_level_member(text, key)?)?;
    value.starts_with(b"{").then_some(value)
}

/// A count as servers write it: a whole number, a float, or null.
#[derive(Debug, Default, Clone, Copy)]
struct Count(Option<u64>);

impl Count {
    fn or_zero(self) -> u64 {
        self.0.unwrap_or(0)
    }

    fn or(self, earlier: Self) -> Self {
        Self(self.0.or(earlier.0))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyCount;
        impl Visitor<'_> for AnyCount {
            type Value = Count;
            fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str("a count of tokens")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Count, E> {
                Ok(Count(Some(count)))
            }
            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(count).ok()))
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
            fn visit_f64<E: de::Error>(self, count: f64) -> Result<Count, E> {
                Ok(Count((count >= 0.0).then(|| count.ceil() as u64)))
            }
            fn visit_unit<E: de::Error>(self) -> Result<Count, E> {
                Ok(Count(None))
            }
        }
        deserializer.deserialize_any(AnyCount)
    }
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct AnthropicUsage {
    input_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Option<CacheCreation>,
    output_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

impl AnthropicUsage {
    fn overwrite(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_creation = newer.cache_creation.or(self.cache_creation);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
    }

    fn reduced(&self) -> TokenUsage {
        let split = self.cache_creation.unwrap_or_default();
        let (short, long) = (
            split.ephemeral_5m_input_tokens.or_zero(),
            split.ephemeral_1h_input_tokens.or_zero(),
        );
        // What the split does not explain went to the cheaper cache, which is the default one.
        let unexplained = self
            .cache_creation_input_tokens
            .or_zero()
            .saturating_sub(short.saturating_add(long));
        TokenUsage {
            input_uncached: self.input_tokens.or_zero(),
            cache_read: self.cache_read_input_tokens.or_zero(),
            cache_write_5m: short.saturating_add(unexplained),
            cache_write_1h: long,
            output: self.output_tokens.or_zero(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OpenaiUsage {
    input_tokens: Count,
    prompt_tokens: Count,
    input_tokens_details: Option<InputDetails>,
    prompt_tokens_details: Option<InputDetails>,
    prompt_cache_hit_tokens: Count,
    output_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

impl OpenaiUsage {
    fn reduced(&self) -> TokenUsage {
        let input = self.input_tokens.or(self.prompt_tokens).or_zero();
        let details = self
            .input_tokens_details
            .or(self.prompt_tokens_details)
            .unwrap_or_default();
        let cache_read = details
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or_zero()
            .min(input);
        let cache_write_5m = details.cache_write_tokens.or_zero().min(input - cache_read);
        let said = self.output_tokens.or(self.completion_tokens).or_zero();
        // Some servers leave reasoning out of the output and only in the total.
        let rest_of_total = self.total_tokens.or_zero().saturating_sub(input);
        TokenUsage {
            input_uncached: input - cache_read - cache_write_5m,
            cache_read,
            cache_write_5m,
            cache_write_1h: 0,
            output: said.max(rest_of_total),
        }
    }
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct GeminiUsage {
    #[serde(rename = "promptTokenCount")]
    prompt: Count,
    #[serde(rename = "toolUsePromptTokenCount")]
    tool_use_prompt: Count,
    #[serde(rename = "cachedContentTokenCount")]
    cached_content: Count,
    #[serde(rename = "candidatesTokenCount")]
    candidates: Count,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Count,
}

impl GeminiUsage {
    fn overwrite(&mut self, newer: Self) {
        self.prompt = newer.prompt.or(self.prompt);
        self.tool_use_prompt = newer.tool_use_prompt.or(self.tool_use_prompt);
        self.cached_content = newer.cached_content.or(self.cached_content);
        self.candidates = newer.candidates.or(self.candidates);
        self.thoughts = newer.thoughts.or(self.thoughts);
    }

    fn reduced(&self) -> TokenUsage {
        let prompt = self.prompt.or_zero();
        let cache_read = self.cached_content.or_zero().min(prompt);
        let uncached = prompt - cache_read;
        TokenUsage {
            input_uncached: uncached.saturating_add(self.tool_use_prompt.or_zero()),
            cache_read,
            output: self.candidates.or_zero().saturating_add(self.thoughts.or_zero()),
            ..TokenUsage::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(family: Family, payloads: &[&str]) -> TokenUsage {
        let mut tap = UsageTap::default();
        for payload in payloads {
            tap.read_event(family, payload.as_bytes());
        }
        tap.usage().unwrap()
    }

    #[test]
    fn anthropics_stream_counts_overwrite_and_never_add() {
        let usage = events(
            Family::Anthropic,
            &[
                r#"{"type":"message_start","message":{"usage":{"input_tokens":10,"cache_read_input_tokens":200,
                "cache_creation_input_tokens":70,"cache_creation":{"ephemeral_5m_input_tokens":20,
                "ephemeral_1h_input_tokens":50},"output_tokens":1}}}"#,
                r#"{"type":"message_delta","usage":{"output_tokens":5}}"#,
                r#"{"type":"message_delta","usage":{"input_tokens":11,"output_tokens":9}}"#,
            ],
        );
        assert_eq!(
            usage,
            TokenUsage {
                input_uncached: 11,
                cache_read: 200,
                cache_write_5m: 20,
                cache_write_1h: 50,
                output: 9
            }
        );
    }

    #[test]
    fn a_cache_write_without_a_split_is_the_short_one() {
        let usage = events(
            Family::Anthropic,
            &[r#"{"usage":{"input_tokens":1,"cache_creation_input_tokens":7,"output_tokens":2}}"#],
        );
        assert_eq!(
            usage,
            TokenUsage {
                input_uncached: 1,
                cache_write_5m: 7,
                output: 2,
                ..TokenUsage::default()
            }
        );
    }

    #[test]
    fn openais_input_includes_what_the_cache_had() {
        let responses = events(
            Family::OpenaiResponses,
            &[
                r#"{"type":"response.completed","response":{"usage":{"input_tokens":100,"input_tokens_details":{"cached_tokens":60},
                "output_tokens":7,"output_tokens_details":{"reasoning_tokens":5},"total_tokens":107}}}"#,
            ],
        );
        assert_eq!(
            responses,
            TokenUsage {
                input_uncached: 40,
                cache_read: 60,
                output: 7,
                ..TokenUsage::default()
            }
        );
        let chat = events(
            Family::OpenaiChat,
            &[
                r#"{"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":4,"total_tokens":40,"prompt_tokens_details":null,"prompt_cache_hit_tokens":10}}"#,
            ],
        );
        assert_eq!(
            chat,
            TokenUsage {
                input_uncached: 20,
                cache_read: 10,
                output: 10,
                ..TokenUsage::default()
            }
        );
    }

    #[test]
    fn geminis_thoughts_are_output_and_its_cache_is_input() {
        let usage = events(
            Family::Gemini,
            &[
                r#"{"usageMetadata":{"promptTokenCount":100,"totalTokenCount":100}}"#,
                r#"{"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":60,"candidatesTokenCount":3,
                "thoughtsTokenCount":8,"toolUsePromptTokenCount":5,"totalTokenCount":116}}"#,
                r#"{"candidates":[]}"#,
            ],
        );
        let expected = TokenUsage {
            input_uncached: 45,
            cache_read: 60,
            output: 11,
            ..TokenUsage::default()
        };
        assert_eq!(usage, expected);
    }

    #[test]
    fn embeddings_have_input_only() {
        let mut tap = UsageTap::default();
        tap.read_answer(
            Family::OpenaiChat,
            br#"{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#,
        );
        let expected = TokenUsage {
            input_uncached: 8,
            ..TokenUsage::default()
        };
        assert_eq!(tap.usage(), Some(expected));
    }

    #[test]
    fn strange_counts_do_no_harm() {
        let usage = events(
            Family::OpenaiChat,
            &[r#"{"usage":{"prompt_tokens":-3,"completion_tokens":2.5,"prompt_tokens_details":{"cached_tokens":99}}}"#],
        );
        assert_eq!(
            usage,
            TokenUsage {
                output: 3,
                ..TokenUsage::default()
            }
        );
        let mut tap = UsageTap::default();
        tap.read_event(Family::OpenaiChat, br#"{"usage":"free"}"#);
        tap.read_event(Family::Anthropic, br#"{"usage":{"input_tokens":"many"}}"#);
        assert_eq!(tap.usage(), None);
    }
}
