//! Answers that come in one piece say what the stream of the same content says.

use airside_protocols::Family;
use airside_translation::{NotAnAnswer, translate_answer};
use serde_json::{Value, json};

use crate::grammar::{Seen, SeenCall, note_item};
use crate::recording::{FAMILIES, clients, place, plan, recording, said};

/// The recording of each target that is there in one piece too.
const WHOLE: [(Family, &str); 5] = [
    (Family::Anthropic, "thinking_and_tools"),
    (Family::OpenaiResponses, "reasoning_and_tools"),
    (Family::OpenaiChat, "tools"),
    (Family::OpenaiChat, "reasoning"),
    (Family::Gemini, "thoughts_and_calls"),
];

fn read(client: Family, body: &[u8]) -> Seen {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let mut seen = Seen::default();
    match client {
        Family::Anthropic => read_anthropic(&mut seen, &answer),
        Family::OpenaiResponses => {
            for item in answer["output"].as_array().unwrap() {
                seen.sealed
                    .extend(item["encrypted_content"].as_str().map(str::to_owned));
                note_item(&mut seen, item);
            }
            seen.stop = answer["status"].as_str().map(str::to_owned);
            seen.usage = answer["usage"].clone();
        }
        Family::OpenaiChat => read_chat(&mut seen, &answer),
        Family::Gemini => seen = crate::grammar::read_gemini_array(json!([answer]).to_string().as_bytes()),
    }
    seen
}

fn owned(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn read_anthropic(seen: &mut Seen, message: &Value) {
    for block in message["content"].as_array().unwrap() {
        match block["type"].as_str().unwrap() {
            "text" => seen.text.push_str(block["text"].as_str().unwrap()),
            "thinking" => {
                seen.thinking.push_str(block["thinking"].as_str().unwrap());
                seen.sealed.push(owned(&block["signature"]));
            }
            "redacted_thinking" => seen.sealed.push(owned(&block["data"])),
            "tool_use" => seen.calls.push(SeenCall {
                kind: String::new(),
                id: owned(&block["id"]),
                name: owned(&block["name"]),
                arguments: block["input"].to_string(),
            }),
            kind => panic!("unknown block {kind}"),
        }
    }
    seen.stop = message["stop_reason"].as_str().map(str::to_owned);
    seen.usage = message["usage"].clone();
}

fn read_chat(seen: &mut Seen, completion: &Value) {
    let choice = &completion["choices"][0];
    let message = &choice["message"];
    seen.text = owned(&message["content"]);
    seen.thinking = owned(&message["reasoning_content"]);
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        seen.calls.push(SeenCall {
            kind: owned(&call["type"]),
            id: owned(&call["id"]),
            name: owned(&call["function"]["name"]),
            arguments: owned(&call["function"]["arguments"]),
        });
    }
    seen.stop = choice["finish_reason"].as_str().map(str::to_owned);
    seen.usage = completion["usage"].clone();
}

/// Arguments as values: spaces between tokens mean nothing.
fn comparable(mut seen: Seen) -> Seen {
    for call in &mut seen.calls {
        let value: Value = serde_json::from_str(&call.arguments).unwrap();
        call.arguments = value.to_string();
    }
    seen
}

#[test]
fn a_whole_answer_says_what_its_stream_says() {
    for (target, name) in WHOLE {
        let body = std::fs::read(place("recorded", target).join(format!("{name}.json"))).unwrap();
        for client in clients(target) {
            let (whole, losses) = translate_answer(&plan(target, client), &body).unwrap();
            let stream = said(&recording(target, name), client);
            let streamed = comparable(stream.read(client));
            assert_eq!(
                comparable(read(client, &whole)),
                streamed,
                "{} for {}",
                name,
                client.name()
            );
            let losses: Vec<String> = losses.into_iter().map(|loss| loss.field.into_owned()).collect();
            assert_eq!(losses, stream.losses);
        }
    }
}

#[test]
fn an_error_or_nonsense_with_a_good_status_is_no_answer() {
    let bodies: [(Family, &[&str]); 4] = [
        (
            Family::Anthropic,
            &[
                r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#,
                "{}",
                "[]",
                "<html>",
            ],
        ),
        (
            Family::OpenaiResponses,
            &[
                r#"{"status":"failed","error":{"code":"server_error"},"output":[]}"#,
                "{}",
                r#"{"status":"completed"}"#,
                "",
            ],
        ),
        (
            Family::OpenaiChat,
            &[
                r#"{"error":{"message":"no"}}"#,
                r#"{"choices":[]}"#,
                "{}",
                r#"{"choices":[{"index":0}]}"#,
                "null",
            ],
        ),
        (
            Family::Gemini,
            &[
                r#"{"error":{"code":503,"message":"no"}}"#,
                "{}",
                r#"{"candidates":[{"content":{"parts":[{"text":"x"}]}}]}"#,
                "7",
            ],
        ),
    ];
    for (target, bodies) in bodies {
        for client in clients(target) {
            for body in bodies {
                let answer = translate_answer(&plan(target, client), body.as_bytes());
                assert_eq!(answer, Err(NotAnAnswer), "{body}");
            }
        }
    }
}

#[test]
fn half_a_call_is_not_run_as_if_it_were_whole() {
    let body = json!({"choices": [{"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": null,
        "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "bash", "arguments": "{\"command\":\"rm -rf /"}}]}}]});
    for client in [Family::Anthropic, Family::Gemini] {
        let (answer, losses) =
            translate_answer(&plan(Family::OpenaiChat, client), body.to_string().as_bytes()).unwrap();
        let seen = read(client, &answer);
        assert!(seen.calls.is_empty(), "{seen:?}");
        assert_eq!(losses.first().map(|loss| loss.field.as_ref()), Some("tool_arguments"));
    }
}

#[test]
fn every_pair_has_a_whole_answer() {
    let pairs = FAMILIES
        .into_iter()
        .flat_map(|target| clients(target).map(move |client| (target, client)));
    assert_eq!(pairs.count(), 12);
    assert!(
        FAMILIES
            .iter()
            .all(|family| WHOLE.iter().any(|(target, _)| target == family))
    );
}
