//! Failures that a provider says inside a success.

use serde_json::{Value, json};

use crate::caller::Reply;
use crate::place::{Place, attempts, snapshot};
use crate::provider::{Act, MESSAGE, Provider, START, json, stream, whole_stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;
const STREAM: &str = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[]}"#;

/// For those that are translated, which must say something.
const SAID: &str = r#"{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
const SAID_STREAM: &str = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

fn error_event(kind: &str, message: &str) -> String {
    let event = json!({"type": "error", "error": {"type": kind, "message": message}});
    format!("event: error\ndata: {event}\n\n")
}

/// What comes of a call whose first provider does this, while a second one would answer.
fn asked(first: Vec<Act>, second: Vec<Act>, request: &str) -> (Reply, Value, usize) {
    let (first, second) = (Provider::always(first), Provider::always(second));
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    let reply = place.post("/v1/messages", request);
    let record = place.journal(1).remove(0);
    (reply, record, second.received().len())
}

#[test]
fn a_document_that_is_no_answer_is_not_passed_on_as_one() {
    for (document, reason) in [
        (
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#,
            "rate_limited",
        ),
        (
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
            "failed_in_stream",
        ),
        (r#"{"error":{"code":"invalid_api_key"}}"#, "credential_rejected"),
        ("{}", "garbage"),
        (r#"{"foo":1}"#, "garbage"),
        (r#"{"type":"message","content":[}"#, "garbage"),
    ] {
        let (reply, record, _) = asked(json(200, "", document), json(200, "", MESSAGE), REQUEST);
        assert_eq!((reply.status, reply.text()), (200, MESSAGE.to_owned()), "{document}");
        assert_eq!(
            attempts(&record),
            [format!("a failed {reason}"), "b answered -".into()],
            "{document}"
        );
    }
}

#[test]
fn a_document_that_is_a_verdict_says_so_by_its_status() {
    let verdict = r#"{"type":"error","error":{"type":"invalid_request_error","message":"their own words"}} "#;
    let (reply, record, others) = asked(json(200, "", verdict), json(200, "", MESSAGE), REQUEST);
    assert_eq!((reply.status, reply.text().as_str(), others), (400, verdict, 0));
    assert_eq!(
        (&record["outcome"], &record["cost_nanousd"], attempts(&record)),
        (&json!("failed"), &json!(0), vec!["a refused -".to_owned()])
    );
}

#[test]
fn an_event_means_what_it_would_as_a_status() {
    for (kind, reason) in [
        ("overloaded_error", "failed_in_stream"),
        ("api_error", "failed_in_stream"),
        ("rate_limit_error", "rate_limited"),
        ("authentication_error", "credential_rejected"),
    ] {
        let failing = format!("{START}{}", error_event(kind, "no"));
        let (reply, record, _) = asked(stream(&failing), stream(&whole_stream()), STREAM);
        assert_eq!((reply.status, reply.text()), (200, whole_stream()), "{kind}");
        assert_eq!(
            attempts(&record),
            [format!("a failed {reason}"), "b answered -".into()],
            "{kind}"
        );
    }
}

#[test]
fn a_verdict_in_a_stream_is_passed_on_as_it_came_and_asked_of_nobody_else() {
    let failing = format!("{START}{}", error_event("invalid_request_error", "their own words"));
    let (reply, record, others) = asked(stream(&failing), stream(&whole_stream()), STREAM);
    assert_eq!((reply.status, reply.text(), others), (200, failing, 0));
    assert_eq!(
        (&record["outcome"], &record["cost_nanousd"], attempts(&record)),
        (&json!("failed"), &json!(0), vec!["a refused -".to_owned()])
    );
}

#[test]
fn verdicts_on_one_callers_requests_leave_the_provider_to_all_others() {
    let too_long = format!(
        "{START}{}",
        error_event("invalid_request_error", "prompt is too long: 9 > 8")
    );
    let mut acts = vec![stream(&too_long); 8];
    acts.push(stream(&whole_stream()));
    let (first, second) = (Provider::new(acts), Provider::always(stream(&whole_stream())));
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    for _ in 0..9 {
        assert_eq!(place.post("/v1/messages", STREAM).status, 200);
    }
    assert_eq!((first.received().len(), second.received().len()), (9, 0));
}

#[test]
fn what_is_too_long_for_one_is_asked_of_a_wider_one() {
    let too_long = format!(
        "{START}{}",
        error_event("invalid_request_error", "prompt is too long: 9 > 8")
    );
    let (first, second) = (
        Provider::always(stream(&too_long)),
        Provider::always(stream(&whole_stream())),
    );
    let mut unlike = snapshot("anthropic", &[&first, &second]);
    unlike["models"][0]["route"][0]["to"][0]["max_input_tokens"] = 900.into();
    unlike["models"][0]["route"][0]["to"][1]["max_input_tokens"] = 2_000.into();
    let place = Place::new(&unlike);
    assert_eq!(place.post("/v1/messages", STREAM).text(), whole_stream());
    assert_eq!(
        attempts(&place.journal(1)[0]),
        ["a failed context_window", "b answered -"]
    );
}

#[test]
fn a_caller_of_another_family_reads_the_meaning_in_its_own_words() {
    let failed = |code: &str, message: &str| {
        let error = json!({"code": code, "message": message});
        let event = json!({"type": "response.failed", "response": {"status": "failed", "error": error}});
        format!(
            "event: response.created\ndata: {{\"type\":\"response.created\"}}\n\nevent: response.failed\ndata: {event}\n\n"
        )
    };
    for (code, message, status, kind, words) in [
        (
            "context_length_exceeded",
            "Your input exceeds the context window of this model.",
            400,
            "invalid_request_error",
            "prompt is too long",
        ),
        (
            "rate_limit_exceeded",
            "Slow down.",
            429,
            "rate_limit_error",
            "Slow down.",
        ),
        ("server_is_overloaded", "Busy.", 529, "overloaded_error", "Busy."),
    ] {
        let provider = Provider::always(stream(&failed(code, message)));
        let place = Place::new(&snapshot("openai-responses", &[&provider]));
        let reply = place.post("/v1/messages", SAID_STREAM);
        assert_eq!(reply.status, status, "{}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let error = reply.json()["error"].clone();
        assert_eq!(error["type"], kind);
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
}

#[test]
fn a_translated_stream_never_becomes_a_document() {
    let document = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let provider = Provider::always(json(200, "", document));
    let place = Place::new(&snapshot("openai-chat", &[&provider]));
    let reply = place.post("/v1/messages", SAID_STREAM);
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(attempts(&place.journal(1)[0]), ["a failed garbage"]);
    assert_eq!(place.post("/v1/messages", SAID).status, 200);
}
