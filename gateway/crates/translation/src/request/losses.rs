//! Keeping count of what is lost.

use std::borrow::Cow;
use std::collections::BTreeSet;

use airside_protocols::Family;

use crate::loss::Loss;

const LONGEST_NAME: usize = 40;

/// What one request lost, each once.
#[derive(Debug, Default)]
pub(crate) struct Losses(BTreeSet<Loss>);

impl Losses {
    pub(crate) fn add(&mut self, field: &'static str) {
        self.0.insert(Loss::of(field));
    }

    /// A loss that the caller named. It travels in a header, so only what looks like a name is told.
    pub(crate) fn add_named(&mut self, field: &str) {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if field.is_empty() || field.len() > LONGEST_NAME || !field.bytes().all(is_name) {
            return self.add("unknown_field");
        }
        self.0.insert(Loss {
            field: Cow::Owned(field.to_owned()),
        });
    }

    pub(crate) fn sorted(self) -> Vec<Loss> {
        self.0.into_iter().collect()
    }
}

/// Settings that more than one dialect has, under different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    Temperature,
    TopP,
    TopK,
    Seed,
    PresencePenalty,
    FrequencyPenalty,
    Stop,
    /// How much to think.
    Reasoning,
    /// What was thought.
    Thinking,
    Output,
    User,
    Metadata,
    ServiceTier,
    Verbosity,
    Store,
    CacheKey,
    CacheMark,
    ParallelCalls,
    Strict,
    System,
    IsError,
    Prefill,
    /// How closely to look at an image.
    Detail,
}

impl Field {
    /// The caller's own name of it.
    pub(crate) const fn spelled(self, caller: Family) -> &'static str {
        use Family::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};
        match (self, caller) {
            (Self::Temperature, _) => "temperature",
            (Self::TopP, Gemini) => "topP",
            (Self::TopP, _) => "top_p",
            (Self::TopK, Gemini) => "topK",
            (Self::TopK, _) => "top_k",
            (Self::Seed, _) => "seed",
            (Self::PresencePenalty, Gemini) => "presencePenalty",
            (Self::PresencePenalty, _) => "presence_penalty",
            (Self::FrequencyPenalty, Gemini) => "frequencyPenalty",
            (Self::FrequencyPenalty, _) => "frequency_penalty",
            (Self::Stop, Anthropic) => "stop_sequences",
            (Self::Stop, Gemini) => "stopSequences",
            (Self::Stop, _) => "stop",
            (Self::Reasoning | Self::Thinking, Anthropic) => "thinking",
            (Self::Reasoning | Self::Thinking, OpenaiResponses) => "reasoning",
            (Self::Reasoning, OpenaiChat) => "reasoning_effort",
            (Self::Reasoning, Gemini) => "thinkingConfig",
            (Self::Thinking, OpenaiChat) => "reasoning_content",
            (Self::Thinking, Gemini) => "thoughtSignature",
            (Self::Output, Anthropic) => "output_config.format",
            (Self::Output, OpenaiResponses) => "text.format",
            (Self::Output, OpenaiChat) => "response_format",
            (Self::Output, Gemini) => "responseSchema",
            (Self::User, Anthropic) => "metadata",
            (Self::User, _) => "user",
            (Self::Metadata, Gemini) => "labels",
            (Self::Metadata, _) => "metadata",
            (Self::ServiceTier, Gemini) => "serviceTier",
            (Self::ServiceTier, _) => "service_tier",
            (Self::Verbosity, OpenaiResponses) => "text.verbosity",
            (Self::Verbosity, _) => "verbosity",
            (Self::Store, _) => "store",
            (Self::CacheKey, _) => "prompt_cache_key",
            (Self::CacheMark, _) => "cache_control",
            (Self::ParallelCalls, Anthropic) => "disable_parallel_tool_use",
            (Self::ParallelCalls, _) => "parallel_tool_calls",
            (Self::Strict, _) => "strict",
            (Self::System, OpenaiResponses) => "developer",
            (Self::System, _) => "system",
            (Self::IsError, Gemini) => "error",
            (Self::IsError, _) => "is_error",
            (Self::Prefill, _) => "prefill",
            (Self::Detail, OpenaiResponses) => "input_image.detail",
            (Self::Detail, _) => "image_url.detail",
        }
    }
}
