//! Token counts: read as each dialect counts, written as each dialect counts.
//!
//! Anthropic's input leaves out what a cache had or kept; the input of the others includes it. Gemini counts thoughts
//! beside the candidates, the others inside the output. Here the four input counters are disjoint and thoughts are part
//! of the output, so that nothing is counted twice on the way from one dialect to another.

use airside_protocols::{InclusiveCounts, ObjectWriter, TokenUsage};
use serde::Deserialize;

/// What one answer consumed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) tokens: TokenUsage,
    /// How much of the output was thinking.
    pub(crate) reasoning: u64,
}

// --- reading -------------------------------------------------------------------------------------------------------

/// A count as servers write it: a whole number, a float, or null.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(from = "Option<f64>")]
struct Count(Option<u64>);

impl From<Option<f64>> for Count {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
    fn from(count: Option<f64>) -> Self {
        Self(count.filter(|count| *count >= 0.0).map(|count| count.ceil() as u64))
    }
}

impl Count {
    const fn or_zero(self) -> u64 {
        match self.0 {
            Some(count) => count,
            None => 0,
        }
    }

    fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }
}

/// Anthropic's `usage`. Its stream gives some members at the start and others at the end.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
pub(crate) struct AnthropicUsage {
    input_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Option<CacheCreation>,
    output_tokens: Count,
    output_tokens_details: Option<AnthropicOutput>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct AnthropicOutput {
    thinking_tokens: Count,
}

impl AnthropicUsage {
    /// Take over what a later event says: its counts are cumulative, so they replace and never add.
    pub(crate) fn overwrite(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_creation = newer.cache_creation.or(self.cache_creation);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }

    pub(crate) fn counts(&self) -> Counts {
        let split = self.cache_creation.unwrap_or_default();
        let long = split.ephemeral_1h_input_tokens.or_zero();
        let short = split.ephemeral_5m_input_tokens.or_zero();
        // What the split does not explain went to the cheaper cache, which is the default one.
        let written = self.cache_creation_input_tokens.or_zero();
        let unexplained = written.saturating_sub(short.saturating_add(long));
        let output = self.output_tokens.or_zero();
        let thought = self.output_tokens_details.unwrap_or_default().thinking_tokens;
        Counts {
            tokens: TokenUsage {
                input_uncached: self.input_tokens.or_zero(),
                cache_read: self.cache_read_input_tokens.or_zero(),
                cache_write_5m: short.saturating_add(unexplained),
                cache_write_1h: long,
                output,
            },
            reasoning: thought.or_zero().min(output),
        }
    }
}

/// The `usage` of `OpenAI`'s two dialects.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct OpenaiUsage {
    input_tokens: Count,
    prompt_tokens: Count,
    input_tokens_details: Option<OpenaiInput>,
    prompt_tokens_details: Option<OpenaiInput>,
    prompt_cache_hit_tokens: Count,
    /// Kimi's word for it.
    cached_tokens: Count,
    /// `LiteLLM`'s, beside or instead of the details.
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    output_tokens: Count,
    completion_tokens: Count,
    output_tokens_details: Option<OpenaiOutput>,
    completion_tokens_details: Option<OpenaiOutput>,
    total_tokens: Count,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct OpenaiInput {
    cached_tokens: Count,
    cache_write_tokens: Count,
    cache_creation_tokens: Count,
    cache_creation_token_details: Option<CacheCreation>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default)]
struct OpenaiOutput {
    reasoning_tokens: Count,
}

impl OpenaiUsage {
    pub(crate) fn counts(&self) -> Counts {
        let details = self.input_tokens_details.or(self.prompt_tokens_details);
        let details = details.unwrap_or_default();
        let split = details.cache_creation_token_details.unwrap_or_default();
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
        let tokens = counts.disjoint();
        let thought = self.output_tokens_details.or(self.completion_tokens_details);
        let reasoning = thought.unwrap_or_default().reasoning_tokens.or_zero();
        Counts {
            tokens,
            reasoning: reasoning.min(tokens.output),
        }
    }
}

/// Gemini's `usageMetadata`: cumulative in every chunk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct GeminiUsage {
    #[serde(rename = "promptTokenCount")]
    prompt: Count,
    #[serde(rename = "toolUsePromptTokenCount")]
    by_tools: Count,
    #[serde(rename = "cachedContentTokenCount")]
    cached: Count,
    #[serde(rename = "candidatesTokenCount")]
    shown: Count,
    #[serde(rename = "thoughtsTokenCount")]
    thoughts: Count,
}

impl GeminiUsage {
    pub(crate) fn counts(&self) -> Counts {
        let prompt = self.prompt.or_zero();
        let cache_read = self.cached.or_zero().min(prompt);
        let by_tools = self.by_tools.or_zero();
        let reasoning = self.thoughts.or_zero();
        Counts {
            tokens: TokenUsage {
                input_uncached: (prompt - cache_read).saturating_add(by_tools),
                cache_read,
                output: self.shown.or_zero().saturating_add(reasoning),
                ..TokenUsage::default()
            },
            reasoning,
        }
    }
}

// --- writing -------------------------------------------------------------------------------------------------------

impl Counts {
    /// Members of Anthropic's `usage`.
    pub(crate) fn write_anthropic(&self, usage: &mut ObjectWriter<'_>) {
        let tokens = &self.tokens;
        usage.number("input_tokens", tokens.input_uncached);
        let written = tokens.cache_write_5m.saturating_add(tokens.cache_write_1h);
        usage.number("cache_creation_input_tokens", written);
        usage.number("cache_read_input_tokens", tokens.cache_read);
        usage.object("cache_creation", |creation| {
            creation.number("ephemeral_5m_input_tokens", tokens.cache_write_5m);
            creation.number("ephemeral_1h_input_tokens", tokens.cache_write_1h);
        });
        usage.number("output_tokens", tokens.output);
    }

    /// Members of the `usage` of Responses.
    pub(crate) fn write_responses(&self, usage: &mut ObjectWriter<'_>) {
        let input = self.tokens.total_input();
        usage.number("input_tokens", input);
        usage.object("input_tokens_details", |details| self.write_cached(details));
        usage.number("output_tokens", self.tokens.output);
        usage.object("output_tokens_details", |details| {
            details.number("reasoning_tokens", self.reasoning);
        });
        usage.number("total_tokens", input.saturating_add(self.tokens.output));
    }

    /// Members of the `usage` of Chat Completions.
    pub(crate) fn write_chat(&self, usage: &mut ObjectWriter<'_>) {
        let input = self.tokens.total_input();
        usage.number("prompt_tokens", input);
        usage.number("completion_tokens", self.tokens.output);
        usage.number("total_tokens", input.saturating_add(self.tokens.output));
        usage.object("prompt_tokens_details", |details| self.write_cached(details));
        usage.object("completion_tokens_details", |details| {
            details.number("reasoning_tokens", self.reasoning);
        });
    }

    fn write_cached(&self, details: &mut ObjectWriter<'_>) {
        details.number("cached_tokens", self.tokens.cache_read);
        let written = self.tokens.cache_write_5m.saturating_add(self.tokens.cache_write_1h);
        if written > 0 {
            details.number("cache_write_tokens", written);
        }
    }

    /// Members of Gemini's `usageMetadata`.
    pub(crate) fn write_gemini(&self, usage: &mut ObjectWriter<'_>) {
        let input = self.tokens.total_input();
        usage.number("promptTokenCount", input);
        if self.tokens.cache_read > 0 {
            usage.number("cachedContentTokenCount", self.tokens.cache_read);
        }
        let shown = self.tokens.output.saturating_sub(self.reasoning);
        usage.number("candidatesTokenCount", shown);
        if self.reasoning > 0 {
            usage.number("thoughtsTokenCount", self.reasoning);
        }
        usage.number("totalTokenCount", input.saturating_add(self.tokens.output));
    }
}
