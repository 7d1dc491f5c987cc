//! What a provider's error means, whichever dialect it was said in, and how it is said in the caller's.
//!
//! Harnesses act on the words: Claude Code shortens its conversation when it reads that the prompt is too long, Codex
//! gives up on `context_length_exceeded`, both wait out an overload. So the meaning is kept, not just the status.

use airside_protocols::{ErrorReply, Family, error_body};
use serde_json::Value;

use super::secrets::without_secrets;

/// An error of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    fault: Fault,
    /// As the provider gave it, if it did.
    status: Option<u16>,
    /// The provider's own code.
    code: Option<String>,
    message: String,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Invalid,
    Authentication,
    Billing,
    Permission,
    NotFound,
    TooLarge,
    ContextTooLong,
    ContentPolicy,
    RateLimit,
    Overloaded,
    Timeout,
    Internal,
}

impl Failure {
    /// A failure in our own words.
    pub(crate) fn of(fault: Fault, message: &str) -> Self {
        Self {
            fault,
            status: None,
            code: None,
            message: message.to_owned(),
        }
    }

    /// Read the body of an error response.
    pub(crate) fn of_body(status: u16, body: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        Self::of_value(Some(status), &body)
    }

    /// Read an error object, or what holds one. In a stream there is no status but what the error itself says.
    pub(crate) fn of_value(status: Option<u16>, holder: &Value) -> Self {
        // Gemini's array form wraps the error once more.
        let holder = holder.get(0).unwrap_or(holder);
        let error = holder.get("error").filter(|error| !error.is_null()).unwrap_or(holder);
        let message = [
            error.get("message"),
            Some(error),
            holder.get("message"),
            holder.get("detail"),
        ]
        .into_iter()
        .flatten()
        .find_map(Value::as_str)
        .unwrap_or_default();
        let own_status = error.get("code").and_then(Value::as_u64);
        let status = status.or_else(|| own_status.and_then(|status| u16::try_from(status).ok()));
        let words = words_of(error);
        Self {
            fault: Fault::of(status, &words, message),
            status,
            code: error.get("code").and_then(Value::as_str).map(str::to_owned),
            message: without_secrets(message),
        }
    }

    /// Status and body in a dialect.
    pub(crate) fn response(&self, from: Family, to: Family, request_id: &str) -> (u16, Vec<u8>) {
        let message = self.message(to);
        let mut reply = self.reply(from, to, &message, request_id);
        let status = reply.status;
        if self.fault == Fault::Billing && is_openai(to) {
            // The type is chosen by the status, and `OpenAI` says 429 to an empty account.
            reply.status = 402;
        }
        (status, error_body(to, reply))
    }

    /// The same as the parts of an error in a stream.
    pub(crate) fn reply<'a>(
        &'a self,
        from: Family,
        to: Family,
        message: &'a str,
        request_id: &'a str,
    ) -> ErrorReply<'a> {
        let own_code = self.code.as_deref().filter(|_| is_openai(from) && is_openai(to));
        ErrorReply {
            status: self.fault.status(self.status, to),
            code: own_code.unwrap_or_else(|| self.fault.code()),
            message,
            request_id,
        }
    }

    /// The same where an answer breaks off in the middle.
    pub(crate) fn reply_in_stream<'a>(
        &'a self,
        from: Family,
        to: Family,
        message: &'a str,
        request_id: &'a str,
    ) -> ErrorReply<'a> {
        let mut reply = self.reply(from, to, message, request_id);
        if to == Family::OpenaiResponses && self.fault == Fault::Overloaded {
            // Codex takes an overload for a model without room and ends the turn. An answer that had begun is worth
            // another try.
            reply.code = Fault::Internal.code();
        }
        reply
    }

    /// The sentence in a dialect.
    pub(crate) fn message(&self, to: Family) -> String {
        let said = self.message.trim();
        match self.fault {
            // It would tell the caller of a key that is not the caller's.
            Fault::Authentication => "The provider refused the gateway's credential.".to_owned(),
            Fault::ContextTooLong if to == Family::Anthropic => prompt_is_too_long(said),
            _ if said.is_empty() => self.fault.sentence().to_owned(),
            _ => said.to_owned(),
        }
    }
}

const fn is_openai(family: Family) -> bool {
    matches!(family, Family::OpenaiResponses | Family::OpenaiChat)
}

/// The words by which vendors tell errors apart: types, codes, reasons, in lower case.
fn words_of(error: &Value) -> Vec<String> {
    let details = error.get("details").and_then(Value::as_array);
    let reasons = details.into_iter().flatten().map(|detail| detail.get("reason"));
    [error.get("code"), error.get("type"), error.get("status")]
        .into_iter()
        .chain(reasons)
        .filter_map(|word| word?.as_str())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// Words that tell a fault whatever the status; more telling ones first.
const BY_WORD: [(Fault, &[&str]); 11] = [
    (
        Fault::ContextTooLong,
        &["context_length_exceeded", "model_context_window_exceeded"],
    ),
    (
        Fault::ContentPolicy,
        &[
            "content_policy_violation",
            "content_filter",
            "invalid_prompt",
            "responsibleaipolicyviolation",
        ],
    ),
    (
        Fault::Billing,
        &[
            "insufficient_quota",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
        ],
    ),
    (
        Fault::Authentication,
        &[
            "invalid_api_key",
            "api_key_invalid",
            "authentication_error",
            "unauthenticated",
        ],
    ),
    (Fault::NotFound, &["model_not_found", "not_found_error", "not_found"]),
    (Fault::TooLarge, &["request_too_large"]),
    (Fault::Permission, &["permission_error", "permission_denied"]),
    (
        Fault::Overloaded,
        &["overloaded_error", "server_is_overloaded", "slow_down", "unavailable"],
    ),
    (
        Fault::RateLimit,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "resource_exhausted",
            "too_many_requests",
        ],
    ),
    (Fault::Timeout, &["timeout_error", "deadline_exceeded"]),
    (
        Fault::Internal,
        &["api_error", "server_error", "internal", "internal_error"],
    ),
];

/// How vendors say that the prompt does not fit, in lower case.
const TOO_LONG: [&str; 6] = [
    "prompt is too long",
    "maximum context length",
    "context window",
    "exceeds the maximum number of tokens",
    "input is too long",
    "exceed context limit",
];

impl Fault {
    fn of(status: Option<u16>, words: &[String], message: &str) -> Self {
        let message = message.to_ascii_lowercase();
        if matches!(status, None | Some(400 | 413 | 422)) && TOO_LONG.iter().any(|phrase| message.contains(phrase)) {
            return Self::ContextTooLong;
        }
        if message.contains("credit balance is too low") {
            return Self::Billing;
        }
        let told = BY_WORD
            .iter()
            .find(|(_, signs)| words.iter().any(|word| signs.contains(&word.as_str())));
        match (told, status) {
            (Some((fault, _)), _) => *fault,
            (None, Some(status)) => Self::of_status(status),
            (None, None) if words.iter().any(|word| word.starts_with("invalid")) => Self::Invalid,
            (None, None) => Self::Internal,
        }
    }

    const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimit,
            503 | 529 => Self::Overloaded,
            400..=499 => Self::Invalid,
            _ => Self::Internal,
        }
    }

    /// The status with which a dialect says this.
    fn status(self, own: Option<u16>, to: Family) -> u16 {
        match self {
            Self::Invalid => own.filter(|status| (400..500).contains(status)).unwrap_or(400),
            Self::ContextTooLong | Self::ContentPolicy => 400,
            Self::Authentication => 401,
            Self::Billing if to == Family::Anthropic => 402,
            Self::Billing | Self::RateLimit => 429,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::TooLarge if to == Family::Gemini => 400,
            Self::TooLarge => 413,
            Self::Overloaded if to == Family::Anthropic => 529,
            Self::Overloaded => 503,
            Self::Timeout => 504,
            Self::Internal => own.filter(|status| matches!(status, 500..=502)).unwrap_or(500),
        }
    }

    const fn code(self) -> &'static str {
        match self {
            Self::Invalid => "invalid_request",
            Self::Authentication => "invalid_api_key",
            Self::Billing => "insufficient_quota",
            Self::Permission => "permission_denied",
            Self::NotFound => "not_found",
            Self::TooLarge => "request_too_large",
            Self::ContextTooLong => "context_length_exceeded",
            Self::ContentPolicy => "content_policy_violation",
            Self::RateLimit => "rate_limit_exceeded",
            Self::Overloaded => "server_is_overloaded",
            Self::Timeout => "timeout",
            Self::Internal => "server_error",
        }
    }

    /// What is said when the provider said nothing that can be read.
    const fn sentence(self) -> &'static str {
        match self {
            Self::Billing => "The gateway's account at the provider is used up.",
            Self::RateLimit => "The provider limits the rate of calls.",
            Self::Overloaded => "The provider is overloaded.",
            Self::Timeout => "The provider took too long.",
            Self::Internal => "The provider failed.",
            Self::ContextTooLong => "The prompt does not fit the model's context window.",
            _ => "The provider refused the call.",
        }
    }
}

/// The words on which Claude Code shortens its conversation, with the two counts where the provider gave them.
fn prompt_is_too_long(said: &str) -> String {
    if said.starts_with("prompt is too long") {
        return said.to_owned();
    }
    let digits = said.split(|letter: char| !letter.is_ascii_digit() && letter != ',');
    let mut counts: Vec<u64> = digits
        .filter_map(|digits| digits.replace(',', "").parse().ok())
        .filter(|count| *count >= 1000)
        .collect();
    counts.sort_unstable();
    match (counts.first(), counts.last()) {
        (Some(most), Some(asked)) if most < asked => format!("prompt is too long: {asked} tokens > {most} maximum"),
        _ => format!("prompt is too long: {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_that_does_not_fit_is_said_in_the_words_claude_code_reads() {
        let openai =
            "This model's maximum context length is 128,000 tokens. However, your messages resulted in 130007 tokens.";
        assert_eq!(
            prompt_is_too_long(openai),
            "prompt is too long: 130007 tokens > 128000 maximum"
        );
        let gemini = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).";
        assert_eq!(
            prompt_is_too_long(gemini),
            "prompt is too long: 1200000 tokens > 1048576 maximum"
        );
        assert_eq!(
            prompt_is_too_long("It does not fit."),
            "prompt is too long: It does not fit."
        );
    }
}
