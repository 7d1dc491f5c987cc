//! An error of the gateway's own, said in the dialect of the front door it is said at.

use serde_json::{Value, json};

use crate::family::Family;

/// What to say.
#[derive(Debug, Clone, Copy)]
pub struct ErrorReply<'a> {
    /// The HTTP status, which also chooses the dialect's error type.
    pub status: u16,
    /// The stable code for programs.
    pub code: &'a str,
    /// The sentence for people.
    pub message: &'a str,
    /// The id of the call, also in the journal.
    pub request_id: &'a str,
}

/// The body of an error response.
#[must_use]
pub fn error_body(family: Family, reply: ErrorReply<'_>) -> Vec<u8> {
    to_vec(&error_value(family, reply))
}

/// The event that ends a stream which can not go on, after whole events only.
#[must_use]
pub fn stream_error(family: Family, reply: ErrorReply<'_>, next_sequence: u64) -> Vec<u8> {
    let (name, payload) = match family {
        Family::Anthropic => (Some("error"), error_value(family, reply)),
        Family::OpenaiChat | Family::Gemini => (None, error_value(family, reply)),
        Family::OpenaiResponses => (
            Some("error"),
            json!({"type": "error", "sequence_number": next_sequence, "code": reply.code,
                   "message": reply.message, "param": null}),
        ),
    };
    let mut event = Vec::with_capacity(256);
    if let Some(name) = name {
        event.extend_from_slice(b"event: ");
        event.extend_from_slice(name.as_bytes());
        event.push(b'\n');
    }
    event.extend_from_slice(b"data: ");
    event.extend_from_slice(&to_vec(&payload));
    event.extend_from_slice(b"\n\n");
    event
}

fn error_value(family: Family, reply: ErrorReply<'_>) -> Value {
    match family {
        Family::Anthropic => json!({
            "type": "error",
            "error": {"type": anthropic_type(reply.status), "message": reply.message, "code": reply.code},
            "request_id": reply.request_id,
        }),
        Family::OpenaiResponses | Family::OpenaiChat => json!({
            "error": {"message": reply.message, "type": openai_type(reply.status), "param": null, "code": reply.code},
        }),
        Family::Gemini => json!({
            "error": {"code": reply.status, "message": reply.message, "status": gemini_status(reply.status),
                      "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reply.code}]},
        }),
    }
}

/// The canonical codes of Google's API design guide, "Errors".
const fn gemini_status(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        402 | 429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500..=599 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// The types of Anthropic's API reference, "Errors".
const fn anthropic_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500..=599 => "api_error",
        _ => "invalid_request_error",
    }
}

const fn openai_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "insufficient_quota",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        500..=599 => "server_error",
        _ => "invalid_request_error",
    }
}

fn to_vec(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
