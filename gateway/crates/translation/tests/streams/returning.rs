//! What an answer gives the caller comes back with the caller's next request, and reaches the target as it was.

use airside_protocols::Family;
use airside_translation::{Wanted, translate_answer, translate_request};
use serde_json::{Value, json};

use crate::recording::{clients, place, plan};

use Family::{Anthropic, Gemini, OpenaiChat, OpenaiResponses};

/// The caller's next request: what it asked, what it was answered, and the results of the calls.
fn next_request(client: Family, answer: &Value) -> Value {
    match client {
        Anthropic => {
            let calls = answer["content"].as_array().unwrap().iter();
            let results: Vec<Value> = calls
                .filter(|block| block["type"] == "tool_use")
                .map(|call| json!({"type": "tool_result", "tool_use_id": call["id"], "content": "done"}))
                .collect();
            json!({"model": "coder", "max_tokens": 8000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": [
                {"role": "user", "content": "Test it."},
                {"role": "assistant", "content": answer["content"]},
                {"role": "user", "content": results},
            ]})
        }
        OpenaiResponses => {
            let mut input = vec![json!({"role": "user", "content": "Test it."})];
            let output = answer["output"].as_array().unwrap();
            input.extend(output.iter().cloned());
            let calls = output.iter().filter(|item| item["type"] == "function_call");
            let results =
                calls.map(|call| json!({"type": "function_call_output", "call_id": call["call_id"], "output": "done"}));
            input.extend(results);
            json!({"model": "coder", "store": false, "input": input, "reasoning": {"effort": "high", "summary": "auto"}})
        }
        OpenaiChat => {
            let message = &answer["choices"][0]["message"];
            let mut messages = vec![json!({"role": "user", "content": "Test it."}), message.clone()];
            let calls = message["tool_calls"].as_array().unwrap().iter();
            messages.extend(calls.map(|call| json!({"role": "tool", "tool_call_id": call["id"], "content": "done"})));
            json!({"model": "coder", "reasoning_effort": "high", "messages": messages})
        }
        Gemini => {
            let content = &answer["candidates"][0]["content"];
            let calls = content["parts"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| &part["functionCall"]);
            let results: Vec<Value> = calls
                .filter(|call| call.is_object())
                .map(|call| json!({"functionResponse": {"id": call["id"], "name": call["name"], "response": {"output": "done"}}}))
                .collect();
            json!({"generationConfig": {"thinkingConfig": {"includeThoughts": true, "thinkingLevel": "high"}}, "contents": [
                {"role": "user", "parts": [{"text": "Test it."}]},
                content,
                {"role": "user", "parts": results},
            ]})
        }
    }
}

/// What the target is sent next.
fn comes_back(target: Family, name: &str, client: Family, model: &str, shows_thinking: bool) -> String {
    let body = std::fs::read(place("recorded", target).join(format!("{name}.json"))).unwrap();
    let mut plan = plan(target, client);
    plan.shows_thinking = shows_thinking;
    let (answer, _) = translate_answer(&plan, &body).unwrap();
    let request = next_request(client, &serde_json::from_slice(&answer).unwrap());
    let wanted = Wanted {
        model,
        shown_model: "coder",
        streams: false,
        default_output_tokens: 8000,
        cache_key: None,
        takes_cache_marks: false,
        can_think: true,
        answer_id: "01K",
        now_s: 1_700_000_001,
    };
    let translated = translate_request(client, target, request.to_string().as_bytes(), &wanted).unwrap();
    let text = String::from_utf8(translated.body).unwrap();
    let _: Value = serde_json::from_str(&text).unwrap();
    assert!(
        !text.contains("airside") && !text.contains("__airs_") && !text.contains("YWlyc2lkZT"),
        "{text}"
    );
    text
}

fn check(target: Family, name: &str, model: &str, expected: &[&str]) {
    for client in clients(target) {
        for shows_thinking in [true, false] {
            let sent = comes_back(target, name, client, model, shows_thinking);
            for expected in expected {
                assert!(
                    sent.contains(expected),
                    "{expected} is not in what {} sends: {sent}",
                    client.name()
                );
            }
        }
    }
}

#[test]
fn anthropic_gets_its_thoughts_and_signatures_back() {
    let expected = [
        "RXJRQg==",
        "Look at the tests.",
        "c2VjcmV0",
        "\"toolu_01\"",
        "\"toolu_02\"",
    ];
    check(Anthropic, "thinking_and_tools", "claude-opus-5-5", &expected);
}

#[test]
fn responses_gets_its_encrypted_reasoning_back() {
    let expected = ["\"gAAAA=\"", "\"gBBBB=\"", "\"rs_0\"", "\"call_a\"", "\"call_c\""];
    check(OpenaiResponses, "reasoning_and_tools", "gpt-6.1", &expected);
}

#[test]
fn a_chat_server_gets_its_reasoning_back() {
    let expected = ["\"reasoning_content\":\"Look at the tests.\"", "\"call_a\""];
    check(OpenaiChat, "reasoning", "deepseek-reasoner", &expected);
}

#[test]
fn google_gets_the_signatures_of_its_chat_dialect_back() {
    let expected = [
        r#""function":{"name":"bash","arguments":"{\"command\":\"ls\"}"},"extra_content":{"google":{"thought_signature":"CsQB+/=="}}"#,
        "\"call_a\"",
        "\"call_b\"",
    ];
    check(OpenaiChat, "signed_calls", "gemini-3.8-pro", &expected);
    for client in clients(OpenaiChat) {
        let sent = comes_back(OpenaiChat, "signed_calls", client, "gpt-6.1", true);
        assert!(!sent.contains("extra_content"), "{sent}");
    }
}

#[test]
fn gemini_gets_its_signatures_back() {
    check(
        Gemini,
        "thoughts_and_calls",
        "gemini-3.8-pro",
        &["\"thoughtSignature\":\"CsQB+/==\""],
    );
}
