use super::{Framed, Seen, SeenCall, json, text};
use serde_json::Value;

#[derive(Default)]
struct Reader {
    seen: Seen,
    next: u64,
    open: Option<Block>,
    has_started: bool,
    is_over: bool,
}

struct Block {
    kind: String,
    is_signed: bool,
}

pub(super) fn read(events: &[Framed]) -> Seen {
    let mut reader = Reader::default();
    for (name, data) in events {
        assert!(!reader.is_over, "an event behind the end: {data}");
        let event = json(data);
        let kind = text(&event, "type").to_owned();
        assert_eq!(name.as_deref(), Some(kind.as_str()));
        reader.event(&kind, &event);
    }
    assert!(reader.is_over, "the stream has no end");
    let seen = reader.seen;
    assert!(seen.stop.as_deref() != Some("tool_use") || !seen.calls.is_empty());
    seen
}

impl Reader {
    fn event(&mut self, kind: &str, event: &Value) {
        if kind == "error" {
            assert!(!text(&event["error"], "message").is_empty());
            assert!(text(&event["error"], "type").ends_with("_error"), "{event}");
            self.seen.error = Some(event["error"].clone());
            self.is_over = true;
            return;
        }
        assert_eq!(self.has_started, kind != "message_start", "{event}");
        match kind {
            "message_start" => self.start(&event["message"]),
            "content_block_start" => self.block(event),
            "content_block_delta" => self.delta(event),
            "content_block_stop" => {
                assert_eq!(event["index"], self.next);
                let block = self.open.take().expect("a block is open");
                assert!(
                    block.is_signed || block.kind != "thinking",
                    "thinking without a signature"
                );
                self.next += 1;
            }
            "message_delta" => {
                assert!(self.open.is_none() && self.seen.stop.is_none(), "{event}");
                self.seen.stop = Some(text(&event["delta"], "stop_reason").to_owned());
                self.seen.usage = event["usage"].clone();
                for count in [
                    "input_tokens",
                    "output_tokens",
                    "cache_read_input_tokens",
                    "cache_creation_input_tokens",
                ] {
                    assert!(event["usage"][count].is_u64(), "{event}");
                }
            }
            "message_stop" => {
                assert!(self.seen.stop.is_some());
                self.is_over = true;
            }
            _ => panic!("unknown event: {event}"),
        }
    }

    fn start(&mut self, message: &Value) {
        self.has_started = true;
        let counts = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
        let input: u64 = counts
            .iter()
            .map(|count| message["usage"][count].as_u64().unwrap())
            .sum();
        assert!(input > 0, "a cost of nothing: {message}");
        assert_eq!((text(message, "type"), text(message, "role")), ("message", "assistant"));
        assert_eq!(text(message, "model"), "coder");
        assert!(text(message, "id").starts_with("msg_"));
        assert_eq!(message["content"], Value::Array(Vec::new()));
    }

    fn block(&mut self, event: &Value) {
        assert!(
            self.open.is_none() && self.seen.stop.is_none(),
            "two blocks are open: {event}"
        );
        assert_eq!(event["index"], self.next);
        let block = &event["content_block"];
        let kind = text(block, "type");
        match kind {
            "text" => assert_eq!(text(block, "text"), ""),
            "thinking" => assert_eq!((text(block, "thinking"), text(block, "signature")), ("", "")),
            "redacted_thinking" => self.seen.sealed.push(text(block, "data").to_owned()),
            "tool_use" => {
                assert_eq!(block["input"], Value::Object(serde_json::Map::new()));
                let id = text(block, "id").to_owned();
                assert!(
                    id.bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)),
                    "{id}"
                );
                self.seen.calls.push(SeenCall {
                    id,
                    name: text(block, "name").to_owned(),
                    ..SeenCall::default()
                });
            }
            _ => panic!("unknown block: {event}"),
        }
        self.open = Some(Block {
            kind: kind.to_owned(),
            is_signed: false,
        });
    }

    fn delta(&mut self, event: &Value) {
        assert_eq!(event["index"], self.next);
        let block = self.open.as_mut().expect("a block is open");
        assert!(!block.is_signed, "a delta behind the signature");
        let delta = &event["delta"];
        match (block.kind.as_str(), text(delta, "type")) {
            ("text", "text_delta") => self.seen.text.push_str(text(delta, "text")),
            ("thinking", "thinking_delta") => self.seen.thinking.push_str(text(delta, "thinking")),
            ("thinking", "signature_delta") => {
                block.is_signed = true;
                self.seen.sealed.push(text(delta, "signature").to_owned());
            }
            ("tool_use", "input_json_delta") => {
                let call = self.seen.calls.last_mut().unwrap();
                call.arguments.push_str(text(delta, "partial_json"));
            }
            (block, delta) => panic!("{delta} in a block of {block}"),
        }
    }
}
