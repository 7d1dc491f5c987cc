//! How providers say that a request is too long for a model: the one verdict on a request that another model may not
//! share.

use airside_protocols::{Family, top_level_member, top_level_text};

/// True if this refusal says that the input does not fit the model's context window.
///
/// `OpenAI` and those that follow it have a code for it. Anthropic and Gemini have not: theirs is a sentence, whose
/// beginning is part of what their clients rely on (Claude Code compacts on it).
#[must_use]
pub fn is_too_long(family: Family, status: u16, body: &[u8]) -> bool {
    if status == 413 {
        return true;
    }
    if status != 400 {
        return false;
    }
    let Some(error) = top_level_member(body, "error").and_then(|range| body.get(range)) else {
        return false;
    };
    let member = |name| top_level_text(error, name).unwrap_or_default();
    match family {
        Family::OpenaiChat | Family::OpenaiResponses => member("code") == "context_length_exceeded",
        Family::Anthropic => member("message").starts_with("prompt is too long"),
        Family::Gemini => {
            let message = member("message");
            message.contains("exceeds the maximum number of tokens")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_familys_words_for_it_are_known() {
        let anthropic = br#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 212000 tokens > 200000 maximum"}}"#;
        let openai = br#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let gemini = br#"{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}"#;
        assert!(is_too_long(Family::Anthropic, 400, anthropic));
        assert!(is_too_long(Family::OpenaiChat, 400, openai));
        assert!(is_too_long(Family::OpenaiResponses, 400, openai));
        assert!(is_too_long(Family::Gemini, 400, gemini));
        assert!(is_too_long(Family::Anthropic, 413, b""));
    }

    #[test]
    fn other_refusals_are_other_refusals() {
        let other = br#"{"error":{"type":"invalid_request_error","message":"max_tokens: prompt is too long","code":"invalid_value"}}"#;
        for family in [
            Family::Anthropic,
            Family::OpenaiChat,
            Family::OpenaiResponses,
            Family::Gemini,
        ] {
            assert!(!is_too_long(family, 400, other), "{family:?}");
            assert!(!is_too_long(family, 400, b"<html>"));
        }
        assert!(!is_too_long(
            Family::OpenaiChat,
            422,
            br#"{"error":{"code":"context_length_exceeded"}}"#
        ));
    }
}
