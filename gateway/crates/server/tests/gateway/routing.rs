//! Where calls go: conditions, what a target cannot take, sessions that stay, breakers, shadows.

use serde_json::{Value, json};

use crate::caller::Reply;
use crate::place::{KEY, Place, attempts, snapshot};
use crate::provider::{MESSAGE, Provider, json};

const CACHED: &str = r#"{"id":"msg_1","type":"message","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"cache_read_input_tokens":90000,"output_tokens":3}}"#;
const SESSION: &str = "x-claude-code-session-id: 5e1f\r\n";

fn request(more: &Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 5, "messages": []});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

fn post(place: &Place, headers: &str, body: &str) -> Reply {
    let mut caller = place.caller();
    let headers = format!("authorization: Bearer {KEY}\r\n{headers}");
    caller.send_with("/v1/messages", &headers, body.as_bytes());
    caller.reply()
}

fn always(message: &str) -> Provider {
    Provider::always(json(200, "", message))
}

/// The targets of the one step, so that a test can deal them out over several.
fn targets(snapshot: &Value) -> Vec<Value> {
    snapshot["models"][0]["route"][0]["to"].as_array().unwrap().clone()
}

#[test]
fn the_first_rule_that_applies_is_followed_and_recorded() {
    let (first, second) = (always(MESSAGE), always(MESSAGE));
    let mut ruled = snapshot("anthropic", &[&first, &second]);
    let to = targets(&ruled);
    ruled["models"][0]["route"] = json!([
        {"when": "request.headers['x-team'] == 'red'", "to": [to[0]]},
        {"when": "request.task == 'background' && agent.name == 'fixer'", "to": [to[0]]},
        {"when": "request.tools >= 2 && request.thinking", "to": [to[0]]},
        {"to": [to[1]]},
    ]);
    let place = Place::new(&ruled);
    let thinking = json!({"tools": [{"name": "a"}, {"name": "b"}], "thinking": {"type": "adaptive"}});
    let cases = [
        ("", request(&json!({})), "b", 3),
        ("x-team: red\r\n", request(&json!({})), "a", 0),
        ("x-airside-task: background\r\n", request(&json!({})), "a", 1),
        ("", request(&thinking), "a", 2),
    ];
    for (count, (headers, body, provider, step)) in cases.into_iter().enumerate() {
        assert_eq!(post(&place, headers, &body).status, 200);
        let record = place.journal(count + 1).pop().unwrap();
        assert_eq!(
            (&record["provider"], &record["route_step"]),
            (&json!(provider), &json!(step)),
            "{record}"
        );
        if step == 1 {
            assert_eq!(
                (&record["task"], record["route_rule"].as_str().unwrap().len()),
                (&json!("background"), 53)
            );
        }
        if step == 3 {
            let reason = record["route_reason"].as_str().unwrap();
            assert!(reason.contains("step 1 passed over: there is no 'x-team'"), "{reason}");
        }
    }
}

#[test]
fn a_snapshot_with_a_broken_condition_is_refused() {
    let provider = always(MESSAGE);
    let mut broken = snapshot("anthropic", &[&provider]);
    let place = Place::new(&broken);
    broken["version"] = 2.into();
    broken["models"][0]["route"][0]["when"] = "request.inputtokens > 3".into();
    place.write_snapshot(&broken);
    place.wait_until_ready_says(|state| {
        let why = state["snapshot_refused"].as_str().unwrap_or_default();
        why.contains("model 'm', step 1") && why.contains("request.input_tokens")
    });
    assert_eq!(
        place.post("/v1/messages", &request(&json!({}))).status,
        200,
        "the old one stays in force"
    );
}

#[test]
fn what_a_target_cannot_take_is_kept_from_it() {
    let (blind, seeing) = (always(MESSAGE), always(MESSAGE));
    let mut unlike = snapshot("anthropic", &[&blind, &seeing]);
    unlike["models"][0]["route"][0]["to"][0]["capabilities"] = json!({"images": false, "tools": false});
    unlike["models"][0]["route"][0]["to"][1]["capabilities"] = json!({"tools": false});
    let place = Place::new(&unlike);
    let picture = request(&json!({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}));
    assert_eq!(place.post("/v1/messages", &picture).status, 200);
    assert_eq!((blind.received().len(), seeing.received().len()), (0, 1));
    let refused = place.post("/v1/messages", &request(&json!({"tools": [{"name": "a"}]})));
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (400, &json!("unsupported_by_targets"))
    );
    assert!(refused.text().contains("needs: tools"), "{}", refused.text());
    assert_eq!(attempts(&place.journal(2)[0]), ["a skipped no_images", "b answered -"]);
}

#[test]
fn a_model_that_cannot_think_is_not_asked_to() {
    let whole = r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let provider = Provider::always(json(200, "", whole));
    let mut plain = snapshot("openai-chat", &[&provider]);
    plain["models"][0]["route"][0]["to"][0]["capabilities"] = json!({"thinking": false});
    plain["models"][0]["route"][0]["to"][0]["model"] = json!("gpt-5.2");
    let place = Place::new(&plain);
    let within = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"reasoning_effort":"low","n":1}"#;
    let across = r#"{"model":"m","max_tokens":5000,"messages":[{"role":"user","content":"x"}],"thinking":{"type":"enabled","budget_tokens":2000}}"#;
    for (path, body, dropped) in [
        ("/v1/chat/completions", within, "reasoning_effort"),
        ("/v1/messages", across, "thinking"),
    ] {
        let reply = place.post(path, body);
        assert_eq!(
            (reply.status, reply.header("x-airside-dropped")),
            (200, Some(dropped)),
            "{}",
            reply.text()
        );
    }
    let sent = provider.received();
    let sent: Vec<String> = sent
        .iter()
        .map(|call| String::from_utf8(call.body.clone()).unwrap())
        .collect();
    assert_eq!(
        sent[0],
        within.replace("\"m\"", "\"gpt-5.2\"").replace("\"low\"", "null")
    );
    assert!(!sent[1].contains("reasoning"), "{}", sent[1]);
    let records = place.journal(2);
    for (record, dropped) in records.iter().zip(["reasoning_effort", "thinking"]) {
        assert_eq!(record["translation"]["losses"][0]["field"], dropped, "{record}");
    }
}

#[test]
fn what_is_too_long_goes_to_a_wider_target_by_estimate_or_by_the_providers_word() {
    let too_long = r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 999 tokens > 900 maximum"}}"#;
    let (narrow, wide) = (Provider::always(json(400, "", too_long)), always(MESSAGE));
    let mut unlike = snapshot("anthropic", &[&narrow, &wide]);
    unlike["models"][0]["route"][0]["to"][0]["max_input_tokens"] = 900.into();
    unlike["models"][0]["route"][0]["to"][1]["max_input_tokens"] = 2_000.into();
    let place = Place::new(&unlike);
    assert_eq!(
        place
            .post("/v1/messages", &request(&json!({"x": "y".repeat(3_000)})))
            .status,
        200
    );
    assert_eq!(
        place
            .post("/v1/messages", &request(&json!({"x": "y".repeat(5_000)})))
            .status,
        200
    );
    assert_eq!((narrow.received().len(), wide.received().len()), (1, 2));
    let records = place.journal(2);
    assert_eq!(attempts(&records[0]), ["a failed context_window", "b answered -"]);
    assert_eq!(attempts(&records[1]), ["a skipped context_window", "b answered -"]);
    unlike["models"][0]["route"][0]["to"].as_array_mut().unwrap().pop();
    let alone = Place::new(&unlike);
    let reply = alone.post("/v1/messages", &request(&json!({"x": "y".repeat(5_000)})));
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (400, too_long),
        "its own words, for the harness to act on"
    );
}

#[test]
fn a_session_stays_where_its_cache_is_and_says_what_leaving_cost() {
    let first = Provider::new(vec![json(503, "retry-after: 0\r\n", "{}"), json(200, "", CACHED)]);
    let second = Provider::new(vec![json(200, "", CACHED), json(200, "", CACHED), json(503, "", "{}")]);
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    for _ in 0..3 {
        assert_eq!(post(&place, SESSION, &request(&json!({}))).status, 200);
    }
    let records = place.journal(3);
    let providers: Vec<&str> = records
        .iter()
        .map(|record| record["provider"].as_str().unwrap())
        .collect();
    assert_eq!(providers, ["b", "b", "a"], "it stayed with b until b failed");
    assert!(records[1]["route_reason"].as_str().unwrap().contains("cache"));
    assert_eq!(records[1]["cache_break_nanousd"], Value::Null);
    assert_eq!(records[2]["cache_break_nanousd"], 90_000 * 900);
}

#[test]
fn a_session_has_only_so_many_retries() {
    let (first, second) = (Provider::always(json(500, "", "{\"who\":\"a\"}")), always(MESSAGE));
    let mut stingy = snapshot("anthropic", &[&first, &second]);
    stingy["limits"] = json!({"session_retries": 1, "retry_window_ms": 3_600_000});
    let place = Place::new(&stingy);
    assert_eq!(post(&place, SESSION, &request(&json!({}))).status, 200);
    let again = post(&place, SESSION, &request(&json!({})));
    assert_eq!(
        again.status, 200,
        "it stayed where it was answered, and needed no retry"
    );
    let other = "x-claude-code-session-id: 77\r\nx-claude-code-agent-id: ";
    let replies: Vec<u16> = (0..3)
        .map(|number| post(&place, &format!("{other}{number}\r\n"), &request(&json!({}))).status)
        .collect();
    assert_eq!(replies, [200, 500, 500], "one retry for all the threads of a session");
}

#[test]
fn a_provider_that_keeps_failing_is_left_alone_until_one_probe_finds_it_well() {
    let (first, second) = (Provider::always(json(500, "", "{}")), always(MESSAGE));
    let place = Place::new(&snapshot("anthropic", &[&first, &second]));
    for _ in 0..8 {
        assert_eq!(place.post("/v1/messages", &request(&json!({}))).status, 200);
    }
    assert_eq!(
        first.received().len(),
        5,
        "after five failures it is not asked any more"
    );
    let records = place.journal(8);
    assert_eq!(attempts(&records[7]), ["a skipped cooling_down", "b answered -"]);
    let metrics = place.caller().get("/metrics", "").text();
    assert!(
        metrics.contains("airside_gateway_provider_cooling{provider=\"a\"} 1"),
        "{metrics}"
    );
}

#[test]
fn who_says_not_to_ask_again_is_not_asked_again() {
    let provider = Provider::always(json(
        429,
        "retry-after-ms: 1\r\nx-should-retry: false\r\n",
        "{\"no\":1}",
    ));
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    assert_eq!(place.post("/v1/messages", &request(&json!({}))).status, 429);
    assert_eq!(provider.received().len(), 1);
}

#[test]
fn a_shadow_gets_a_copy_and_can_neither_delay_nor_fail_the_call() {
    let (first, second) = (always(MESSAGE), Provider::always(json(500, "", "{}")));
    let mut shadowed = snapshot("anthropic", &[&first, &second]);
    let to = targets(&shadowed);
    shadowed["models"][0]["route"] = json!([{"to": [to[0]], "shadow": {"target": to[1], "basis_points": 10_000}}]);
    let place = Place::new(&shadowed);
    assert_eq!(place.post("/v1/messages", &request(&json!({}))).status, 200);
    second.wait_for_requests(1);
    let records = place.journal(2);
    let (copy, original): (Vec<&Value>, Vec<&Value>) = records.iter().partition(|record| record["shadow"] == true);
    assert_eq!(
        (&original[0]["outcome"], &copy[0]["outcome"]),
        (&json!("completed"), &json!("failed"))
    );
    assert_eq!(copy[0]["shadow_of"], original[0]["call_id"]);
    assert_eq!(first.received()[0].body.len(), second.received()[0].body.len());
    let metrics = place.caller().get("/metrics", "").text();
    assert!(
        metrics.contains("airside_gateway_provider_cooling{provider=\"b\"} 0"),
        "its failures are its own"
    );
}

#[test]
fn a_shadow_that_never_answers_holds_nobody_up_and_there_are_only_so_many() {
    let (first, second) = (always(MESSAGE), Provider::always(vec![crate::provider::Act::Silence]));
    let mut shadowed = snapshot("anthropic", &[&first, &second]);
    let to = targets(&shadowed);
    shadowed["limits"] = json!({"max_shadow_calls": 1});
    shadowed["models"][0]["route"] = json!([{"to": [to[0]], "shadow": {"target": to[1], "basis_points": 10_000}}]);
    let place = Place::new(&shadowed);
    for _ in 0..3 {
        assert_eq!(place.post("/v1/messages", &request(&json!({}))).status, 200);
    }
    second.wait_for_requests(1);
    assert_eq!((first.received().len(), second.received().len()), (3, 1));
    assert!(place.journal(3).iter().all(|record| record["shadow"] != true));
}

#[test]
fn only_the_control_plane_may_have_a_call_explained() {
    let provider = always(MESSAGE);
    let place = Place::new(&snapshot("anthropic", &[&provider]));
    let mut caller = place.caller();
    caller.send_with(
        "/internal/v1/routes/explain",
        &format!("authorization: Bearer {KEY}\r\n"),
        b"{}",
    );
    assert_eq!(caller.reply().status, 401);
}

fn pooled(provider: &Provider, second: &Provider) -> Value {
    let mut pooled = snapshot("anthropic", &[provider, second]);
    pooled["providers"][0]["credentials"] = json!([
        {"key_id": "first", "kind": "x_api_key", "secret": "sk-1"},
        {"key_id": "second", "kind": "x_api_key", "secret": "sk-2"},
    ]);
    pooled
}

fn keys_shown(provider: &Provider) -> Vec<String> {
    let received = provider.received();
    received
        .iter()
        .map(|one| one.header("x-api-key").unwrap().to_owned())
        .collect()
}

#[test]
fn another_key_is_tried_before_the_next_target_and_a_session_stays_with_it() {
    for (status, reason) in [(429, "rate_limited"), (401, "credential_rejected")] {
        let (provider, second) = (
            Provider::new(vec![json(status, "", "{}"), json(200, "", CACHED)]),
            always(MESSAGE),
        );
        let place = Place::new(&pooled(&provider, &second));
        for _ in 0..3 {
            assert_eq!(post(&place, SESSION, &request(&json!({}))).status, 200);
        }
        let shown = keys_shown(&provider);
        assert_eq!(shown.len(), 4);
        assert_ne!(shown[0], shown[1], "{status}");
        assert!(
            shown[2..].iter().all(|key| *key == shown[1]),
            "the cache is under that key: {shown:?}"
        );
        let records = place.journal(3);
        assert_eq!(
            attempts(&records[0]),
            [format!("a failed {reason}"), "a answered -".into()]
        );
        assert!(second.received().is_empty());
    }
}

#[test]
fn what_is_not_the_keys_fault_is_not_tried_with_another_key() {
    let (provider, second) = (Provider::always(json(500, "", "{}")), always(MESSAGE));
    let place = Place::new(&pooled(&provider, &second));
    assert_eq!(place.post("/v1/messages", &request(&json!({}))).status, 200);
    assert_eq!(provider.received().len(), 1);
    assert_eq!(
        attempts(&place.journal(1)[0]),
        ["a failed server_error", "b answered -"]
    );
}
