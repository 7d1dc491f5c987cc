//! For callers of `OpenAI` Responses: items that are added, filled and done, each event numbered, and the whole response
//! once more at the end.

use airside_protocols::{ErrorReply, Family, ObjectWriter, stream_error};
use serde_json::value::RawValue;

use super::items::{Item, Progress, summary_part, text_part};
use super::{Collector, array, event, object, raw};
use crate::answer::counts::Counts;
use crate::answer::heard::Stop;
use crate::answer::teller::{Block, End, Writer, root_of};
use crate::plan::{AnswerPlan, ToolKind};

/// What a response repeats of its request, and what it says where the request is silent.
const DEFAULTS: [(&str, &str); 12] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
];

/// What every response object of one answer holds.
#[derive(Debug)]
struct Head {
    root: String,
    model: String,
    created_s: u64,
    echoed: Vec<(String, Box<RawValue>)>,
}

/// How far the response is.
enum Status<'a> {
    InProgress,
    Ended(&'a End),
    Failed(ErrorReply<'a>),
}

impl Head {
    fn new(plan: &AnswerPlan) -> Self {
        Self {
            root: root_of(plan),
            model: plan.shown_model.clone(),
            created_s: u64::try_from(plan.created_s).unwrap_or(0),
            echoed: plan.echoed.clone(),
        }
    }

    fn write(&self, response: &mut ObjectWriter<'_>, status: &Status<'_>, output: &[Vec<u8>]) {
        let reason = match status {
            Status::Ended(end) => incomplete_reason(end.stop),
            Status::InProgress | Status::Failed(_) => None,
        };
        response.text("id", &format!("resp_{}", self.root));
        response.text("object", "response");
        response.number("created_at", self.created_s);
        response.text("status", status.name());
        match status {
            Status::Failed(reply) => response.object("error", |error| {
                error.text("code", reply.code);
                error.text("message", reply.message);
            }),
            Status::InProgress | Status::Ended(_) => response.optional_text("error", None),
        }
        match reason {
            Some(reason) => response.object("incomplete_details", |details| details.text("reason", reason)),
            None => response.optional_text("incomplete_details", None),
        }
        response.text("model", &self.model);
        array(response.key("output"), output.iter().map(Vec::as_slice));
        match status {
            Status::Ended(end) => response.object("usage", |usage| end.counts.write_responses(usage)),
            Status::InProgress | Status::Failed(_) => response.optional_text("usage", None),
        }
        self.write_settings(response);
    }

    fn write_settings(&self, response: &mut ObjectWriter<'_>) {
        for (name, value) in &self.echoed {
            raw(response, name, value.get().as_bytes());
        }
        for (name, value) in DEFAULTS {
            if !self.echoed.iter().any(|(echoed, _)| echoed == name) {
                raw(response, name, value.as_bytes());
            }
        }
    }
}

impl Status<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Failed(_) => "failed",
            Self::Ended(end) if incomplete_reason(end.stop).is_some() => "incomplete",
            Self::Ended(_) => "completed",
        }
    }
}

const fn incomplete_reason(stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::MaxTokens | Stop::ContextWindow => Some("max_output_tokens"),
        Stop::Refusal | Stop::ContentFilter => Some("content_filter"),
        Stop::EndTurn | Stop::ToolUse | Stop::Sequence | Stop::PauseTurn | Stop::MalformedCall => None,
    }
}

/// Writes one stream.
#[derive(Debug)]
pub(super) struct ResponsesWriter {
    head: Head,
    sequence: u64,
    /// The items that are done.
    output: Vec<Vec<u8>>,
    open: Option<Item>,
}

impl ResponsesWriter {
    pub(super) fn new(plan: &AnswerPlan) -> Self {
        Self {
            head: Head::new(plan),
            sequence: 0,
            output: Vec::new(),
            open: None,
        }
    }

    fn event(&mut self, name: &str, out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        let sequence = self.sequence;
        self.sequence += 1;
        event(out, Some(name), |event| {
            event.text("type", name);
            event.number("sequence_number", sequence);
            write(event);
        });
    }

    fn response(&mut self, name: &str, status: &Status<'_>, out: &mut Vec<u8>) {
        let mut response = Vec::with_capacity(1024);
        object(&mut response, |response| {
            self.head.write(response, status, &self.output);
        });
        self.event(name, out, |event| raw(event, "response", &response));
    }

    /// An event about an item as a whole.
    fn item_event(&mut self, name: &str, item: &[u8], out: &mut Vec<u8>) {
        let place = self.place();
        self.event(name, out, |event| {
            event.number("output_index", place);
            raw(event, "item", item);
        });
    }

    /// An event about a part of the item that is open: `inside` names the number of the part, if it has one.
    fn part_event(
        &mut self,
        name: &str,
        inside: Option<&str>,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut ObjectWriter<'_>),
    ) {
        let place = self.place();
        let id = self.open.as_ref().map(|item| item.id.clone()).unwrap_or_default();
        self.event(name, out, |event| {
            event.text("item_id", &id);
            event.number("output_index", place);
            if let Some(inside) = inside {
                event.number(inside, 0);
            }
            write(event);
        });
    }

    fn place(&self) -> u64 {
        self.output.len() as u64
    }

    fn done(&mut self, out: &mut Vec<u8>) {
        if let Some(item) = self.open.take() {
            let json = item.json(Progress::Done);
            self.item_event("response.output_item.done", &json, out);
            self.output.push(json);
        }
    }
}

/// How an item is filled, event by event.
#[derive(Clone, Copy)]
struct Filling {
    /// The events' name, before `.delta` and `.done`.
    event: &'static str,
    /// The member of `.done` that holds the text.
    member: &'static str,
    part: Option<Part>,
}

/// The part that holds an item's text.
#[derive(Clone, Copy)]
struct Part {
    event: &'static str,
    /// The member that holds the part's number.
    number: &'static str,
    json: fn(&str) -> Vec<u8>,
}

impl Filling {
    /// `None` for items that are said at once.
    const fn of(block: &Block) -> Option<Self> {
        let (event, member, part) = match block {
            Block::Text => (
                "response.output_text",
                "text",
                Some(Part {
                    event: "response.content_part",
                    number: "content_index",
                    json: text_part,
                }),
            ),
            Block::Thinking => (
                "response.reasoning_summary_text",
                "text",
                Some(Part {
                    event: "response.reasoning_summary_part",
                    number: "summary_index",
                    json: summary_part,
                }),
            ),
            Block::Call(call) => match call.tool.kind {
                ToolKind::Function => ("response.function_call_arguments", "arguments", None),
                ToolKind::Custom => ("response.custom_tool_call_input", "input", None),
                ToolKind::LocalShell => return None,
            },
            Block::Hidden(_) => return None,
        };
        Some(Self { event, member, part })
    }
}

impl Writer for ResponsesWriter {
    fn start(&mut self, _counts: &Counts, out: &mut Vec<u8>) {
        self.response("response.created", &Status::InProgress, out);
        self.response("response.in_progress", &Status::InProgress, out);
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        let filling = Filling::of(&block);
        let is_hidden = matches!(block, Block::Hidden(_));
        let item = Item::new(&self.head.root, self.output.len(), block);
        let json = item.json(Progress::Added);
        self.open = Some(item);
        // What a shell is to run is known at the end only, and its item has no events in between.
        if filling.is_some() || is_hidden {
            self.item_event("response.output_item.added", &json, out);
        }
        if let Some(part) = filling.and_then(|filling| filling.part) {
            self.part_event(&format!("{}.added", part.event), Some(part.number), out, |event| {
                raw(event, "part", &(part.json)(""));
            });
        }
        if is_hidden {
            self.done(out);
        }
    }

    fn piece(&mut self, piece: &str, out: &mut Vec<u8>) {
        let Some(item) = &mut self.open else { return };
        item.text.push_str(piece);
        let is_text = item.block == Block::Text;
        let Some(filling) = Filling::of(&item.block) else {
            return;
        };
        let number = filling.part.map(|part| part.number);
        self.part_event(&format!("{}.delta", filling.event), number, out, |event| {
            event.text("delta", piece);
            write_logprobs(event, is_text);
        });
    }

    fn close(&mut self, sealed: Option<String>, out: &mut Vec<u8>) {
        let Some(item) = &mut self.open else { return };
        item.sealed = sealed;
        let (text, is_text) = (item.text.clone(), item.block == Block::Text);
        let Some(filling) = Filling::of(&item.block) else {
            let added = item.json(Progress::Added);
            self.item_event("response.output_item.added", &added, out);
            self.done(out);
            return;
        };
        let number = filling.part.map(|part| part.number);
        self.part_event(&format!("{}.done", filling.event), number, out, |event| {
            event.text(filling.member, &text);
            write_logprobs(event, is_text);
        });
        if let Some(part) = filling.part {
            self.part_event(&format!("{}.done", part.event), number, out, |event| {
                raw(event, "part", &(part.json)(&text));
            });
        }
        self.done(out);
    }

    fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        let status = Status::Ended(end);
        self.response(&format!("response.{}", status.name()), &status, out);
    }

    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        self.response("response.failed", &Status::Failed(reply), out);
    }

    fn cut(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&stream_error(Family::OpenaiResponses, reply, self.sequence));
    }

    fn count(&mut self, _counts: &Counts) {}
}

/// Texts have them, if only empty ones.
fn write_logprobs(event: &mut ObjectWriter<'_>, is_text: bool) {
    if is_text {
        array(event.key("logprobs"), []);
    }
}

/// A whole response.
pub(super) fn whole(plan: &AnswerPlan, collected: &Collector) -> Vec<u8> {
    let head = Head::new(plan);
    let output: Vec<Vec<u8>> = collected
        .blocks
        .iter()
        .enumerate()
        .map(|(place, filled)| {
            let mut item = Item::new(&head.root, place, filled.block.clone());
            item.text.clone_from(&filled.text);
            item.sealed.clone_from(&filled.sealed);
            item.json(Progress::Done)
        })
        .collect();
    let status = collected.end.as_ref().map_or(Status::InProgress, Status::Ended);
    let mut out = Vec::with_capacity(2048);
    object(&mut out, |response| head.write(response, &status, &output));
    out
}
