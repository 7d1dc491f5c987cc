use super::{Framed, Seen, SeenCall, json, text};
use serde_json::{Value, json};
use std::collections::HashSet;

#[derive(Default)]
struct Reader {
    seen: Seen,
    number: u64,
    output: Vec<Value>,
    ids: HashSet<String>,
    open: Option<Open>,
    is_over: bool,
}

/// The item that is open.
struct Open {
    item: Value,
    text: String,
    /// A part was added and is not done.
    has_part: bool,
    /// Its text is done.
    is_filled: bool,
}

pub(super) fn read(events: &[Framed]) -> Seen {
    let mut reader = Reader::default();
    for (name, data) in events {
        assert!(!reader.is_over, "an event behind the end: {data}");
        let event = json(data);
        let kind = text(&event, "type").to_owned();
        assert_eq!(name.as_deref(), Some(kind.as_str()));
        assert_eq!(event["sequence_number"], reader.number, "{event}");
        reader.event(&kind, &event);
        reader.number += 1;
    }
    assert!(reader.is_over, "the stream has no end");
    reader.seen
}

impl Reader {
    fn event(&mut self, kind: &str, event: &Value) {
        if kind == "error" {
            assert!(!text(event, "message").is_empty());
            self.seen.error = Some(event.clone());
            self.is_over = true;
            return;
        }
        match self.number {
            0 => assert_eq!(kind, "response.created"),
            1 => assert_eq!(kind, "response.in_progress"),
            _ => {}
        }
        match kind {
            "response.created" | "response.in_progress" => {
                assert!(self.number < 2);
                check_response(&event["response"], "in_progress");
            }
            "response.completed" | "response.incomplete" | "response.failed" => self.end(kind, &event["response"]),
            _ => {
                assert_eq!(event["output_index"], self.output.len() as u64, "{event}");
                self.item_event(kind, event);
            }
        }
    }

    fn item_event(&mut self, kind: &str, event: &Value) {
        if kind == "response.output_item.added" {
            assert!(self.open.is_none(), "two items are open");
            let item = event["item"].clone();
            assert!(self.ids.insert(text(&item, "id").to_owned()), "an id twice: {item}");
            self.open = Some(Open {
                item,
                text: String::new(),
                has_part: false,
                is_filled: false,
            });
            return;
        }
        if kind == "response.output_item.done" {
            let open = self.open.take().expect("an item is open");
            assert!(!open.has_part);
            check_done(&open, &event["item"]);
            self.output.push(event["item"].clone());
            self.note(&event["item"]);
            return;
        }
        let open = self.open.as_mut().expect("an item is open");
        assert_eq!(event["item_id"], open.item["id"]);
        check_place(kind, event, &open.item);
        match kind.rsplit_once('.').unwrap() {
            ("response.content_part" | "response.reasoning_summary_part", "added") => {
                assert!(!open.has_part && !open.is_filled);
                assert_eq!(part_text(&event["part"]), "");
                open.has_part = true;
            }
            ("response.content_part" | "response.reasoning_summary_part", "done") => {
                assert!(open.has_part && open.is_filled);
                assert_eq!(part_text(&event["part"]), open.text);
                open.has_part = false;
            }
            (filled, "delta") => {
                assert!(!open.is_filled && fills(filled, &open.item), "{event}");
                open.text.push_str(text(event, "delta"));
            }
            (filled, "done") => {
                assert!(!open.is_filled && fills(filled, &open.item), "{event}");
                let member = if filled == "response.refusal" {
                    "refusal"
                } else {
                    member_of(&open.item)
                };
                assert_eq!(text(event, member), open.text);
                open.is_filled = true;
            }
            _ => panic!("unknown event: {event}"),
        }
    }

    fn note(&mut self, item: &Value) {
        let sealed = item["encrypted_content"].as_str();
        if let Some(sealed) = sealed.filter(|_| item["type"] == "reasoning") {
            self.seen.sealed.push(sealed.to_owned());
        }
        note_item(&mut self.seen, item);
    }

    fn end(&mut self, kind: &str, response: &Value) {
        let status = kind.strip_prefix("response.").unwrap();
        check_response(response, status);
        assert_eq!(response["output"], Value::Array(self.output.clone()));
        if status == "failed" {
            assert!(!text(&response["error"], "code").is_empty() && !text(&response["error"], "message").is_empty());
            self.seen.error = Some(response["error"].clone());
        } else {
            assert!(self.open.is_none(), "an item is open at the end");
            let reason = response["incomplete_details"]["reason"].as_str();
            assert_eq!(status == "incomplete", reason.is_some());
            self.seen.stop = Some(reason.unwrap_or("completed").to_owned());
            self.seen.usage = response["usage"].clone();
        }
        self.is_over = true;
    }
}

/// Parts are numbered, and belong to items of their kind.
fn check_place(kind: &str, event: &Value, item: &Value) {
    let is_content = ["response.content_part", "response.output_text", "response.refusal"]
        .iter()
        .any(|start| kind.starts_with(start));
    if is_content {
        assert_eq!((&event["content_index"], text(item, "type")), (&json!(0), "message"));
    } else if kind.starts_with("response.reasoning_summary") {
        assert_eq!((&event["summary_index"], text(item, "type")), (&json!(0), "reasoning"));
    }
}

/// Take over what a finished item says.
pub(crate) fn note_item(seen: &mut Seen, item: &Value) {
    let call = |kind: &str, name: String, arguments: String| SeenCall {
        kind: kind.to_owned(),
        id: text(item, "call_id").to_owned(),
        name,
        arguments,
    };
    let full_name = || match item["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", text(item, "name")),
        None => text(item, "name").to_owned(),
    };
    match text(item, "type") {
        "message" => match text(&item["content"][0], "type") {
            "refusal" => seen.refusal.push_str(text(&item["content"][0], "refusal")),
            _ => seen.text.push_str(text(&item["content"][0], "text")),
        },
        "reasoning" => {
            for part in item["summary"].as_array().unwrap() {
                seen.thinking.push_str(text(part, "text"));
            }
        }
        "compaction" => seen.compactions.push(text(item, "encrypted_content").to_owned()),
        "function_call" => {
            let arguments = text(item, "arguments").to_owned();
            seen.calls.push(call("function", full_name(), arguments));
        }
        "custom_tool_call" => seen
            .calls
            .push(call("custom", full_name(), text(item, "input").to_owned())),
        "local_shell_call" => {
            assert_eq!(text(&item["action"], "type"), "exec");
            assert!(item["action"]["command"].is_array() && item["action"]["env"].is_object());
            seen.calls
                .push(call("shell", "local_shell".to_owned(), item["action"].to_string()));
        }
        kind => panic!("unknown item {kind}"),
    }
}

fn check_response(response: &Value, status: &str) {
    assert_eq!(
        (text(response, "object"), text(response, "status")),
        ("response", status)
    );
    assert_eq!(text(response, "model"), "coder");
    assert!(text(response, "id").starts_with("resp_"));
    assert!(response["created_at"].is_u64() && response["tools"].is_array());
    if matches!(status, "completed" | "incomplete") {
        let usage = &response["usage"];
        let total = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
        assert_eq!(usage["total_tokens"], total);
        assert!(usage["input_tokens_details"]["cached_tokens"].is_u64());
    }
}

fn check_done(open: &Open, item: &Value) {
    assert_eq!((&open.item["id"], &open.item["type"]), (&item["id"], &item["type"]));
    if text(item, "type") == "message" {
        assert_eq!(part_text(&item["content"][0]), open.text);
    } else if item[member_of(item)].is_string() {
        assert!(open.is_filled);
        assert_eq!(text(item, member_of(item)), open.text);
    }
}

fn fills(event: &str, item: &Value) -> bool {
    match text(item, "type") {
        "message" => matches!(event, "response.output_text" | "response.refusal"),
        "reasoning" => event == "response.reasoning_summary_text",
        "function_call" => event == "response.function_call_arguments",
        "custom_tool_call" => event == "response.custom_tool_call_input",
        _ => false,
    }
}

fn part_text(part: &Value) -> &str {
    let member = if part["type"] == "refusal" { "refusal" } else { "text" };
    text(part, member)
}

fn member_of(item: &Value) -> &'static str {
    match text(item, "type") {
        "function_call" => "arguments",
        "custom_tool_call" => "input",
        _ => "text",
    }
}
