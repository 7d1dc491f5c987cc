//! Gemini's front doors, and those that only the provider's own family can serve.

use serde_json::json;

use crate::place::{KEY, Place, attempts, snapshot};
use crate::provider::{Provider, chunk, end, events_head, json, stream};

const REQUEST: &str = r#"{ "contents":[{"parts":[{"text":"\u00e9"}]}] , "generationConfig":{"maxOutputTokens":5}}"#;
const ANSWER: &str = r#"{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":3,"thoughtsTokenCount":2}}"#;
const FIRST: &str = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"he\"}]}}],\"usageMetadata\":{\"promptTokenCount\":10}}\r\n\r\n";
const LAST: &str =
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"y\"}]},\"finishReason\":\"STOP\"}]}\r\n\r\n";
const COUNTS: &str = "data: {\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":3}}\r\n\r\n";
const FAILED: &str = "data: {\"error\":{\"code\":503,\"message\":\"over\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n";

fn one(script: Vec<crate::provider::Act>) -> (Provider, Place) {
    let provider = Provider::always(script);
    let place = Place::new(&snapshot("gemini", &[&provider]));
    (provider, place)
}

#[test]
fn a_gemini_body_goes_through_byte_for_byte_and_its_model_stands_in_the_path() {
    let (provider, place) = one(json(200, "", ANSWER));
    let reply = place.post("/v1beta/models/m:generateContent?x=1", REQUEST);
    assert_eq!((reply.status, reply.text().as_str()), (200, ANSWER));
    let received = &provider.received()[0];
    assert_eq!(
        received.line,
        "POST /v1beta/models/real%2Fa:generateContent?x=1 HTTP/1.1"
    );
    assert_eq!(received.body, REQUEST.as_bytes());
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["front_door"], &record["model"], &record["stream"]),
        (&json!("gemini-generate-content"), &json!("m"), &json!(false))
    );
    let usage = &record["usage"];
    assert_eq!(
        (&usage["input_uncached"], &usage["cache_read"], &usage["output"]),
        (&json!(6), &json!(4), &json!(5))
    );
    assert_eq!(record["usage_source"], "provider");
}

#[test]
fn a_gemini_key_is_taken_from_its_header_or_the_query_and_passed_to_nobody() {
    let (provider, place) = one(json(200, "", ANSWER));
    let in_query = format!("/v1beta/models/m:generateContent?key={KEY}");
    for (path, headers) in [
        ("/v1beta/models/m:generateContent", format!("x-goog-api-key: {KEY}\r\n")),
        (in_query.as_str(), String::new()),
    ] {
        let mut caller = place.caller();
        caller.send_with(path, &headers, REQUEST.as_bytes());
        assert_eq!(caller.reply().status, 200, "{path}");
    }
    for received in provider.received() {
        assert_eq!(received.header("x-goog-api-key"), Some("sk-a"));
        assert!(!received.line.contains("key="), "{}", received.line);
        assert!(!received.headers.iter().any(|(_, value)| value.contains(KEY)));
    }
    let elsewhere = format!("/v1/messages?key={KEY}");
    let mut caller = place.caller();
    caller.send_with(&elsewhere, "", br#"{"model":"m"}"#);
    assert_eq!(caller.reply().status, 401);
}

#[test]
fn a_gemini_stream_ends_with_the_connection_and_its_last_counts_stand() {
    let (provider, place) = one(stream(&[FIRST, LAST, COUNTS].concat()));
    let reply = place.post("/v1beta/models/m:streamGenerateContent?alt=sse", REQUEST);
    assert_eq!(reply.text(), [FIRST, LAST, COUNTS].concat());
    assert_eq!(
        provider.received()[0].line,
        "POST /v1beta/models/real%2Fa:streamGenerateContent?alt=sse HTTP/1.1"
    );
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], &record["usage"]["output"], &record["usage_source"]),
        (&json!("completed"), &json!(3), &json!("provider"))
    );
}

#[test]
fn without_alt_sse_a_gemini_stream_is_an_array() {
    let (provider, place) = one(stream(&[FIRST, LAST].concat()));
    let reply = place.post("/v1/models/m:streamGenerateContent", REQUEST);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let pieces = reply.json();
    assert_eq!(pieces.as_array().unwrap().len(), 2);
    assert_eq!(pieces[1]["candidates"][0]["finishReason"], "STOP");
    assert!(provider.received()[0].line.contains("alt=sse"));
}

#[test]
fn a_gemini_stream_that_breaks_off_ends_with_an_error() {
    let cut = vec![events_head(), chunk(FIRST), crate::provider::Act::Close];
    let (_provider, place) = one(cut.clone());
    let reply = place.post("/v1beta/models/m:streamGenerateContent?alt=sse", REQUEST);
    assert!(reply.text().starts_with(FIRST), "{}", reply.text());
    assert!(reply.text().contains(r#""reason":"provider_cut""#), "{}", reply.text());
    let (_provider, place) = one(cut);
    let pieces = place.post("/v1beta/models/m:streamGenerateContent", REQUEST).json();
    assert_eq!(pieces[1]["error"]["status"], "INTERNAL");
    assert_eq!(place.journal(1)[0]["outcome"], "cut");
}

#[test]
fn a_gemini_stream_that_fails_before_its_first_word_is_tried_elsewhere() {
    let (first, second) = (
        Provider::always(stream(FAILED)),
        Provider::always(stream(&[FIRST, LAST].concat())),
    );
    let place = Place::new(&snapshot("gemini", &[&first, &second]));
    let reply = place.post("/v1beta/models/m:streamGenerateContent?alt=sse", REQUEST);
    assert_eq!((reply.status, reply.text()), (200, [FIRST, LAST].concat()));
    assert_eq!(
        attempts(&place.journal(1)[0]),
        ["a failed failed_in_stream", "b answered -"]
    );
}

#[test]
fn a_stream_cut_after_its_reason_to_stop_is_whole() {
    let (_provider, place) = one(vec![
        events_head(),
        chunk(FIRST),
        chunk(LAST),
        end(),
        crate::provider::Act::Close,
    ]);
    let reply = place.post("/v1beta/models/m:streamGenerateContent?alt=sse", REQUEST);
    assert!(!reply.text().contains("error"));
    assert_eq!(place.journal(1)[0]["outcome"], "completed");
}

#[test]
fn gemini_is_refused_in_its_own_dialect() {
    let (provider, place) = one(json(200, "", ANSWER));
    for (path, body, status, reason) in [
        ("/v1beta/models/nope:generateContent", "{}", 404, "unknown_model"),
        ("/v1beta/models/m:generateContent", "[", 400, "malformed_json"),
        ("/v1beta/models/m:embedContent", "{}", 404, "no_such_path"),
        ("/v1beta/nowhere", "{}", 404, "no_such_path"),
    ] {
        let reply = place.post(path, body);
        assert_eq!(reply.status, status, "{path}");
        let error = &reply.json()["error"];
        assert_eq!(
            (&error["code"], &error["details"][0]["reason"]),
            (&json!(status), &json!(reason)),
            "{path}"
        );
    }
    assert!(provider.received().is_empty());
}

#[test]
fn counting_geminis_tokens_puts_the_models_name_into_the_body_where_it_stands() {
    let (provider, place) = one(json(200, "", r#"{"totalTokens":3}"#));
    let body = r#"{"generateContentRequest":{"model":"models/m","contents":[]}}"#;
    assert_eq!(
        place.post("/v1beta/models/m:countTokens", body).text(),
        r#"{"totalTokens":3}"#
    );
    let received = &provider.received()[0];
    assert_eq!(received.line, "POST /v1beta/models/real%2Fa:countTokens HTTP/1.1");
    assert_eq!(received.body, body.replace("models/m", "models/real/a").as_bytes());
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["cost_nanousd"], &record["front_door"]),
        (&json!(0), &json!("gemini-count-tokens"))
    );
}

#[test]
fn models_are_listed_for_gemini() {
    let (_provider, place) = one(json(200, "", ANSWER));
    let header = format!("x-goog-api-key: {KEY}\r\n");
    let list = place.caller().get("/v1beta/models", &header).json();
    assert_eq!(list["models"][0]["name"], "models/m");
    let one = place.caller().get(&format!("/v1beta/models/m?key={KEY}"), "").json();
    assert_eq!(one["displayName"], "m");
    assert_eq!(
        place.caller().get("/v1beta/models/n", &header).json()["error"]["status"],
        "NOT_FOUND"
    );
}

#[test]
fn embeddings_are_billed_by_what_they_read() {
    let answer = r#"{"object":"list","data":[],"model":"e","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    for protocol in ["openai-chat", "openai-responses"] {
        let provider = Provider::always(json(200, "", answer));
        let place = Place::new(&snapshot(protocol, &[&provider]));
        assert_eq!(
            place.post("/v1/embeddings", r#"{"model":"m","input":"x"}"#).text(),
            answer
        );
        let received = &provider.received()[0];
        assert_eq!(received.line, "POST /v1/embeddings HTTP/1.1");
        assert_eq!(received.body, br#"{"model":"real/a","input":"x"}"#);
        let record = &place.journal(1)[0];
        assert_eq!(
            (&record["front_door"], &record["cost_nanousd"]),
            (&json!("openai-embeddings"), &json!(8000))
        );
        assert!(record["hold_nanousd"].as_u64().unwrap() < 3_000_000, "{record}");
    }
}

#[test]
fn a_compaction_is_passed_to_the_provider_and_billed() {
    let answer =
        r#"{"id":"r","object":"response.compaction","output":[],"usage":{"input_tokens":9,"output_tokens":1}}"#;
    let provider = Provider::always(json(200, "", answer));
    let place = Place::new(&snapshot("openai-responses", &[&provider]));
    assert_eq!(
        place
            .post("/v1/responses/compact", r#"{"model":"m","input":[]}"#)
            .text(),
        answer
    );
    assert_eq!(provider.received()[0].line, "POST /v1/responses/compact HTTP/1.1");
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["front_door"], &record["usage"]["output"]),
        (&json!("openai-compact"), &json!(1))
    );
}
