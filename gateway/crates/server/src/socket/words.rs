//! The gateway's own events: errors as the dialect says them, and the answers that no provider gives.

use airside_protocols::{object_members, top_level_member, top_level_text};
use http::header::{HeaderMap, RETRY_AFTER};
use serde_json::{Map, Value, json};

use crate::call::{CALL_ID, Told};
use crate::reply::Refusal;

/// What an error of a provider counts as when it names no status.
const THEIR_STATUS: u16 = 500;

/// A refusal before there was a call.
pub(super) fn refused(refusal: &Refusal) -> String {
    let error = json!({"type": "invalid_request_error", "code": refusal.code, "message": refusal.message,
                       "param": null});
    json!({"type": "error", "status": refusal.status, "error": error}).to_string()
}

/// The response that a caller wants to continue is not the last one of this socket.
pub(super) fn previous_response_not_found(id: &str) -> String {
    let message = format!("Previous response with id '{id}' not found.");
    let error = json!({"type": "invalid_request_error", "code": "previous_response_not_found", "message": message,
                       "param": "previous_response_id"});
    json!({"type": "error", "status": 400, "error": error}).to_string()
}

/// The socket is as old as it may become.
pub(super) fn connection_limit_reached(minutes: u64) -> String {
    let message = format!(
        "Responses websocket connection limit reached ({minutes} minutes). Create a new websocket connection to continue."
    );
    let error = json!({"type": "invalid_request_error", "code": "websocket_connection_limit_reached",
                       "message": message, "param": null});
    json!({"type": "error", "status": 400, "error": error}).to_string()
}

/// An answer over HTTP that was no success: its error, whoever's words they are.
pub(super) fn unsuccessful(status: u16, headers: &HeaderMap, beside: &Told, body: &[u8]) -> String {
    let parsed = serde_json::from_slice::<Value>(body).ok();
    let said = parsed
        .as_ref()
        .and_then(|body| body.get("error"))
        .filter(|error| error.is_object());
    let error = said.cloned().unwrap_or_else(|| {
        let message = String::from_utf8_lossy(body.get(..body.len().min(2000)).unwrap_or_default());
        json!({"type": "server_error", "code": null, "message": message, "param": null})
    });
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let told = [(RETRY_AFTER.as_str(), retry_after), (CALL_ID, beside.get(CALL_ID))];
    let told = told
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    let told: Map<String, Value> = told.collect();
    json!({"type": "error", "status": status, "error": error, "headers": told}).to_string()
}

/// An error event of a stream over HTTP in the form that is read on a socket: with a status and an `error` object.
pub(super) fn in_stream(data: &[u8]) -> String {
    let event = serde_json::from_slice::<Map<String, Value>>(data).unwrap_or_default();
    let nested = event.get("error").and_then(Value::as_object);
    let field = |name: &str| nested.unwrap_or(&event).get(name).cloned().unwrap_or(Value::Null);
    let (code, message) = (field("code"), field("message"));
    let status = event
        .get("status")
        .and_then(Value::as_u64)
        .filter(|status| (400..600).contains(status));
    let status = status.unwrap_or_else(|| u64::from(status_of(code.as_str().unwrap_or_default())));
    let kind = match nested.and_then(|error| error.get("type")) {
        Some(kind) => kind.clone(),
        None => "server_error".into(),
    };
    let error = json!({"type": kind, "code": code, "message": message, "param": field("param")});
    let mut said = json!({"type": "error", "status": status, "error": error});
    if let (Some(number), Some(said)) = (event.get("sequence_number"), said.as_object_mut()) {
        said.insert("sequence_number".to_owned(), number.clone());
    }
    said.to_string()
}

/// The provider's answer ended without an end.
pub(super) fn cut() -> String {
    let error = json!({"type": "server_error", "code": "provider_cut", "param": null,
                       "message": "The provider broke off in the middle of its answer."});
    json!({"type": "error", "status": 502, "error": error}).to_string()
}

fn status_of(code: &str) -> u16 {
    match code {
        "provider_cut" => 502,
        "provider_timeout" => 504,
        code if code.contains("rate_limit") => 429,
        _ => THEIR_STATUS,
    }
}

/// A response that was asked for without generating anything.
pub(super) fn prewarmed(id: &str, model: &str, created_at: i64) -> [String; 2] {
    let response = |status: &str| {
        json!({"id": id, "object": "response", "created_at": created_at, "status": status, "model": model,
               "output": [], "error": null, "incomplete_details": null, "usage": null})
    };
    let mut done = response("completed");
    if let Some(done) = done.as_object_mut() {
        let usage = json!({"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
                           "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0});
        done.insert("usage".to_owned(), usage);
    }
    [
        json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress")}).to_string(),
        json!({"type": "response.completed", "sequence_number": 1, "response": done}).to_string(),
    ]
}

/// The events of an answer that came as one document, as a provider does that cannot stream.
pub(super) fn told_at_once(document: &[u8]) -> Option<Vec<String>> {
    let text = std::str::from_utf8(document).ok()?;
    object_members(document)?;
    top_level_text(document, "id")?;
    let output = top_level_member(document, "output").and_then(|range| document.get(range));
    let elements = output.and_then(airside_protocols::array_elements).unwrap_or_default();
    let items = elements
        .into_iter()
        .filter_map(|range| std::str::from_utf8(output?.get(range)?).ok());
    let mut events = Vec::new();
    for (index, item) in items.enumerate() {
        events.push(format!(
            r#"{{"type":"response.output_item.done","sequence_number":{index},"output_index":{index},"item":{item}}}"#
        ));
    }
    let kind = match top_level_text(document, "status").as_deref() {
        Some("incomplete") => "response.incomplete",
        Some("failed") => "response.failed",
        _ => "response.completed",
    };
    let number = events.len();
    events.push(format!(
        r#"{{"type":"{kind}","sequence_number":{number},"response":{text}}}"#
    ));
    Some(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_error_inside_a_stream_gets_what_a_socket_needs() {
        let flat = br#"{"type":"error","sequence_number":4,"code":"provider_cut","message":"no","param":null}"#;
        let error = json!({"type": "server_error", "code": "provider_cut", "message": "no", "param": null});
        assert_eq!(
            read(&in_stream(flat)),
            json!({"type": "error", "status": 502, "sequence_number": 4, "error": error})
        );
        let nested = br#"{"type":"error","error":{"type":"t","code":"rate_limit_exceeded","message":"slow"}}"#;
        let said = read(&in_stream(nested));
        assert_eq!((&said["status"], &said["error"]["type"]), (&json!(429), &json!("t")));
        assert_eq!(read(&in_stream(b"garbage"))["status"], 500);
    }

    #[test]
    fn an_error_over_http_keeps_its_words_and_its_wait() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let said = read(&unsuccessful(
            429,
            &headers,
            &Told::id("call_1"),
            br#"{"error":{"message":"theirs","code":"c"}}"#,
        ));
        assert_eq!(said["error"]["message"], "theirs");
        assert_eq!(
            (&said["status"], &said["headers"]),
            (&json!(429), &json!({"retry-after": "7", "x-airside-call-id": "call_1"}))
        );
        assert_eq!(
            read(&unsuccessful(502, &headers, &Told::default(), b"<html>"))["error"]["message"],
            "<html>"
        );
    }

    #[test]
    fn a_document_is_told_as_events() {
        let events = told_at_once(br#"{"id":"r","status":"incomplete","output":[{"a":1},{"b":2}]}"#).unwrap();
        assert_eq!(events.len(), 3);
        assert_eq!(read(&events[1])["item"], json!({"b": 2}));
        assert_eq!(read(&events[2])["type"], "response.incomplete");
        assert!(told_at_once(b"{}").is_none() && told_at_once(b"\xff").is_none());
    }
}
