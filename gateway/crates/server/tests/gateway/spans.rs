//! Spans that a collector gets of calls.

use std::time::Instant;

use serde_json::{Value, json};

use crate::place::{KEY, PATIENCE, Place, snapshot};
use crate::provider::{MESSAGE, Provider, json as answer, stream, whole_stream};

const REQUEST: &str = r#"{"model":"m","max_tokens":5,"messages":[]}"#;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn ask(place: &Place, headers: &str, body: &str) -> u16 {
    let mut caller = place.caller();
    caller.send_with(
        "/v1/messages",
        &format!("authorization: Bearer {KEY}\r\n{headers}"),
        body.as_bytes(),
    );
    caller.reply().status
}

/// All spans a collector was sent, once there are so many.
fn spans(collector: &Provider, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let received = collector.received();
        let bodies = received
            .iter()
            .map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
        let found: Vec<Value> = bodies
            .flat_map(|body| {
                body["resourceSpans"][0]["scopeSpans"][0]["spans"]
                    .as_array()
                    .unwrap()
                    .clone()
            })
            .collect();
        if found.len() >= count {
            assert_eq!(found.len(), count);
            return found;
        }
        assert!(Instant::now() < deadline, "only {} spans came", found.len());
        std::thread::yield_now();
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    attributes
        .iter()
        .find(|attribute| attribute["key"] == key)
        .map_or(&Value::Null, |attribute| &attribute["value"])
}

#[test]
fn a_call_is_a_span_below_its_callers_and_above_its_providers() {
    let collector = Provider::always(answer(200, "", "{}"));
    let (broken, serving) = (
        Provider::always(answer(500, "", "{}")),
        Provider::always(answer(200, "", MESSAGE)),
    );
    let place = Place::with_collector(&snapshot("anthropic", &[&broken, &serving]), &collector.url);
    let headers = format!("traceparent: {PARENT}\r\nx-claude-code-session-id: s1\r\n");
    assert_eq!(ask(&place, &headers, REQUEST), 200);
    let span = &spans(&collector, 1)[0];
    assert_eq!(span["traceId"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (&span["parentSpanId"], &span["name"], &span["kind"]),
        (&json!("b7ad6b7169203331"), &json!("chat m"), &json!(3))
    );
    for (key, value) in [
        ("gen_ai.operation.name", json!({"stringValue": "chat"})),
        ("gen_ai.provider.name", json!({"stringValue": "anthropic"})),
        ("gen_ai.request.model", json!({"stringValue": "m"})),
        ("gen_ai.response.model", json!({"stringValue": "real/b"})),
        ("gen_ai.usage.input_tokens", json!({"intValue": "14"})),
        ("gen_ai.usage.output_tokens", json!({"intValue": "3"})),
        ("gen_ai.conversation.id", json!({"stringValue": "s1"})),
        ("gen_ai.agent.name", json!({"stringValue": "fixer"})),
        ("airside.provider", json!({"stringValue": "b"})),
        ("airside.attempts", json!({"intValue": "2"})),
        ("error.type", Value::Null),
    ] {
        assert_eq!(attribute(span, key), &value, "{key}");
    }
    assert_eq!(span["events"].as_array().unwrap().len(), 2);
    assert_eq!(span.get("status"), None);
    let handed_on = format!(
        "00-0af7651916cd43dd8448eb211c80319c-{}-01",
        span["spanId"].as_str().unwrap()
    );
    assert_eq!(serving.received()[0].header("traceparent"), Some(handed_on.as_str()));
    let record = &place.journal(1)[0];
    assert_eq!(record["trace_id"], span["traceId"]);
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    let total_us = record["timings"]["total_us"].as_u64().unwrap();
    assert_eq!(nanos("endTimeUnixNano") - nanos("startTimeUnixNano"), total_us * 1_000);
    assert_eq!(collector.received()[0].line, "POST /v1/traces HTTP/1.1");
    assert_eq!(collector.received()[0].header("x-collector-key"), Some("k1"));
}

#[test]
fn a_failure_is_an_error_and_a_trace_begins_where_there_was_none() {
    let collector = Provider::always(answer(200, "", "{}"));
    let provider = Provider::always(stream(&whole_stream()));
    let place = Place::with_collector(&snapshot("anthropic", &[&provider]), &collector.url);
    assert_eq!(ask(&place, "", r#"{"model":"nope"}"#), 404);
    assert_eq!(ask(&place, "", REQUEST), 200);
    let found = spans(&collector, 2);
    let refused = found.iter().find(|span| span["name"] == "chat nope").unwrap();
    assert_eq!(refused["status"]["code"], 2);
    assert_eq!(
        attribute(refused, "error.type"),
        &json!({"stringValue": "unknown_model"})
    );
    assert_eq!(attribute(refused, "gen_ai.usage.input_tokens"), &Value::Null);
    assert_eq!(refused.get("parentSpanId"), None);
    assert_eq!(
        provider.received()[0].header("traceparent"),
        None,
        "a provider learns of no trace of ours"
    );
}

#[test]
fn a_collector_that_refuses_is_counted_and_in_nobodys_way() {
    let collector = Provider::always(answer(503, "", "{}"));
    let provider = Provider::always(answer(200, "", MESSAGE));
    let mut place = Place::with_collector(&snapshot("anthropic", &[&provider]), &collector.url);
    assert_eq!(ask(&place, "", REQUEST), 200);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = place.caller().get("/metrics", "").text();
        if text.contains("\nairside_gateway_spans_dropped_total 1\n") {
            assert!(text.contains("\nairside_gateway_spans_exported_total 0\n"), "{text}");
            break;
        }
        assert!(Instant::now() < deadline, "{text}");
    }
    assert_eq!(collector.received().len(), 3, "a batch is offered three times");
    assert_eq!(ask(&place, "", REQUEST), 200);
    place.stop();
}
