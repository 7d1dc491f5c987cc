//! `OpenAI` Responses: items that are added, filled by deltas and done.
//!
//! What counts is what was said by the end: a text or arguments that come only in a `done` event, in a finished item or
//! in the finished response are said then, and nothing is said twice.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{arguments_text, lenient, parsed};
use crate::answer::NotAnAnswer;
use crate::answer::counts::OpenaiUsage;
use crate::answer::failure::Failure;
use crate::answer::heard::{CallHead, Heard, Stop};
use crate::answer::sequence::{Ends, Kind, Sequence};

#[derive(Deserialize)]
struct Event {
    r#type: Option<String>,
    #[serde(default)]
    output_index: u64,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    item: Option<Item>,
    delta: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
    response: Option<Response>,
}

#[derive(Deserialize)]
struct Response {
    status: Option<String>,
    output: Option<Vec<Item>>,
    usage: Option<Box<RawValue>>,
    incomplete_details: Option<Incomplete>,
}

#[derive(Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Item {
    r#type: String,
    id: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<Box<RawValue>>,
    input: Option<String>,
    content: Option<Vec<ContentPart>>,
    summary: Option<Vec<ContentPart>>,
    encrypted_content: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ContentPart {
    text: Option<String>,
    refusal: Option<String>,
    annotations: Option<Vec<Value>>,
}

/// Which text of an item: what is said of each is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Content(u64),
    Refusal(u64),
    Summary(u64),
    Thought(u64),
    Arguments,
}

impl Place {
    const fn kind(self) -> Kind {
        match self {
            Self::Content(_) => Kind::Text,
            Self::Refusal(_) => Kind::Refusal,
            Self::Summary(_) | Self::Thought(_) => Kind::Thinking,
            Self::Arguments => Kind::Call,
        }
    }
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(crate) struct ResponsesReader {
    sequence: Sequence,
    /// How many bytes of each text were said.
    said: HashMap<(u64, Place), usize>,
    done: HashSet<u64>,
    refused: bool,
    has_started: bool,
}

impl ResponsesReader {
    pub(super) fn event(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<(), NotAnAnswer> {
        let mut event: Event = parsed(data)?;
        let kind = event.r#type.take();
        let kind = kind.as_deref().map_or(name.unwrap_or_default(), str::as_bytes);
        if !std::mem::replace(&mut self.has_started, true) {
            heard.push(Heard::Started);
        }
        let at = event.output_index;
        match kind {
            b"error" | b"response.failed" | b"response.cancelled" => {
                heard.push(Heard::Failed(failure_of(data)));
                return Ok(());
            }
            b"response.completed" | b"response.incomplete" => {
                self.end(&event.response.ok_or(NotAnAnswer)?, heard);
                return Ok(());
            }
            b"response.output_item.added" => self.added(at, &event.item.ok_or(NotAnAnswer)?, heard),
            b"response.output_item.done" => self.item_done(at, &event.item.ok_or(NotAnAnswer)?, heard),
            b"response.output_text.annotation.added" => heard.push(Heard::Lost("citations")),
            _ => self.piece(kind, &event),
        }
        self.sequence.advance(heard)
    }

    pub(super) fn whole(&mut self, body: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        let response: Response = parsed(body)?;
        let is_whole = matches!(response.status.as_deref(), Some("completed" | "incomplete") | None);
        if !is_whole || response.output.is_none() {
            return Err(NotAnAnswer);
        }
        heard.push(Heard::Started);
        self.end(&response, heard);
        Ok(())
    }

    /// Text or arguments, in pieces or all at once.
    fn piece(&mut self, kind: &[u8], event: &Event) {
        let content = Place::Content(event.content_index.unwrap_or(0));
        let refusal = Place::Refusal(event.content_index.unwrap_or(0));
        let summary = Place::Summary(event.summary_index.unwrap_or(0));
        let thought = Place::Thought(event.content_index.unwrap_or(0));
        let (place, whole) = match kind {
            b"response.output_text.delta" => (content, None),
            b"response.refusal.delta" => (refusal, None),
            b"response.output_text.done" => (content, event.text.as_deref()),
            b"response.refusal.done" => (refusal, event.refusal.as_deref()),
            b"response.reasoning_summary_text.delta" => (summary, None),
            b"response.reasoning_summary_text.done" => (summary, event.text.as_deref()),
            b"response.reasoning_text.delta" => (thought, None),
            b"response.reasoning_text.done" => (thought, event.text.as_deref()),
            b"response.function_call_arguments.delta" | b"response.custom_tool_call_input.delta" => {
                (Place::Arguments, None)
            }
            b"response.function_call_arguments.done" => (Place::Arguments, event.arguments.as_deref()),
            b"response.custom_tool_call_input.done" => (Place::Arguments, event.input.as_deref()),
            _ => return,
        };
        self.refused |= kind.starts_with(b"response.refusal");
        match (whole, &event.delta) {
            (Some(whole), _) => self.say_rest(event.output_index, place, whole),
            (None, Some(delta)) => self.say(event.output_index, place, delta),
            (None, None) => {}
        }
    }

    fn say(&mut self, at: u64, place: Place, piece: &str) {
        if piece.is_empty() || self.done.contains(&at) {
            return;
        }
        if place.kind() != Kind::Call {
            self.sequence.begin(at, place.kind(), Ends::Told);
        }
        let is_first = !self.said.contains_key(&(at, place));
        if is_first && matches!(place, Place::Summary(1..) | Place::Thought(1..)) {
            self.sequence.piece(at, place.kind(), "\n\n");
        }
        *self.said.entry((at, place)).or_default() += piece.len();
        self.sequence.piece(at, place.kind(), piece);
    }

    /// Say what of the whole was not said yet.
    fn say_rest(&mut self, at: u64, place: Place, whole: &str) {
        let said = self.said.get(&(at, place)).copied().unwrap_or(0);
        if let Some(rest) = whole.get(said..) {
            self.say(at, place, rest);
        }
    }

    fn added(&mut self, at: u64, item: &Item, heard: &mut Vec<Heard>) {
        match item.r#type.as_str() {
            "message" => {}
            "reasoning" => self.sequence.begin(at, Kind::Thinking, Ends::Told),
            "function_call" | "custom_tool_call" => {
                self.sequence.begin(at, Kind::Call, Ends::Told);
                if let Some(head) = self.sequence.head(at) {
                    *head = CallHead {
                        id: item.call_id.clone().or_else(|| item.id.clone()),
                        name: item.name.clone().unwrap_or_default(),
                        is_free_text: item.r#type == "custom_tool_call",
                        opaque: None,
                    };
                }
            }
            _ => heard.push(Heard::Lost("server_tools")),
        }
    }

    fn item_done(&mut self, at: u64, item: &Item, heard: &mut Vec<Heard>) {
        if self.done.contains(&at) {
            return;
        }
        match item.r#type.as_str() {
            "message" => self.message_done(at, item, heard),
            "reasoning" => {
                self.sequence.begin(at, Kind::Thinking, Ends::Told);
                for (number, part) in (0..).zip(item.summary.iter().flatten()) {
                    self.say_rest(at, Place::Summary(number), part.text.as_deref().unwrap_or_default());
                }
                for (number, part) in (0..).zip(item.content.iter().flatten()) {
                    self.say_rest(at, Place::Thought(number), part.text.as_deref().unwrap_or_default());
                }
                self.sequence.over(at, Kind::Thinking, sealed_reasoning(item));
            }
            "function_call" | "custom_tool_call" => {
                // An item that is done without having been added begins here; a head that came late does too.
                self.added(at, item, heard);
                let arguments = item.arguments.as_deref().map(arguments_text);
                let arguments = arguments.as_deref().or(item.input.as_deref());
                self.say_rest(at, Place::Arguments, arguments.unwrap_or_default());
                self.sequence.over(at, Kind::Call, None);
            }
            _ => heard.push(Heard::Lost("server_tools")),
        }
        self.done.insert(at);
    }

    fn message_done(&mut self, at: u64, item: &Item, heard: &mut Vec<Heard>) {
        for (number, part) in (0..).zip(item.content.iter().flatten()) {
            if let Some(refusal) = &part.refusal {
                self.refused = true;
                self.say_rest(at, Place::Refusal(number), refusal);
            }
            self.say_rest(at, Place::Content(number), part.text.as_deref().unwrap_or_default());
            if part.annotations.as_ref().is_some_and(|notes| !notes.is_empty()) {
                heard.push(Heard::Lost("citations"));
            }
        }
        self.sequence.over(at, Kind::Text, None);
        self.sequence.over(at, Kind::Refusal, None);
    }

    fn end(&mut self, response: &Response, heard: &mut Vec<Heard>) {
        for (at, item) in (0..).zip(response.output.iter().flatten()) {
            self.item_done(at, item, heard);
        }
        self.sequence.flush(heard);
        if let Some(usage) = lenient::<OpenaiUsage>(response.usage.as_deref()) {
            heard.push(Heard::Counted(usage.counts()));
        }
        let reason = response.incomplete_details.as_ref();
        let stop = match reason.and_then(|details| details.reason.as_deref()) {
            _ if self.refused => Stop::Refusal,
            Some("content_filter") => Stop::ContentFilter,
            Some(_) => Stop::MaxTokens,
            None if response.status.as_deref() == Some("incomplete") => Stop::MaxTokens,
            None => Stop::EndTurn,
        };
        heard.push(Heard::Stopped(stop, None));
        heard.push(Heard::Over);
    }
}

/// The item as the target wants it back; only what is encrypted means anything to it later.
fn sealed_reasoning(item: &Item) -> Option<String> {
    let encrypted = item.encrypted_content.as_deref().filter(|text| !text.is_empty())?;
    let summary: Vec<Value> = item
        .summary
        .iter()
        .flatten()
        .map(|part| json!({"type": "summary_text", "text": part.text}))
        .collect();
    let mut sealed = json!({"type": "reasoning", "summary": summary, "encrypted_content": encrypted});
    if let (Some(id), Some(members)) = (&item.id, sealed.as_object_mut()) {
        members.insert("id".to_owned(), Value::from(id.as_str()));
    }
    Some(sealed.to_string())
}

fn failure_of(data: &[u8]) -> Failure {
    let event: Value = serde_json::from_slice(data).unwrap_or_default();
    Failure::of_value(None, event.get("response").unwrap_or(&event))
}
