//! For callers of `OpenAI` Responses: items that are added, filled and done, each event numbered, and the whole response
//! once more at the end.

use airside_protocols::{ErrorReply, Family, ObjectWriter, stream_error};

use super::items::{Item, Progress, refusal_part, summary_part, text_part};
use super::response::{Head, Status};
use super::{Collector, array, event, object, raw};
use crate::answer::counts::Counts;
use crate::answer::teller::{Block, End, Writer};
use crate::plan::{AnswerPlan, ToolKind};

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
            Block::Refusal => (
                "response.refusal",
                "refusal",
                Some(Part {
                    event: "response.content_part",
                    number: "content_index",
                    json: refusal_part,
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
            Block::Summary | Block::Hidden(_) => return None,
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
        // What a shell is to run is known at the end only, as is a summary: their items have no events in between.
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
