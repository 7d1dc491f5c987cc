//! What happens when a provider fails before it has said anything.

use std::time::Instant;

use serde_json::json;

use crate::place::{Place, attempts, snapshot};
use crate::provider::{Act, DELTA, MESSAGE, Provider, START, chunk, end, events_head, json, stream, whole_stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;
const STREAM: &str = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[]}"#;

fn pair(first: Vec<Act>, second: Vec<Act>) -> (Provider, Provider, serde_json::Value) {
    let (first, second) = (Provider::always(first), Provider::always(second));
    let both = snapshot("anthropic", &[&first, &second]);
    (first, second, both)
}

/// The first provider does this; the second answers. Returns the attempts.
fn falls_back(first: Vec<Act>, request: &str) -> Vec<String> {
    let answer = if request == STREAM {
        stream(&whole_stream())
    } else {
        json(200, "", MESSAGE)
    };
    let (_first, second, mut both) = pair(first, answer);
    both["providers"][0]["timeouts"] = json!({"connect_ms": 2000, "first_byte_ms": 400, "idle_ms": 300});
    let place = Place::new(&both);
    let reply = place.post("/v1/messages", request);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        reply.text(),
        if request == STREAM {
            whole_stream()
        } else {
            MESSAGE.to_owned()
        }
    );
    assert_eq!(second.received().len(), 1);
    let record = place.journal(1).remove(0);
    assert_eq!(
        (&record["outcome"], &record["provider"]),
        (&json!("completed"), &json!("b"))
    );
    attempts(&record)
}

#[test]
fn the_next_target_is_asked_after_every_failure_that_is_the_providers() {
    for (status, reason) in [
        (429, "rate_limited"),
        (500, "server_error"),
        (503, "server_error"),
        (529, "server_error"),
        (401, "credential_rejected"),
        (403, "credential_rejected"),
        (302, "redirected"),
    ] {
        let found = falls_back(json(status, "location: http://127.0.0.1:1/\r\n", "{}"), REQUEST);
        assert_eq!(found, [format!("a failed {reason}"), "b answered -".into()], "{status}");
    }
    assert_eq!(falls_back(vec![Act::Close], REQUEST)[0], "a failed connect");
    assert_eq!(falls_back(vec![Act::Silence], REQUEST)[0], "a failed timeout");
}

#[test]
fn a_success_that_is_none_is_a_failure() {
    let in_stream = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    for (script, reason) in [
        (vec![events_head(), end()], "empty"),
        (stream(START), "empty"),
        (stream("<html>not events"), "garbage"),
        (stream(&format!("{START}{in_stream}")), "failed_in_stream"),
        (vec![events_head(), chunk(START), Act::Close], "cut"),
        (vec![events_head(), chunk(START), Act::Silence], "stalled"),
        (json(200, "", ""), "empty"),
        (json(200, "", "<html>"), "garbage"),
        (json(200, "content-encoding: gzip\r\n", MESSAGE), "garbage"),
    ] {
        let found = falls_back(script, STREAM);
        assert_eq!(found, [format!("a failed {reason}"), "b answered -".into()]);
    }
    let half = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"half\":";
    let found = falls_back(vec![Act::Send(half.as_bytes().to_vec()), Act::Close], REQUEST);
    assert_eq!(found[0], "a failed cut");
}

#[test]
fn a_provider_that_cannot_be_reached_is_passed_over() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", gone.local_addr().unwrap());
    drop(gone);
    let (_, second, mut both) = pair(vec![Act::Close], json(200, "", MESSAGE));
    both["providers"][0]["base_url"] = url.into();
    let place = Place::new(&both);
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert_eq!(second.received().len(), 1);
}

#[test]
fn a_verdict_on_the_request_is_passed_on_unmodified() {
    for status in [400, 404, 413, 422] {
        let theirs = r#"{"type":"error","error":{"type":"invalid_request_error","message":"their very own words"}} "#;
        let (_first, second, both) = pair(json(status, "x-their: own\r\n", theirs), json(200, "", MESSAGE));
        let place = Place::new(&both);
        let reply = place.post("/v1/messages", REQUEST);
        assert_eq!(
            (reply.status, reply.text().as_str(), reply.header("x-their")),
            (status, theirs, Some("own"))
        );
        assert!(second.received().is_empty());
        let record = &place.journal(1)[0];
        assert_eq!(
            (&record["outcome"], &record["cost_nanousd"]),
            (&json!("failed"), &json!(0))
        );
        assert_eq!(attempts(record), ["a refused -"]);
    }
}

#[test]
fn the_last_providers_words_are_passed_on_when_all_failed() {
    let theirs = r#"{"type":"error","error":{"type":"rate_limit_error","message":"later"}}"#;
    let (_a, _b, both) = pair(json(500, "", "{}"), json(429, "retry-after: 77\r\n", theirs));
    let place = Place::new(&both);
    let reply = place.post("/v1/messages", REQUEST);
    assert_eq!(
        (reply.status, reply.text().as_str(), reply.header("retry-after")),
        (429, theirs, Some("77"))
    );
    assert_eq!(place.journal(1)[0]["outcome"], "failed");
}

#[test]
fn our_bad_credential_never_looks_like_the_callers() {
    let (_a, _b, both) = pair(json(401, "", r#"{"secret":"theirs"}"#), json(403, "", "{}"));
    let reply = Place::new(&both).post("/v1/messages", REQUEST);
    assert_eq!(
        (reply.status, reply.json()["error"]["code"].clone()),
        (502, json!("provider_credential_rejected"))
    );
    assert!(!reply.text().contains("theirs"));
}

#[test]
fn a_short_wait_is_waited_out_when_nobody_else_is_left() {
    let provider = Provider::new(vec![json(429, "retry-after-ms: 300\r\n", "{}"), json(200, "", MESSAGE)]);
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let began = Instant::now();
    assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    assert!(began.elapsed().as_millis() >= 300);
    assert_eq!(
        attempts(&place.journal(1)[0]),
        ["a failed rate_limited", "a answered -"]
    );
}

#[test]
fn a_long_wait_is_the_callers_and_no_blind_retry_is_made() {
    let provider = Provider::always(json(429, "retry-after: 3600\r\n", "{}"));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let reply = place.post("/v1/messages", REQUEST);
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3600")));
    assert_eq!(provider.received().len(), 1);
}

#[test]
fn a_provider_that_cools_down_is_skipped_while_there_is_another() {
    let (first, second, both) = pair(json(429, "retry-after: 3600\r\n", "{}"), json(200, "", MESSAGE));
    let place = Place::new(&both);
    for _ in 0..3 {
        assert_eq!(place.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!((first.received().len(), second.received().len()), (1, 3));
    assert_eq!(
        attempts(&place.journal(3)[2]),
        ["a skipped cooling_down", "b answered -"]
    );
}

#[test]
fn a_kept_connection_that_the_provider_closed_is_replaced() {
    let provider = Provider::always([json(200, "", MESSAGE), vec![Act::Close]].concat());
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    for _ in 0..5 {
        assert_eq!(caller.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!(provider.received().len(), 5);
    assert_eq!(
        place
            .journal(5)
            .iter()
            .filter(|record| attempts(record).len() == 1)
            .count(),
        5
    );
}

#[test]
fn connections_are_kept_between_calls() {
    let provider = Provider::always(json(200, "", MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    for _ in 0..10 {
        assert_eq!(caller.post("/v1/messages", REQUEST).status, 200);
    }
    assert_eq!(provider.connections(), 1);
}

#[test]
fn held_events_come_first_and_once() {
    let (_a, _b, both) = pair(
        stream(START),
        vec![events_head(), chunk(START), chunk(DELTA), Act::Close],
    );
    let text = Place::new(&both).post("/v1/messages", STREAM).text();
    assert_eq!(text.matches("message_start\ndata").count(), 1);
    assert!(text.starts_with(&format!("{START}{DELTA}")));
}

#[test]
fn what_another_family_sealed_never_reaches_a_provider() {
    let (first, _second, mut both) = pair(json(200, "", MESSAGE), json(200, "", MESSAGE));
    both["providers"][1]["protocol"] = "gemini".into();
    let place = Place::new(&both);
    // As answers translated from Gemini left them with the caller.
    let (sealed, tagged) = ("airside:gemini:ImMybG4i", "call_1__airs_Z2VtaW5pOiJjMmxuIg");
    let request = format!(
        r#"{{"max_tokens":5,"messages":[{{"role":"assistant","content":[{{"type":"thinking","signature":"{sealed}"}},{{"type":"tool_use","id":"{tagged}"}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{tagged}"}}]}}],"model":"m"}}"#
    );
    let reply = place.post("/v1/messages", &request);
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-airside-dropped"), Some("thinking"));
    let received = String::from_utf8(first.received()[0].body.clone()).unwrap();
    assert_eq!(
        received,
        r#"{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"call_1"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1"}]}],"model":"real/a"}"#
    );
}
