//! Error responses in another dialect.

use airside_protocols::Family;
use serde_json::Value;

use super::failure::Failure;

/// The status and the body of an error of dialect `from` in dialect `to`: the meaning and the message are the
/// provider's, without anything that looks like a key. A body that cannot be read is told by its status.
#[must_use]
pub fn translate_error(from: Family, to: Family, status: u16, body: &[u8], request_id: &str) -> (u16, Vec<u8>) {
    Failure::of_body(status, body).response(from, to, request_id)
}

/// The status and the body with which a provider would have said at once what it said inside a success: an event of
/// its stream, or a document.
#[must_use]
pub fn failure_as_error(family: Family, said: &[u8], request_id: &str) -> (u16, Vec<u8>) {
    let said: Value = serde_json::from_slice(said).unwrap_or_default();
    let holder = said.get("response").unwrap_or(&said);
    Failure::of_value(None, holder).response(family, family, request_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_inside_a_success_means_what_it_would_as_a_status() {
        for (family, said, status) in [
            (
                Family::OpenaiResponses,
                r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"context_length_exceeded","message":"Too long."}}}"#,
                400,
            ),
            (
                Family::OpenaiResponses,
                r#"{"type":"error","code":"rate_limit_exceeded","message":"Slow down."}"#,
                429,
            ),
            (
                Family::OpenaiResponses,
                r#"{"type":"response.failed","response":{"error":{"code":"invalid_prompt","message":"No."}}}"#,
                400,
            ),
            (
                Family::OpenaiResponses,
                r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"Oh."}}}"#,
                500,
            ),
            (
                Family::Anthropic,
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                529,
            ),
            (Family::OpenaiChat, r#"{"error":{"code":429,"message":"limited"}}"#, 429),
            (
                Family::Gemini,
                r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"busy"}}"#,
                503,
            ),
            (Family::OpenaiChat, "[DONE]", 500),
        ] {
            let (told, body) = failure_as_error(family, said.as_bytes(), "call_1");
            assert_eq!(told, status, "{said}");
            assert!(serde_json::from_slice::<Value>(&body).unwrap().get("error").is_some());
        }
    }
}
