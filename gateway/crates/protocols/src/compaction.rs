//! Compaction for providers that have none: the request that asks for a summary instead, the answer that carries it
//! as a `compaction` item, and the way back, where such an item becomes the summary again.
//!
//! A `compaction` item is sealed by whoever made it. Those made here are marked and hold the summary itself: it is the
//! caller's own conversation, and goes to nobody but the caller.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use memchr::memmem::Finder;
use serde_json::{Value, json};

use crate::json::{top_level_member, top_level_text};
use crate::members::{array_elements, object_members};

/// What the content of an item made here begins with.
const MARK: &str = "airside-summary-1.";
static SEARCH_OF_THE_MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));
/// The members of a request for compaction that a request for its summary has too.
const KEPT: [&str; 9] = [
    "model",
    "instructions",
    "tools",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "service_tier",
    "client_metadata",
];
/// What asks a model for the summary.
pub const SUMMARY_PROMPT: &str = "\
Write a summary of this conversation for another model that will go on with the work and sees nothing else of it. Say \
what the user wants and which constraints and preferences they gave, what was done and decided and why, which files, \
commands and results matter (with their names and values), what failed, and what remains to be done next. Do not call \
tools. Answer with the summary only.";
const INTRODUCTION: &str = "\
The conversation so far was replaced by this summary, written by the model that had it before. Build on what was done:";
/// Of the user's own messages, the latest are kept as they are, up to so many bytes.
const MOST_OF_THE_USERS: usize = 64 << 10;

/// The body of the ordinary request whose answer is the summary. `None` when this is no request for compaction.
#[must_use]
pub fn summary_request(body: &[u8]) -> Option<Vec<u8>> {
    let members = object_members(body)?;
    let mut request = b"{".to_vec();
    for (key, value) in members.iter().filter(|(key, _)| KEPT.contains(&key.as_ref())) {
        request.extend_from_slice(json!(key).to_string().as_bytes());
        request.push(b':');
        request.extend_from_slice(value);
        request.push(b',');
        if key == "tools" && array_elements(value).is_some_and(|tools| !tools.is_empty()) {
            request.extend_from_slice(br#""tool_choice":"none","#);
        }
    }
    request.extend_from_slice(b"\"input\":[");
    if let Some((_, input)) = members.iter().find(|(key, _)| key == "input") {
        if let Some(elements) = array_elements(input) {
            for element in elements {
                request.extend_from_slice(input.get(element)?);
                request.push(b',');
            }
        } else if input.starts_with(b"\"") {
            request.extend_from_slice(br#"{"type":"message","role":"user","content":"#);
            request.extend_from_slice(input);
            request.extend_from_slice(b"},");
        }
    }
    request.extend_from_slice(message(SUMMARY_PROMPT).to_string().as_bytes());
    request.extend_from_slice(br#"],"store":false,"stream":false}"#);
    Some(request)
}

fn message(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

/// The answer to a request for compaction: the user's latest messages, then the summary in an item of its own. `None`
/// when the answer to `summary_request` holds no summary.
#[must_use]
pub fn compacted(request: &[u8], answer: &[u8], id: &str, created_at: i64) -> Option<Vec<u8>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let parts = answer.get("output")?.as_array()?.iter();
    let parts = parts.filter_map(|item| item.get("content")?.as_array()).flatten();
    let words: Vec<&str> = parts.filter_map(|part| part.get("text")?.as_str()).collect();
    let summary = words.join("\n");
    if summary.trim().is_empty() {
        return None;
    }
    let item = json!({"type": "compaction", "id": format!("cmp_{id}"), "encrypted_content": sealed_summary(&summary)});
    let mut output = latest_of_the_user(request);
    output.push(item);
    let whole = json!({"id": format!("resp_{id}"), "object": "response.compaction", "created_at": created_at,
                       "output": output, "usage": answer.get("usage")});
    Some(whole.to_string().into_bytes())
}

/// A summary as the `encrypted_content` of a `compaction` item.
#[must_use]
pub fn sealed_summary(summary: &str) -> String {
    format!("{MARK}{}", URL_SAFE_NO_PAD.encode(summary))
}

fn latest_of_the_user(request: &[u8]) -> Vec<Value> {
    let input = top_level_member(request, "input").and_then(|range| request.get(range));
    let elements = input.and_then(array_elements).unwrap_or_default();
    let items = elements.into_iter().filter_map(|element| input?.get(element));
    let of_the_user = items.filter(|item| {
        let is_message = top_level_text(item, "type").is_none_or(|kind| kind == "message");
        is_message && top_level_text(item, "role").as_deref() == Some("user")
    });
    let mut bytes = 0;
    let mut kept: Vec<Value> = Vec::new();
    for item in of_the_user.collect::<Vec<_>>().into_iter().rev() {
        bytes += item.len();
        if bytes > MOST_OF_THE_USERS {
            break;
        }
        kept.extend(serde_json::from_slice::<Value>(item));
    }
    kept.reverse();
    kept
}

/// The request with each `compaction` item that was made here replaced by the summary in it; every other byte stays. `None`
/// if there is no such item.
#[must_use]
pub fn with_summaries(body: &[u8]) -> Option<Bytes> {
    SEARCH_OF_THE_MARK.find(body)?;
    replaced(body).map(Bytes::from)
}

fn replaced(body: &[u8]) -> Option<Vec<u8>> {
    let input = top_level_member(body, "input")?;
    let items = array_elements(body.get(input.clone())?)?;
    let mut whole = Vec::with_capacity(body.len());
    let mut copied = 0;
    for item in items {
        let (start, end) = (input.start + item.start, input.start + item.end);
        let Some(summary) = summary_in(body.get(start..end)?) else {
            continue;
        };
        whole.extend_from_slice(body.get(copied..start)?);
        whole.extend_from_slice(message(&format!("{INTRODUCTION}\n\n{summary}")).to_string().as_bytes());
        copied = end;
    }
    whole.extend_from_slice(body.get(copied..)?);
    (copied > 0).then_some(whole)
}

fn summary_in(item: &[u8]) -> Option<String> {
    if !top_level_text(item, "type")?.starts_with("compaction") {
        return None;
    }
    let content = top_level_text(item, "encrypted_content")?;
    let summary = URL_SAFE_NO_PAD.decode(content.strip_prefix(MARK)?).ok()?;
    String::from_utf8(summary).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = r#"{"model":"m","instructions":"be brief","stream":true,"tools":[{"type":"function"}],"input":[{"type":"message","role":"user","content":"first"},{"type":"function_call","call_id":"c"},{"role":"user","content":"second"}]}"#;

    fn read(text: &[u8]) -> Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn a_summary_is_asked_for_with_the_whole_conversation() {
        let request = read(&summary_request(REQUEST.as_bytes()).unwrap());
        assert_eq!(
            (&request["model"], &request["instructions"]),
            (&json!("m"), &json!("be brief"))
        );
        assert_eq!(
            (&request["stream"], &request["tool_choice"]),
            (&json!(false), &json!("none"))
        );
        let input = request["input"].as_array().unwrap();
        assert_eq!(input.len(), 4);
        assert_eq!(input[3]["content"][0]["text"], SUMMARY_PROMPT);
        let text = read(&summary_request(br#"{"model":"m","input":"hi"}"#).unwrap());
        assert_eq!(text["input"][0]["content"], "hi");
        assert_eq!(summary_request(b"[]"), None);
    }

    #[test]
    fn the_summary_goes_out_sealed_and_comes_back_open() {
        let answer = json!({"output": [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "s\u{fc}m"}]}],
                            "usage": {"input_tokens": 1}});
        let whole = read(&compacted(REQUEST.as_bytes(), answer.to_string().as_bytes(), "1", 5).unwrap());
        assert_eq!(
            (&whole["object"], &whole["usage"]["input_tokens"]),
            (&json!("response.compaction"), &json!(1))
        );
        let output = whole["output"].as_array().unwrap();
        assert_eq!(
            (&output[0]["content"], &output[1]["content"]),
            (&json!("first"), &json!("second"))
        );
        assert_eq!(output[2]["type"], "compaction");
        let next = format!(r#"{{"input":[ {} , {{"a":1e3}}],"x":1}}"#, output[2]);
        let opened = with_summaries(next.as_bytes()).unwrap();
        let text = String::from_utf8(opened.to_vec()).unwrap();
        assert!(text.ends_with(r#" , {"a":1e3}],"x":1}"#), "{text}");
        let said = read(text.as_bytes())["input"][0]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(said.ends_with("\n\ns\u{fc}m"), "{said}");
    }

    #[test]
    fn what_others_sealed_stays_as_it_is() {
        for body in [
            r#"{"input":[{"type":"compaction","encrypted_content":"gAAA"}]}"#,
            r#"{"input":[{"type":"compaction","encrypted_content":"airside-summary-1.%%%"}]}"#,
            r#"{"input":[{"type":"message","encrypted_content":"airside-summary-1.aGk"}]}"#,
            r#"{"input":"airside-summary-1.aGk"}"#,
            "airside-summary-1.",
        ] {
            assert_eq!(with_summaries(body.as_bytes()), None);
        }
    }

    #[test]
    fn no_summary_is_no_compaction() {
        for answer in [
            "",
            "{}",
            r#"{"output":[]}"#,
            r#"{"output":[{"content":[{"text":" "}]}]}"#,
        ] {
            assert_eq!(compacted(REQUEST.as_bytes(), answer.as_bytes(), "1", 5), None);
        }
    }
}
