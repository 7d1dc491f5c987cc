//! Calls as spans in OTLP's JSON, by the semantic conventions for generative AI where there is a word for it and under
//! `airside.` where there is none.

use airside_journal::{AttemptOutcome, ModelCall, Outcome};
use serde_json::{Value, json};

use super::EndedCall;

const KIND_CLIENT: u8 = 3;
const STATUS_ERROR: u8 = 2;

/// The body of an export request.
pub(crate) fn export_request(gateway_id: &str, calls: &[EndedCall]) -> Vec<u8> {
    let spans: Vec<Value> = calls.iter().map(span).collect();
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        text("service.name", Some("airside-gateway")),
        text("service.version", Some(version)),
        text("service.instance.id", Some(gateway_id)),
    ];
    let scope = json!({"name": "airside-gateway", "version": version});
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    request.to_string().into_bytes()
}

fn span(call: &EndedCall) -> Value {
    let (record, trace) = (&call.record, &call.trace);
    let operation = operation_of(record.front_door);
    let ended_us = trace.started_us.saturating_add(record.timings.total_us);
    let has_failed = !matches!(record.outcome, Outcome::Completed | Outcome::Cancelled);
    let mut attributes: Vec<Value> = Vec::with_capacity(32);
    attributes.extend(generative(record, operation, call.family));
    attributes.extend(ours(record));
    let attributes: Vec<Value> = attributes
        .into_iter()
        .filter(|attribute| !attribute.is_null())
        .collect();
    let mut span = json!({
        "traceId": trace.id,
        "spanId": trace.span,
        "name": format!("{operation} {}", record.model.as_deref().unwrap_or("unknown")),
        "kind": KIND_CLIENT,
        "startTimeUnixNano": nanos(trace.started_us),
        "endTimeUnixNano": nanos(ended_us),
        "attributes": attributes,
        "events": attempts(record, trace.started_us),
    });
    if let Some(parent) = &trace.parent {
        add(&mut span, "parentSpanId", json!(parent));
    }
    if has_failed {
        let status = json!({"code": STATUS_ERROR, "message": error_type(record)});
        add(&mut span, "status", status);
    }
    span
}

fn generative(record: &ModelCall, operation: &str, family: &'static str) -> [Value; 14] {
    let usage = &record.usage;
    let is_counted = !usage.is_empty();
    let tokens = |count: u64| is_counted.then_some(count);
    let session = record
        .session_id
        .as_deref()
        .or(record.caller.harness_session.as_deref());
    let has_failed = !matches!(record.outcome, Outcome::Completed | Outcome::Cancelled);
    let finish = record.finish_reason.as_deref();
    [
        text("gen_ai.operation.name", Some(operation)),
        text(
            "gen_ai.provider.name",
            record.provider.as_ref().map(|_| provider_of(family)),
        ),
        text("gen_ai.request.model", record.model.as_deref()),
        text("gen_ai.response.model", record.provider_model.as_deref()),
        number("gen_ai.usage.input_tokens", tokens(usage.total_input())),
        number("gen_ai.usage.output_tokens", tokens(usage.output)),
        number("gen_ai.usage.cache_read.input_tokens", tokens(usage.cache_read)),
        number(
            "gen_ai.usage.cache_creation.input_tokens",
            tokens(usage.cache_write_5m.saturating_add(usage.cache_write_1h)),
        ),
        finish.map_or(Value::Null, |reason| {
            let values = json!({"arrayValue": {"values": [{"stringValue": reason}]}});
            json!({"key": "gen_ai.response.finish_reasons", "value": values})
        }),
        text("gen_ai.conversation.id", session),
        text("gen_ai.agent.id", record.agent_id.as_deref()),
        text("gen_ai.agent.name", record.agent_name.as_deref()),
        number("http.response.status_code", Some(record.status.into())),
        text("error.type", has_failed.then(|| error_type(record))),
    ]
}

fn ours(record: &ModelCall) -> [Value; 13] {
    let asked = record
        .attempts
        .iter()
        .filter(|attempt| attempt.outcome != AttemptOutcome::Skipped);
    let translated_to = record.translation.as_ref().map(|translation| translation.family);
    [
        text("airside.call_id", Some(&record.call_id)),
        text("airside.project", Some(&record.project)),
        text("airside.outcome", Some(record.outcome.name())),
        text("airside.provider", record.provider.as_deref()),
        text("airside.route_reason", record.route_reason.as_deref()),
        text("airside.task", record.task),
        text("airside.harness", record.caller.harness.as_deref()),
        text("airside.subagent", record.caller.subagent.as_deref()),
        text("airside.translated_to", translated_to),
        number("airside.attempts", Some(asked.count() as u64)),
        number("airside.cost_nanousd", Some(record.cost_nanousd)),
        number("airside.first_token_us", record.timings.first_byte_us),
        number("airside.gateway_us", Some(record.timings.gateway_us)),
    ]
}

/// Each target that was asked or passed over, when it was over.
fn attempts(record: &ModelCall, started_us: u64) -> Vec<Value> {
    let each = record.attempts.iter().map(|attempt| {
        let attributes = [
            text("airside.provider", Some(&attempt.provider)),
            text("gen_ai.response.model", Some(&attempt.model)),
            text("airside.outcome", Some(attempt.outcome.name())),
            text("airside.reason", attempt.reason),
            number("http.response.status_code", attempt.status.map(u64::from)),
        ];
        json!({
            "timeUnixNano": nanos(started_us.saturating_add(attempt.ended_us)),
            "name": "airside.attempt",
            "attributes": attributes.into_iter().filter(|attribute| !attribute.is_null()).collect::<Vec<_>>(),
        })
    });
    each.collect()
}

/// A stable word for what went wrong.
fn error_type(record: &ModelCall) -> &str {
    let reason = record.attempts.last().and_then(|attempt| attempt.reason);
    record.error_code.or(reason).unwrap_or(record.outcome.name())
}

fn operation_of(front_door: &str) -> &'static str {
    if front_door.contains("embeddings") {
        "embeddings"
    } else if front_door.contains("count") {
        "count_tokens"
    } else {
        "chat"
    }
}

/// The conventions' word for whose dialect it was.
fn provider_of(family: &'static str) -> &'static str {
    match family {
        "gemini" => "gcp.gemini",
        "openai-responses" | "openai-chat" => "openai",
        other => other,
    }
}

fn add(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = object {
        members.insert(name.to_owned(), value);
    }
}

fn text(key: &str, value: Option<&str>) -> Value {
    value.map_or(
        Value::Null,
        |value| json!({"key": key, "value": {"stringValue": value}}),
    )
}

/// OTLP's JSON writes 64-bit numbers as text.
fn number(key: &str, value: Option<u64>) -> Value {
    value.map_or(
        Value::Null,
        |value| json!({"key": key, "value": {"intValue": value.to_string()}}),
    )
}

fn nanos(micros: u64) -> String {
    micros.saturating_mul(1_000).to_string()
}
