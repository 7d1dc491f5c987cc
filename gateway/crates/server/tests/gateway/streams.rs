//! Streams on their way to the caller.

use serde_json::{Value, json};

use crate::place::{Place, attempts, snapshot};
use crate::provider::{Act, DELTA, Gate, Provider, START, STOP, chunk, end, events_head, stream, whole_stream};

const STREAM: &str = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[{"content":"words of the caller"}]}"#;

fn place_with(script: Vec<Act>) -> (Provider, Place) {
    place_of("anthropic", script)
}

fn place_of(protocol: &str, script: Vec<Act>) -> (Provider, Place) {
    let provider = Provider::always(script);
    let mut one = snapshot(protocol, &[&provider]);
    one["providers"][0]["timeouts"] = json!({"connect_ms": 2000, "first_byte_ms": 5000, "idle_ms": 400});
    (provider, Place::new(&one))
}

fn counts(record: &Value) -> (u64, u64, &str) {
    let usage = &record["usage"];
    (
        usage["input_uncached"].as_u64().unwrap(),
        usage["output"].as_u64().unwrap(),
        record["usage_source"].as_str().unwrap(),
    )
}

#[test]
fn an_event_reaches_the_caller_before_the_next_is_there() {
    let gate = Gate::default();
    let script = vec![
        events_head(),
        chunk(START),
        chunk(DELTA),
        Act::Wait(gate.clone()),
        chunk(STOP),
        end(),
    ];
    let (_provider, place) = place_with(script);
    let mut caller = place.caller();
    caller.send("/v1/messages", STREAM.as_bytes());
    caller.wait_for("hello world!");
    gate.open();
    let reply = caller.reply();
    assert_eq!(
        (reply.text(), reply.header("request-id")),
        (whole_stream(), Some("req_theirs"))
    );
    let record = &place.journal(1)[0];
    assert_eq!(counts(record), (20, 7, "provider"));
    assert_eq!(record["cost_nanousd"], 20 * 1000 + 7 * 2000);
    assert_eq!(
        (&record["stream"], &record["outcome"]),
        (&json!(true), &json!("completed"))
    );
}

#[test]
fn a_start_without_content_is_passed_on_when_patience_ends() {
    let gate = Gate::default();
    let script = vec![
        events_head(),
        chunk(START),
        Act::Wait(gate.clone()),
        chunk(&[DELTA, STOP].concat()),
        end(),
    ];
    let provider = Provider::always(script);
    let mut patient = snapshot("anthropic", &[&provider]);
    patient["limits"] = json!({"startup_hold_ms": 100});
    let place = Place::new(&patient);
    let mut caller = place.caller();
    caller.send("/v1/messages", STREAM.as_bytes());
    caller.wait_for("message_start");
    assert!(!caller.has_seen("hello"));
    gate.open();
    assert_eq!(caller.reply().text(), whole_stream());
}

#[test]
fn streams_cut_at_every_byte_pass_unchanged() {
    let whole = whole_stream().replace('\n', "\r\n");
    let scripts = (0..whole.len()).step_by(7).map(|at| {
        let (before, after) = whole.split_at(at.max(1));
        vec![events_head(), chunk(before), chunk(after), end()]
    });
    let scripts: Vec<_> = scripts.collect();
    let count = scripts.len();
    let provider = Provider::new(scripts);
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    for _ in 0..count {
        assert_eq!(caller.post("/v1/messages", STREAM).text(), whole);
    }
    assert!(
        place
            .journal(count)
            .iter()
            .all(|record| counts(record) == (20, 7, "provider"))
    );
}

#[test]
fn a_stream_that_breaks_off_ends_with_an_error_in_its_dialect() {
    let responses_start = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"delta\":\"hello world!\"}\n\n";
    let chat_start = "data: {\"choices\":[{\"delta\":{\"content\":\"hello world!\"}}]}\n\n";
    let messages_start = [START, DELTA].concat();
    for (protocol, path, start) in [
        ("anthropic", "/v1/messages", messages_start.as_str()),
        ("openai-responses", "/v1/responses", responses_start),
        ("openai-chat", "/v1/chat/completions", chat_start),
    ] {
        for ending in [vec![Act::Close], vec![end()], vec![Act::Silence]] {
            let unfinished = "data: {\"unfinished";
            let script = [vec![events_head(), chunk(start), chunk(unfinished)], ending].concat();
            let (_provider, place) = place_of(protocol, script);
            let text = place.post(path, STREAM).text();
            let error = text.strip_prefix(start).expect("what was whole is passed on");
            assert!(!error.contains("unfinished") && !error.contains("[DONE]"), "{error}");
            let data = error.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let payload: Value = serde_json::from_str(data).unwrap();
            match protocol {
                "anthropic" => assert_eq!(
                    (&payload["type"], &payload["error"]["type"]),
                    (&json!("error"), &json!("api_error"))
                ),
                "openai-responses" => assert_eq!(
                    (&payload["type"], &payload["sequence_number"]),
                    (&json!("error"), &json!(5))
                ),
                _ => assert_eq!(payload["error"]["code"], "provider_cut"),
            }
            let record = &place.journal(1)[0];
            assert_eq!(
                (&record["outcome"], &record["error_code"]),
                (&json!("cut"), &json!("provider_cut"))
            );
            let (input, output, source) = counts(record);
            assert!(source == "estimated" && input > 0 && output >= 4, "{record}");
        }
    }
}

#[test]
fn a_failure_the_provider_says_itself_after_content_is_passed_on_and_recorded() {
    let failure = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let text = [START, DELTA, failure].concat();
    let (_provider, place) = place_with(stream(&text));
    assert_eq!(place.post("/v1/messages", STREAM).text(), text);
    let record = &place.journal(1)[0];
    assert_eq!(record["outcome"], "cut");
    assert_eq!(attempts(record), ["a cut failed_in_stream"]);
}

#[test]
fn a_caller_that_hangs_up_cancels_the_provider_and_is_billed_for_what_was_seen() {
    let (provider, place) = place_with(vec![events_head(), chunk(START), chunk(DELTA), Act::Silence]);
    let mut caller = place.caller();
    caller.send("/v1/messages", STREAM.as_bytes());
    caller.wait_for("hello world!");
    drop(caller);
    provider.wait_for_hang_ups(1);
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], &record["status"]),
        (&json!("cancelled"), &json!(200))
    );
    assert_eq!(counts(record), (20, 4, "estimated"));
}

#[test]
fn a_caller_that_hangs_up_before_the_answer_is_billed_for_the_question() {
    let (provider, place) = place_with(vec![Act::Silence]);
    let mut caller = place.caller();
    caller.send("/v1/messages", STREAM.as_bytes());
    provider.wait_for_requests(1);
    drop(caller);
    provider.wait_for_hang_ups(1);
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], &record["status"]),
        (&json!("cancelled"), &json!(499))
    );
    assert_eq!(counts(record), (STREAM.len().div_ceil(3) as u64, 0, "estimated"));
    assert_eq!(attempts(record), ["a cancelled -"]);
}

#[test]
fn a_caller_that_hangs_up_at_the_last_event_has_the_whole_answer() {
    let (provider, place) = place_with(vec![events_head(), chunk(&whole_stream()), Act::Silence]);
    let mut caller = place.caller();
    caller.send("/v1/messages", STREAM.as_bytes());
    caller.wait_for("message_stop");
    drop(caller);
    provider.wait_for_hang_ups(1);
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], counts(record)),
        (&json!("completed"), (20, 7, "provider"))
    );
}

#[test]
fn a_chat_stream_without_usage_is_estimated_and_says_so() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"hello world!\"}}]}\n\ndata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let (provider, place) = place_of("openai-chat", stream(text));
    assert_eq!(place.post("/v1/chat/completions", STREAM).text(), text);
    assert_eq!(provider.received()[0].line, "POST /v1/chat/completions HTTP/1.1");
    let record = &place.journal(1)[0];
    assert_eq!(record["outcome"], "completed");
    assert_eq!(counts(record), (STREAM.len().div_ceil(3) as u64, 4, "estimated"));
}

#[test]
fn a_large_document_passes_unchanged_and_is_counted() {
    let body = format!(
        r#"{{"content":"{}","usage":{{"input_tokens":5,"output_tokens":6}}}}"#,
        "z".repeat(300_000)
    );
    let (_provider, place) = place_with(crate::provider::json(200, "", &body));
    let reply = place.post("/v1/messages", r#"{"model":"m","max_tokens":5}"#);
    assert_eq!(
        (reply.text(), reply.header("content-length")),
        (body.clone(), Some(body.len().to_string().as_str()))
    );
    assert_eq!(counts(&place.journal(1)[0]), (5, 6, "provider"));
}

#[test]
fn a_large_document_that_breaks_off_is_never_a_success() {
    let half = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n{{\"a\":\"{}",
        "z".repeat(200_000)
    );
    let (_provider, place) = place_with(vec![Act::Send(half.into_bytes()), Act::Close]);
    let reply = place.post("/v1/messages", r#"{"model":"m","max_tokens":5}"#);
    assert!(!reply.is_whole);
    assert_eq!(place.journal(1)[0]["outcome"], "cut");
}

#[test]
fn an_event_without_end_is_cut_off_and_memory_is_bounded() {
    let mut script = vec![events_head(), chunk(&[START, DELTA].concat())];
    script.extend((0..20).map(|_| chunk(&"x".repeat(100_000))));
    let (_provider, place) = place_with(script);
    let text = place.post("/v1/messages", STREAM).text();
    assert!(text.contains("provider_cut") && text.len() < 2_000);
    assert_eq!(attempts(&place.journal(1)[0]), ["a cut garbage"]);
}
