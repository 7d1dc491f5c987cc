//! Whatever a body holds, translating it neither panics nor makes something that is not JSON; and what was said to
//! another family and back is what it was.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail in its helpers too"
)]

use airside_protocols::{Family, MAX_DEPTH};
use airside_translation::{
    TranslatedRequest, Untranslatable, Wanted, strip_foreign_thinking, strip_sealed_thinking, translate_request,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const FAMILIES: [Family; 4] = [
    Family::Anthropic,
    Family::OpenaiResponses,
    Family::OpenaiChat,
    Family::Gemini,
];

/// Words that decoders look at.
const WORDS: &[&str] = &[
    "messages",
    "input",
    "contents",
    "parts",
    "content",
    "role",
    "type",
    "text",
    "user",
    "assistant",
    "system",
    "model",
    "tool",
    "developer",
    "tools",
    "function",
    "functions",
    "functionDeclarations",
    "parameters",
    "input_schema",
    "name",
    "tool_choice",
    "tool_use",
    "tool_result",
    "tool_use_id",
    "id",
    "call_id",
    "function_call",
    "function_call_output",
    "output",
    "arguments",
    "functionCall",
    "functionResponse",
    "response",
    "args",
    "thinking",
    "signature",
    "reasoning",
    "encrypted_content",
    "thoughtSignature",
    "image",
    "source",
    "base64",
    "url",
    "data",
    "media_type",
    "image_url",
    "inlineData",
    "mimeType",
    "file",
    "document",
    "message",
    "required",
    "any",
    "auto",
    "none",
    "generationConfig",
    "thinkingConfig",
    "thinkingBudget",
    "responseSchema",
    "response_format",
    "json_schema",
    "schema",
    "properties",
    "items",
    "anyOf",
    "nullable",
    "additional_tools",
    "namespace",
    "custom",
    "custom_tool_call",
    "local_shell_call",
    "action",
    "tool_calls",
    "tool_call_id",
    "stop",
    "max_tokens",
    "temperature",
    "n",
    "instructions",
    "output_config",
    "format",
    "effort",
    "high",
    "cache_control",
    "allowed_tools",
    "mode",
    "data:image/png;base64,AA==",
    "call__airs_Z2VtaW5pOiJhIg",
    "airside:gemini:ImEi",
    "airside:anthropic:e30=",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i32>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        word().prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 96, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::vec((word(), inner), 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Turns of the right shape with anything in them, so that the encoders are reached.
fn body(family: Family) -> impl Strategy<Value = Value> {
    let turns = prop::collection::vec(
        (
            prop::sample::select(&["user", "assistant", "system", "tool", "model"]),
            json(),
        ),
        1..5,
    );
    (turns, json(), json()).prop_map(move |(turns, tools, extra)| {
        let (list, content) = match family {
            Family::Anthropic | Family::OpenaiChat => ("messages", "content"),
            Family::OpenaiResponses => ("input", "content"),
            Family::Gemini => ("contents", "parts"),
        };
        let turns: Vec<_> = turns
            .into_iter()
            .map(|(role, inner)| json!({"role": role, content: inner}))
            .collect();
        let mut body = json!({list: turns, "tools": tools});
        if let (Some(body), Value::Object(extra)) = (body.as_object_mut(), extra) {
            for (key, value) in extra {
                body.entry(key).or_insert(value);
            }
        }
        body
    })
}

fn translated(from: Family, to: Family, body: &[u8]) -> Result<TranslatedRequest, Untranslatable> {
    let wanted = Wanted {
        model: "some-model",
        shown_model: "coder",
        streams: true,
        default_output_tokens: 4_096,
        cache_key: None,
        takes_cache_marks: false,
        can_think: true,
        answer_id: "a1",
        now_s: 0,
    };
    translate_request(from, to, body, &wanted)
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok()
}

fn check_all(body: &[u8]) -> Result<(), TestCaseError> {
    for from in FAMILIES {
        for to in FAMILIES.into_iter().filter(|to| *to != from) {
            if let Ok(done) = translated(from, to, body) {
                prop_assert!(is_json(&done.body));
                let told: Vec<_> = done.losses.iter().map(|loss| &loss.field).collect();
                prop_assert!(told.is_sorted_by(|one, next| one < next));
            }
        }
        for (out, _) in [strip_foreign_thinking(from, body), strip_sealed_thinking(from, body)]
            .into_iter()
            .flatten()
        {
            prop_assert!(is_json(&out));
        }
    }
    Ok(())
}

/// What both sides said, and which calls were made and answered.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    User(String),
    Model(String),
    Call { id: String, name: String, arguments: Value },
    Result { id: String, text: String },
}

fn conversation() -> impl Strategy<Value = Vec<Said>> {
    let text = "[a-z\"\\\\\u{e9}\u{1f600}\n]{1,12}[a-z]";
    let name = "[A-Za-z_][A-Za-z0-9_-]{0,63}";
    let arguments = prop::collection::vec(("[a-z\"\u{e9}]{1,6}", any::<i64>()), 0..4)
        .prop_map(|members| Value::Object(members.into_iter().map(|(key, value)| (key, value.into())).collect()));
    let step = (text, prop::collection::vec((name, arguments, text), 1..3), text);
    (text, prop::collection::vec(step, 0..4)).prop_map(|(first, steps)| {
        let mut said = vec![Said::User(first)];
        for (number, (before, calls, after)) in steps.into_iter().enumerate() {
            said.push(Said::Model(before));
            let id = |call: usize| format!("call_{number}_{call}");
            for (call, (name, arguments, _)) in calls.iter().enumerate() {
                said.push(Said::Call {
                    id: id(call),
                    name: name.clone(),
                    arguments: arguments.clone(),
                });
            }
            for (call, (_, _, text)) in calls.into_iter().enumerate() {
                said.push(Said::Result { id: id(call), text });
            }
            said.push(Said::User(after));
        }
        said
    })
}

/// The conversation in a dialect, one turn for each thing said: joining them is the translator's affair.
fn written(family: Family, said: &[Said]) -> Value {
    let mut names = std::collections::HashMap::new();
    let turns: Vec<Value> = said
        .iter()
        .map(|said| {
            if let Said::Call { id, name, .. } = said {
                names.insert(id.clone(), name.clone());
            }
            match (family, said) {
                (Family::Anthropic | Family::OpenaiChat | Family::OpenaiResponses, Said::User(text)) => json!({"role": "user", "content": text}),
                (Family::Anthropic, Said::Model(text)) => json!({"role": "assistant", "content": [{"type": "text", "text": text}]}),
                (Family::Anthropic, Said::Call { id, name, arguments }) => json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": name, "input": arguments}]}),
                (Family::Anthropic, Said::Result { id, text }) => json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": text}]}),
                (Family::OpenaiChat, Said::Model(text)) => json!({"role": "assistant", "content": text}),
                (Family::OpenaiChat, Said::Call { id, name, arguments }) => json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": name, "arguments": arguments.to_string()}}]}),
                (Family::OpenaiChat, Said::Result { id, text }) => json!({"role": "tool", "tool_call_id": id, "content": text}),
                (Family::OpenaiResponses, Said::Model(text)) => {
                    json!({"role": "assistant", "content": [{"type": "output_text", "text": text}]})
                }
                (Family::OpenaiResponses, Said::Call { id, name, arguments }) => json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments.to_string()}),
                (Family::OpenaiResponses, Said::Result { id, text }) => json!({"type": "function_call_output", "call_id": id, "output": text}),
                (Family::Gemini, Said::User(text)) => json!({"role": "user", "parts": [{"text": text}]}),
                (Family::Gemini, Said::Model(text)) => json!({"role": "model", "parts": [{"text": text}]}),
                (Family::Gemini, Said::Call { id, name, arguments }) => json!({"role": "model", "parts": [{"functionCall": {"id": id, "name": name, "args": arguments}}]}),
                (Family::Gemini, Said::Result { id, text }) => json!({"role": "user", "parts": [{"functionResponse": {"id": id, "name": names[id], "response": {"output": text}}}]}),
            }
        })
        .collect();
    match family {
        Family::Anthropic | Family::OpenaiChat => json!({"messages": turns, "max_tokens": 5}),
        Family::OpenaiResponses => json!({"input": turns}),
        Family::Gemini => json!({"contents": turns}),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What a body of this family says.
fn read(family: Family, body: &Value) -> Vec<Said> {
    match family {
        Family::Anthropic => each(&body["messages"])
            .flat_map(|message| {
                each(&message["content"])
                    .map(|block| read_anthropic(message, block))
                    .collect::<Vec<_>>()
            })
            .collect(),
        Family::OpenaiChat => each(&body["messages"]).flat_map(read_chat).collect(),
        Family::OpenaiResponses => each(&body["input"]).flat_map(read_item).collect(),
        Family::Gemini => each(&body["contents"])
            .flat_map(|content| {
                each(&content["parts"])
                    .map(|part| read_part(content, part))
                    .collect::<Vec<_>>()
            })
            .collect(),
    }
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn read_anthropic(message: &Value, block: &Value) -> Said {
    match block["type"].as_str().unwrap() {
        "tool_use" => Said::Call {
            id: text_of(&block["id"]),
            name: text_of(&block["name"]),
            arguments: block["input"].clone(),
        },
        "tool_result" => Said::Result {
            id: text_of(&block["tool_use_id"]),
            text: text_of(&block["content"]),
        },
        _ if message["role"] == "user" => Said::User(text_of(&block["text"])),
        _ => Said::Model(text_of(&block["text"])),
    }
}

fn read_chat(message: &Value) -> Vec<Said> {
    let text = text_of(&message["content"]);
    match message["role"].as_str().unwrap() {
        "user" => vec![Said::User(text)],
        "tool" => vec![Said::Result {
            id: text_of(&message["tool_call_id"]),
            text,
        }],
        _ => {
            let said = (!text.is_empty()).then_some(Said::Model(text));
            let calls = each(&message["tool_calls"]).map(|call| Said::Call {
                id: text_of(&call["id"]),
                name: text_of(&call["function"]["name"]),
                arguments: serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap(),
            });
            said.into_iter().chain(calls).collect()
        }
    }
}

fn read_item(item: &Value) -> Vec<Said> {
    match item["type"].as_str().unwrap() {
        "function_call" => vec![Said::Call {
            id: text_of(&item["call_id"]),
            name: text_of(&item["name"]),
            arguments: serde_json::from_str(item["arguments"].as_str().unwrap()).unwrap(),
        }],
        "function_call_output" => vec![Said::Result {
            id: text_of(&item["call_id"]),
            text: text_of(&item["output"]),
        }],
        _ => each(&item["content"])
            .map(|part| match item["role"].as_str().unwrap() {
                "user" => Said::User(text_of(&part["text"])),
                _ => Said::Model(text_of(&part["text"])),
            })
            .collect(),
    }
}

fn read_part(content: &Value, part: &Value) -> Said {
    let call = &part["functionCall"];
    let returned = &part["functionResponse"];
    if call.is_object() {
        Said::Call {
            id: text_of(&call["id"]),
            name: text_of(&call["name"]),
            arguments: call["args"].clone(),
        }
    } else if returned.is_object() {
        Said::Result {
            id: text_of(&returned["id"]),
            text: text_of(&returned["response"]["output"]),
        }
    } else if content["role"] == "user" {
        Said::User(text_of(&part["text"]))
    } else {
        Said::Model(text_of(&part["text"]))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_json_makes_a_translation_panic(body in json()) {
        check_all(body.to_string().as_bytes())?;
    }

    #[test]
    fn no_turn_makes_a_translation_panic(body in prop::sample::select(&FAMILIES[..]).prop_flat_map(body)) {
        check_all(body.to_string().as_bytes())?;
    }

    #[test]
    fn no_bytes_make_a_translation_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        check_all(&bytes)?;
    }

    #[test]
    fn what_went_to_another_family_and_back_is_what_it_was(said in conversation()) {
        for from in FAMILIES {
            let body = written(from, &said).to_string();
            for to in FAMILIES.into_iter().filter(|to| *to != from) {
                let there = translated(from, to, body.as_bytes()).unwrap();
                let there: Value = serde_json::from_slice(&there.body).unwrap();
                prop_assert_eq!(read(to, &there), said.clone(), "{:?} to {:?}", from, to);
                let back = translated(to, from, there.to_string().as_bytes()).unwrap();
                let back: Value = serde_json::from_slice(&back.body).unwrap();
                prop_assert_eq!(read(from, &back), said.clone(), "{:?} to {:?} and back", from, to);
            }
        }
    }

    #[test]
    fn arguments_are_copied_as_they_were_written(number in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?(e[+-]?[0-9]{1,2})?", space in "[ \n]{0,2}") {
        let arguments = format!("{{{space}\"z\":{number},\"a\":{{\"\\u00e9\\/\":[{space}]}}}}");
        let body = format!(
            r#"{{"max_tokens":1,"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":[{{"type":"tool_use","id":"i","name":"n","input":{arguments}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"i","content":"y"}}]}}]}}"#
        );
        let gemini = translated(Family::Anthropic, Family::Gemini, body.as_bytes()).unwrap().body;
        let expected = format!("\"args\":{arguments}");
        prop_assert!(String::from_utf8(gemini).unwrap().contains(&expected));
        let chat = translated(Family::Anthropic, Family::OpenaiChat, body.as_bytes()).unwrap().body;
        let back = translated(Family::OpenaiChat, Family::Anthropic, &chat).unwrap().body;
        let expected = format!("\"input\":{arguments}");
        prop_assert!(String::from_utf8(back).unwrap().contains(&expected));
    }
}

#[test]
fn nesting_has_a_bound() {
    let body = |depth: usize| {
        let nested = format!(
            "{}{}",
            "{\"properties\":".repeat(depth),
            "1".to_owned() + &"}".repeat(depth)
        );
        format!(
            r#"{{"max_tokens":1,"output_config":{{"format":{{"schema":{nested}}}}},"messages":[{{"role":"user","content":"x"}}]}}"#
        )
    };
    for to in [Family::OpenaiChat, Family::OpenaiResponses, Family::Gemini] {
        assert!(translated(Family::Anthropic, to, body(MAX_DEPTH - 4).as_bytes()).is_ok());
        let refused = translated(Family::Anthropic, to, body(MAX_DEPTH + 1).as_bytes()).unwrap_err();
        assert_eq!(refused.code, "malformed_request");
    }
}
