//! Long conversations made short: by the provider where it can, by a summary where it cannot.

use serde_json::{Value, json};

use crate::place::{Place, snapshot};
use crate::provider::{Provider, json as answer};

const REQUEST: &str = r#"{"model":"m","instructions":"i","input":[{"type":"message","role":"user","content":"fix it"},{"type":"message","role":"assistant","content":"on it"}]}"#;
const SUMMARY: &str = r#"{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"half done"}]}],"usage":{"input_tokens":10,"output_tokens":2}}"#;

fn body(provider: &Provider, number: usize) -> Value {
    serde_json::from_slice(&provider.received()[number].body).unwrap()
}

#[test]
fn a_provider_that_compacts_is_left_to_do_it() {
    let theirs = r#"{"id":"r","object":"response.compaction","output":[{"type":"compaction","encrypted_content":"gAAA"}],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let provider = Provider::always(answer(200, "", theirs));
    let place = Place::new(&snapshot("openai-responses", &[&provider]));
    let reply = place.post("/v1/responses/compact", REQUEST);
    assert_eq!(reply.text(), theirs);
    assert_eq!(provider.received()[0].line, "POST /v1/responses/compact HTTP/1.1");
    assert_eq!(place.journal(1)[0]["front_door"], "openai-compact");
}

#[test]
fn a_provider_that_does_not_is_asked_for_a_summary_and_gets_it_back_open() {
    let provider = Provider::new(vec![answer(404, "", "{}"), answer(200, "", SUMMARY)]);
    let place = Place::new(&snapshot("openai-responses", &[&provider]));
    let reply = place.post("/v1/responses/compact", REQUEST);
    assert_eq!(reply.status, 200, "{}", reply.text());
    let compacted = reply.json();
    assert_eq!(compacted["object"], "response.compaction");
    let output = compacted["output"].as_array().unwrap();
    assert_eq!(
        (&output[0]["content"], &output[1]["type"]),
        (&json!("fix it"), &json!("compaction"))
    );
    assert_eq!(provider.received()[1].line, "POST /v1/responses HTTP/1.1");
    let told = |name: &str| {
        reply
            .header(&format!("x-airside-{name}"))
            .unwrap_or_else(|| panic!("no {name}"))
    };
    assert_eq!(
        (told("provider"), told("model"), told("attempts")),
        ("a", "real/a", "1")
    );
    assert!(!told("route").is_empty() && !told("overhead-ms").is_empty());
    assert_eq!(told("cost-usd"), "0.000014", "10 tokens at a dollar, 2 at two");
    let summary_id = told("call-id").to_owned();
    assert_eq!(told("request-id"), summary_id);
    assert_eq!(body(&provider, 1)["input"].as_array().unwrap().len(), 3);
    let next = json!({"model": "m", "input": [output[1], {"type": "message", "role": "user", "content": "go on"}]});
    assert_eq!(place.post("/v1/responses", &next.to_string()).status, 200);
    let said = body(&provider, 2)["input"][0]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(said.ends_with("half done"), "{said}");
    let records = place.journal(3);
    assert_eq!(records[1]["call_id"], json!(summary_id));
    assert_eq!(
        (&records[1]["front_door"], &records[1]["usage"]["output"]),
        (&json!("openai-responses"), &json!(2))
    );
}

#[test]
fn what_is_the_callers_fault_is_not_made_up_for() {
    let provider = Provider::always(answer(200, "", SUMMARY));
    let place = Place::new(&snapshot("openai-responses", &[&provider]));
    assert_eq!(place.post("/v1/responses/compact", r#"{"model":"nope"}"#).status, 404);
    let mut stranger = place.caller();
    stranger.send_with("/v1/responses/compact", "", REQUEST.as_bytes());
    assert_eq!(stranger.reply().status, 401);
    assert!(provider.received().is_empty());
}

#[test]
fn an_answer_without_a_summary_is_an_error() {
    let empty = r#"{"id":"resp_1","output":[],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let provider = Provider::new(vec![answer(404, "", "{}"), answer(200, "", empty)]);
    let place = Place::new(&snapshot("openai-responses", &[&provider]));
    let reply = place.post("/v1/responses/compact", REQUEST);
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (502, &json!("compaction_failed"))
    );
    assert_eq!(
        (reply.header("x-airside-provider"), reply.header("x-airside-call-id")),
        (Some("a"), place.journal(2)[1]["call_id"].as_str())
    );
}

/// Codex asks so in the middle of a session: by the last item of an ordinary request.
#[test]
fn a_trigger_is_answered_by_a_summary_where_the_model_speaks_another_dialect() {
    let answered = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "half "}, {"type": "text", "text": "done"}], "usage": {"input_tokens": 10, "output_tokens": 2}});
    let provider = Provider::always(answer(200, "", &answered.to_string()));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let message = json!({"type": "message", "role": "user", "content": "fix it"});
    let tool = json!({"type": "function", "name": "f", "parameters": {"type": "object"}});
    let asked = |input: Value| {
        let body = json!({"model": "m", "input": input, "tools": [tool], "tool_choice": "required",
                          "text": {"format": {"type": "json_object"}}, "max_output_tokens": 100});
        place.post("/v1/responses", &body.to_string())
    };
    let reply = asked(json!([message, {"type": "compaction_trigger"}]));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-airside-dropped"), None);
    let item = &reply.json()["output"][0];
    assert_eq!(
        (&item["type"], reply.json()["output"].as_array().unwrap().len()),
        (&json!("compaction"), 1)
    );
    let sent = body(&provider, 0);
    assert_eq!(sent["tool_choice"]["type"], "none");
    let ask = sent["messages"].to_string();
    assert!(
        ask.contains("fix it") && ask.contains("Write a summary of this conversation"),
        "{ask}"
    );
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["front_door"], &record["outcome"]),
        (&json!("openai-responses"), &json!("completed"))
    );

    assert_eq!(asked(json!([item, message])).status, 200);
    let said = body(&provider, 1)["messages"].to_string();
    assert!(said.contains("half done"), "{said}");
    let reply = asked(json!([{"type": "compaction_trigger"}, message]));
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (400, &json!("malformed_request"))
    );
}

#[test]
fn an_answer_to_a_trigger_that_holds_no_summary_is_one_all_the_same_and_paid_for() {
    let answered = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "x", "stop_reason": "max_tokens",
        "content": [{"type": "text", "text": "The summary beg"}], "usage": {"input_tokens": 1000, "output_tokens": 2000}});
    let first = Provider::always(answer(200, "", &answered.to_string()));
    let second = Provider::always(answer(200, "", &answered.to_string()));
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    let body = json!({"model": "m", "input": [{"type": "message", "role": "user", "content": "fix it"}, {"type": "compaction_trigger"}]});
    let reply = place.post("/v1/responses", &body.to_string());
    assert_eq!(
        (reply.status, reply.header("x-airside-dropped")),
        (200, Some("summary"))
    );
    assert_eq!(
        (&reply.json()["status"], &reply.json()["output"]),
        (&json!("incomplete"), &json!([]))
    );
    assert_eq!((first.received().len(), second.received().len()), (1, 0));
    let record = &place.journal(1)[0];
    assert_eq!(
        (&record["outcome"], &record["cost_nanousd"]),
        (&json!("completed"), &json!(5_000_000))
    );
}
