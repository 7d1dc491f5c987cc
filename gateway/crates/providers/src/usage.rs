//! What an answer says it cost, reduced to five disjoint counters.
//!
//! Anthropic's `input_tokens` leaves cached input out and its stream counts are cumulative: the latest one counts.
//! `OpenAI`'s and Gemini's input includes what the cache had, so that is subtracted. Gemini counts what was thought
//! beside what was said, and what its tools brought in beside the prompt.

use std::ops::Range;

use airside_protocols::{
    Document, Family, InclusiveCounts, ServiceTier, TokenUsage, ToolUses, top_level_member, top_level_members,
};

use crate::counts::{Count, Counts, Group, NoJson, Taken, read};
use crate::extras::{Beside, Extras};

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
        self.read_spoken(family, &Spoken::of(family, body));
    }

    /// The same of one that was walked along already.
    pub fn read_document(&mut self, family: Family, document: &Document<'_>) {
        let Document {
            text,
            usage,
            service_tier,
            said,
            ..
        } = *document;
        let answer = Spoken {
            body: text,
            usage: usage.filter(|value| value.starts_with(b"{")),
            service_tier,
            said,
        };
        self.read_spoken(family, &answer);
    }

    fn read_spoken(&mut self, family: Family, answer: &Spoken<'_>) {
        let mut beside = Beside::of(family);
        let counted = answer.usage.map(|usage| self.count(family, usage, &mut beside));
        if let Some(Err(NoJson)) = counted {
            beside = Beside::of(family);
        }
        self.extras.read(family, answer, &beside);
    }

    fn count<'a>(&mut self, family: Family, usage: &'a [u8], beside: &mut Beside<'a>) -> Result<(), NoJson> {
        let other = |key: &[u8], raw| beside.note(key, raw);
        match family {
            Family::Anthropic => {
                if let Some(counts) = read::<AnthropicUsage>(usage, other)? {
                    self.anthropic.overwrite(counts);
                    self.found = Some(self.anthropic.reduced());
                }
            }
            Family::OpenaiResponses | Family::OpenaiChat => {
                if let Some(counts) = read::<OpenaiUsage>(usage, other)? {
                    self.found = Some(counts.reduced());
                }
            }
            Family::Gemini => {
                if let Some(counts) = read::<GeminiUsage>(usage, other)? {
                    self.gemini.overwrite(counts);
                    self.found = Some(self.gemini.reduced());
                }
            }
        }
        Ok(())
    }
}

fn member<'a>(text: &'a [u8], key: &str) -> Option<&'a [u8]> {
    object(text, top_level_member(text, key))
}

fn object(text: &[u8], range: Option<Range<usize>>) -> Option<&[u8]> {
    text.get(range?).filter(|value| value.starts_with(b"{"))
}

/// The members of an answer that tell what it cost, found in one walk.
#[derive(Debug)]
pub(crate) struct Spoken<'a> {
    pub(crate) body: &'a [u8],
    /// What it says of its usage; Gemini has its own name for it.
    pub(crate) usage: Option<&'a [u8]>,
    pub(crate) service_tier: Option<&'a [u8]>,
    /// What was said and done: `output`, or Gemini's `candidates`.
    pub(crate) said: Option<&'a [u8]>,
}

impl<'a> Spoken<'a> {
    pub(crate) fn of(family: Family, body: &'a [u8]) -> Self {
        let names = match family {
            Family::Gemini => ["usageMetadata", "service_tier", "candidates"],
            _ => ["usage", "service_tier", "output"],
        };
        let [usage, service_tier, said] = top_level_members(body, names);
        let at = |range: Option<Range<usize>>| body.get(range?);
        Self {
            body,
            usage: object(body, usage),
            service_tier: at(service_tier),
            said: at(said),
        }
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct AnthropicUsage {
    input_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Group<CacheCreation>,
    output_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

impl Counts for AnthropicUsage {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
        match key {
            b"input_tokens" => self.input_tokens.take(raw),
            b"cache_read_input_tokens" => self.cache_read_input_tokens.take(raw),
            b"cache_creation_input_tokens" => self.cache_creation_input_tokens.take(raw),
            b"cache_creation" => self.cache_creation.take(raw),
            b"output_tokens" => self.output_tokens.take(raw),
            _ => Taken::Unknown,
        }
    }
}

impl Counts for CacheCreation {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
        match key {
            b"ephemeral_5m_input_tokens" => self.ephemeral_5m_input_tokens.take(raw),
            b"ephemeral_1h_input_tokens" => self.ephemeral_1h_input_tokens.take(raw),
            _ => Taken::Unknown,
        }
    }
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
        let split = self.cache_creation.counts.unwrap_or_default();
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

#[derive(Debug, Default)]
struct OpenaiUsage {
    input_tokens: Count,
    prompt_tokens: Count,
    input_tokens_details: Group<InputDetails>,
    prompt_tokens_details: Group<InputDetails>,
    prompt_cache_hit_tokens: Count,
    /// Kimi's word for it.
    cached_tokens: Count,
    /// `LiteLLM`'s, beside or instead of the details.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    output_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy)]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    cache_creation_tokens: Count,
    cache_creation_token_details: Group<CacheCreation>,
}

impl Counts for OpenaiUsage {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
        match key {
            b"input_tokens" => self.input_tokens.take(raw),
            b"prompt_tokens" => self.prompt_tokens.take(raw),
            b"input_tokens_details" => self.input_tokens_details.take(raw),
            b"prompt_tokens_details" => self.prompt_tokens_details.take(raw),
            b"prompt_cache_hit_tokens" => self.prompt_cache_hit_tokens.take(raw),
            b"cached_tokens" => self.cached_tokens.take(raw),
            b"cache_read_input_tokens" => self.cache_read_input_tokens.take(raw),
            b"cache_creation_input_tokens" => self.cache_creation_input_tokens.take(raw),
            b"output_tokens" => self.output_tokens.take(raw),
            b"completion_tokens" => self.completion_tokens.take(raw),
            b"total_tokens" => self.total_tokens.take(raw),
            _ => Taken::Unknown,
        }
    }
}

impl Counts for InputDetails {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
        match key {
            b"cached_tokens" => self.cached_tokens.take(raw),
            b"cache_write_tokens" => self.cache_write_tokens.take(raw),
            b"cache_creation_tokens" => self.cache_creation_tokens.take(raw),
            b"cache_creation_token_details" => self.cache_creation_token_details.take(raw),
            _ => Taken::Unknown,
        }
    }
}

impl OpenaiUsage {
    fn reduced(&self) -> TokenUsage {
        let details = self
            .input_tokens_details
            .or(self.prompt_tokens_details)
            .counts
            .unwrap_or_default();
        let split = details.cache_creation_token_details.counts.unwrap_or_default();
        let counts = InclusiveCounts {
            input: self.input_tokens.or(self.prompt_tokens).or_zero(),
            cache_reads: &[
                details.cached_tokens.or_zero(),
                self.prompt_cache_hit_tokens.or_zero(),
                self.cached_tokens.or_zero(),
                self.cache_read_input_tokens.or_zero(),
            ],
            cache_writes: &[
                details.cache_write_tokens.or_zero(),
                details.cache_creation_tokens.or_zero(),
                self.cache_creation_input_tokens.or_zero(),
            ],
            long_writes: split.ephemeral_1h_input_tokens.or_zero(),
            output: self.output_tokens.or(self.completion_tokens).or_zero(),
            total: self.total_tokens.or_zero(),
        };
        counts.disjoint()
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct GeminiUsage {
    prompt: Count,
    tool_use_prompt: Count,
    cached_content: Count,
    candidates: Count,
    thoughts: Count,
}

impl Counts for GeminiUsage {
    fn take(&mut self, key: &[u8], raw: &[u8]) -> Taken {
        match key {
            b"promptTokenCount" => self.prompt.take(raw),
            b"toolUsePromptTokenCount" => self.tool_use_prompt.take(raw),
            b"cachedContentTokenCount" => self.cached_content.take(raw),
            b"candidatesTokenCount" => self.candidates.take(raw),
            b"thoughtsTokenCount" => self.thoughts.take(raw),
            _ => Taken::Unknown,
        }
    }
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
    fn every_name_for_cached_input_is_known_and_none_is_counted_twice() {
        let cached = |read, short, long| TokenUsage {
            input_uncached: 100 - read - short - long,
            cache_read: read,
            cache_write_5m: short,
            cache_write_1h: long,
            output: 5,
        };
        for (beside, expected) in [
            (r#""cached_tokens":60"#, cached(60, 0, 0)),
            (
                r#""cache_read_input_tokens":60,"cache_creation_input_tokens":20"#,
                cached(60, 20, 0),
            ),
            (
                r#""cache_read_input_tokens":60,"cache_creation_input_tokens":20,"cached_tokens":60,
                "prompt_tokens_details":{"cached_tokens":60,"cache_creation_tokens":20,
                "cache_creation_token_details":{"ephemeral_5m_input_tokens":5,"ephemeral_1h_input_tokens":15}}"#,
                cached(60, 5, 15),
            ),
            (
                r#""cache_read_input_tokens":60,"cache_creation_input_tokens":null,
                "prompt_tokens_details":{"cached_tokens":0}"#,
                cached(60, 0, 0),
            ),
            (
                r#""cache_read_input_tokens":70,"cache_creation_input_tokens":70"#,
                cached(70, 30, 0),
            ),
        ] {
            let usage =
                format!(r#"{{"usage":{{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,{beside}}}}}"#);
            assert_eq!(events(Family::OpenaiChat, &[&usage]), expected, "{beside}");
        }
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
