//! What a caller's stream must look like, by its dialect's own description; each reader panics where it does not.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use airside_protocols::{Family, events};
use serde_json::Value;

pub(crate) use self::gemini::read_array as read_gemini_array;
pub(crate) use self::responses::note_item;

/// What a caller understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    pub(crate) text: String,
    /// The words of a refusal, where the dialect keeps them apart.
    pub(crate) refusal: String,
    pub(crate) thinking: String,
    pub(crate) calls: Vec<SeenCall>,
    /// The items that replace a conversation, as they are sealed.
    pub(crate) compactions: Vec<String>,
    /// What the caller is to give back unread: signatures, encrypted items.
    pub(crate) sealed: Vec<String>,
    /// Why the model stopped, in the caller's word. `None` when an error ended the stream.
    pub(crate) stop: Option<String>,
    pub(crate) usage: Value,
    /// The error that ended the stream.
    pub(crate) error: Option<Value>,
}

/// A call of a tool.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SeenCall {
    /// How the dialect calls it, where it has several kinds.
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: String,
}

/// Read a stream of this family to its end.
pub(crate) fn read(client: Family, stream: &[u8]) -> Seen {
    let events = framed(stream);
    match client {
        Family::Anthropic => anthropic::read(&events),
        Family::OpenaiResponses => responses::read(&events),
        Family::OpenaiChat => chat::read(&events),
        Family::Gemini => gemini::read(&events),
    }
}

/// An event: its name and its data.
pub(crate) type Framed = (Option<String>, String);

/// The events, each framed as it must be.
fn framed(stream: &[u8]) -> Vec<Framed> {
    let text = std::str::from_utf8(stream).expect("UTF-8");
    assert!(
        text.is_empty() || text.ends_with("\n\n"),
        "an event is not over: {text:?}"
    );
    for frame in text.split_terminator("\n\n") {
        let lines: Vec<&str> = frame.lines().collect();
        match lines.as_slice() {
            [data] => assert!(data.starts_with("data: "), "{frame:?}"),
            [name, data] => assert!(name.starts_with("event: ") && data.starts_with("data: "), "{frame:?}"),
            _ => panic!("not one line of data: {frame:?}"),
        }
    }
    let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    events(stream)
        .map(|event| (event.name.map(owned), owned(&event.data)))
        .collect()
}

fn json(data: &str) -> Value {
    serde_json::from_str(data).unwrap_or_else(|_| panic!("not JSON: {data}"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key]
        .as_str()
        .unwrap_or_else(|| panic!("no text {key} in {value}"))
}

/// A stop at leisure has no calls waiting. Arguments must be one JSON object, except where something cut them. What a target makes up, the caller
/// gets: this holds for what well-behaved targets send.
pub(crate) fn check_calls(seen: &Seen) {
    let is_at_leisure = matches!(seen.stop.as_deref(), Some("end_turn" | "stop"));
    assert!(!is_at_leisure || seen.calls.is_empty(), "{seen:?}");
    let is_cut = matches!(
        seen.stop.as_deref(),
        None | Some("max_tokens" | "length" | "max_output_tokens")
    );
    for call in &seen.calls {
        let is_object = serde_json::from_str::<Value>(&call.arguments).is_ok_and(|value| value.is_object());
        assert!(is_object || is_cut || call.kind == "custom", "{call:?}");
        assert!(!call.name.is_empty() && !call.id.is_empty(), "{call:?}");
    }
}
