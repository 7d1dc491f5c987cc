//! What was heard, told in blocks of the caller's terms: the caller's names of tools, one block open at a time, what the
//! target wants back put where this caller keeps it. Streams and whole answers are told by the same rules.

use std::collections::BTreeSet;

use airside_protocols::{ErrorReply, Family, Verdict};

use super::counts::Counts;
use super::custom::{Unwrapping, escaped};
use super::failure::Failure;
use super::heard::{CallHead, Heard, Stop};
use super::sequence::is_one_object;
use crate::loss::Loss;
use crate::opaque::{seal, tag_call_id};
use crate::plan::{AnswerPlan, ClientTool, ToolKind};

/// More than this is not put into the id of a call.
const MOST_TAGGED_BYTES: usize = 64 << 10;

/// Of the model's text, about.
const BYTES_A_TOKEN: u64 = 4;

/// Writes an answer in one dialect. Called in order: `start`, then for each block `open`, `piece`s and `close`, then
/// `end` or `fail`.
pub(crate) trait Writer {
    fn start(&mut self, counts: &Counts, out: &mut Vec<u8>);
    fn open(&mut self, block: Block, out: &mut Vec<u8>);
    fn piece(&mut self, piece: &str, out: &mut Vec<u8>);
    /// `sealed`: of thinking, what the target wants back of it.
    fn close(&mut self, sealed: Option<String>, out: &mut Vec<u8>);
    fn end(&mut self, end: &End, out: &mut Vec<u8>);
    /// The target gave up.
    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>);
    /// The target is gone.
    fn cut(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        self.fail(reply, out);
    }
    /// The counts so far, for dialects that repeat them.
    fn count(&mut self, counts: &Counts);
}

/// A block of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Text,
    Thinking,
    /// Thinking that is not shown.
    Hidden(String),
    Call(Call),
}

/// A call in the caller's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) tool: ClientTool,
    /// What the target wants back with it, for dialects whose calls have a field for it.
    pub(crate) sealed: Option<String>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) stop: Stop,
    pub(crate) stop_sequence: Option<String>,
    pub(crate) counts: Counts,
}

/// The block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Thinking,
    /// Arguments as they come.
    Arguments {
        any: bool,
    },
    /// Arguments of a custom tool.
    Input,
    /// Free text that the caller knows as the argument of a function.
    Wrapped,
    /// Arguments that are written when they are whole.
    Held,
    /// The call whose arguments are the answer's text.
    Output,
}

/// Whether the answer has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Silent,
    /// At the target.
    Heard,
    /// To the caller.
    Told,
}

/// Tells one answer.
#[derive(Debug)]
pub(crate) struct Teller {
    plan: AnswerPlan,
    /// Calls are told when their arguments are known to be an object, because the dialect writes one.
    holds_calls: bool,
    open: Open,
    unwrapping: Unwrapping,
    held: Option<(Block, String)>,
    /// Text that is not told while the call that is the answer may still come.
    preamble: String,
    /// What the target wants back and no block took.
    pending: Vec<String>,
    /// Calls that the caller was told of.
    calls: usize,
    /// Calls that the target made: the root of ids it did not give.
    all_calls: usize,
    /// The call that is the answer has begun.
    has_output: bool,
    has_broken_call: bool,
    stage: Stage,
    stop: Option<(Stop, Option<String>)>,
    counts: Counts,
    pub(crate) verdict: Verdict,
    pub(crate) content_bytes: u64,
    pub(crate) losses: BTreeSet<Loss>,
}

impl Teller {
    /// A teller; `is_whole` when the answer is written in one piece.
    pub(crate) fn new(plan: AnswerPlan, is_whole: bool) -> Self {
        let writes_objects = plan.client == Family::Gemini || is_whole && plan.client == Family::Anthropic;
        Self {
            plan,
            holds_calls: writes_objects,
            open: Open::Nothing,
            unwrapping: Unwrapping::default(),
            held: None,
            preamble: String::new(),
            pending: Vec::new(),
            calls: 0,
            all_calls: 0,
            has_output: false,
            has_broken_call: false,
            stage: Stage::Silent,
            stop: None,
            counts: Counts::default(),
            verdict: Verdict::default(),
            content_bytes: 0,
            losses: BTreeSet::new(),
        }
    }

    /// Tell what was heard. Nothing is told after the end or a failure.
    pub(crate) fn tell(&mut self, heard: Heard, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if self.verdict.finished || self.verdict.failed {
            return;
        }
        match heard {
            Heard::Started => self.stage = self.stage.max(Stage::Heard),
            Heard::Counted(counts) => {
                self.counts = counts;
                writer.count(&self.best_counts());
            }
            Heard::Text(piece) => self.text(&piece, writer, out),
            Heard::Thinking(piece) => self.thinking(&piece, writer, out),
            Heard::ThinkingOver(data) => self.thinking_over(data, writer, out),
            Heard::CallBegan(call) => self.call(call, writer, out),
            Heard::Arguments(piece) => self.arguments(&piece, writer, out),
            Heard::CallOver => self.call_over(writer, out),
            Heard::Stopped(stop, sequence) => {
                self.verdict.began = true;
                self.stop = Some((stop, sequence));
            }
            Heard::Over => self.end(writer, out),
            Heard::Failed(failure) => self.fail(&failure, writer, out),
            Heard::Lost(field) => {
                self.losses.insert(Loss::of(field));
            }
        }
    }

    /// All that one event meant was told. The caller's stream begins with the target's, not with its first content: it
    /// is then known whether the target counts at its start, and nobody takes a long thought for a dead line.
    pub(crate) fn pause(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if self.stage == Stage::Heard && !self.verdict.failed {
            self.start(writer, out);
        }
    }

    fn start(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if self.stage < Stage::Told {
            self.stage = Stage::Told;
            writer.start(&self.best_counts(), out);
        }
    }

    /// What the target counted, or else about how much it was: callers that see nothing counted take the call for free,
    /// and their context for empty.
    fn best_counts(&self) -> Counts {
        let mut counts = self.counts;
        if counts.tokens.total_input() == 0 {
            counts.tokens.input_uncached = self.plan.estimated_input;
        }
        if counts.tokens.output == 0 {
            counts.tokens.output = self.content_bytes / BYTES_A_TOKEN;
        }
        counts
    }

    fn said(&mut self, bytes: usize) {
        self.verdict.began = true;
        self.content_bytes = self.content_bytes.saturating_add(bytes as u64);
    }

    fn begin(&mut self, block: Block, open: Open, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.start(writer, out);
        self.shut(writer, out);
        writer.open(block, out);
        self.open = open;
    }

    /// Close the text or the thinking that is open. Calls are closed by `call_over`.
    fn shut(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        match self.open {
            Open::Nothing => {}
            Open::Thinking => self.thinking_over(None, writer, out),
            Open::Text => {
                self.open = Open::Nothing;
                writer.close(None, out);
            }
            _ => self.call_over(writer, out),
        }
    }

    // --- text and thinking -----------------------------------------------------------------------------------------

    fn text(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.said(piece.len());
        if self.plan.output_tool.is_some() {
            self.preamble.push_str(piece);
            return;
        }
        self.write_text(piece, writer, out);
    }

    fn write_text(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if self.open != Open::Text {
            self.begin(Block::Text, Open::Text, writer, out);
        }
        writer.piece(piece, out);
    }

    /// Tell the text that was held back, unless the answer came as a call.
    fn write_preamble(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let preamble = std::mem::take(&mut self.preamble);
        if preamble.is_empty() {
            return;
        }
        if self.has_output {
            self.losses.insert(Loss::of("text_beside_output"));
        } else {
            self.write_text(&preamble, writer, out);
        }
    }

    fn thinking(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.said(piece.len());
        if !self.plan.shows_thinking || piece.is_empty() {
            return;
        }
        if self.open != Open::Thinking {
            self.begin(Block::Thinking, Open::Thinking, writer, out);
        }
        writer.piece(piece, out);
    }

    fn thinking_over(&mut self, data: Option<String>, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let (client, issuer) = (self.plan.client, self.plan.target);
        let has_field = matches!(client, Family::Anthropic | Family::OpenaiResponses);
        let is_shown = self.open == Open::Thinking;
        if is_shown {
            self.open = Open::Nothing;
            // Without data the mark still says whose thinking this is, so that no other vendor is given it.
            let sealed = seal(client, issuer, data.as_deref().unwrap_or_else(|| nothing_of(issuer)));
            writer.close(has_field.then_some(sealed), out);
        }
        let Some(data) = data else { return };
        if is_shown && has_field {
            return;
        }
        if self.plan.shows_thinking && has_field {
            self.verdict.began = true;
            self.begin(Block::Hidden(seal(client, issuer, &data)), Open::Nothing, writer, out);
        } else if issuer == Family::Gemini {
            // It would have to go with the text that follows, for which no caller has a place.
            self.losses.insert(Loss::of("thought_signature"));
        } else {
            self.pending.push(data);
        }
    }

    // --- calls -----------------------------------------------------------------------------------------------------

    fn call(&mut self, head: CallHead, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.said(head.name.len());
        let number = self.all_calls;
        self.all_calls += 1;
        if self.plan.output_tool.as_deref() == Some(head.name.as_str()) {
            if std::mem::replace(&mut self.has_output, true) {
                self.losses.insert(Loss::of("second_output"));
                return;
            }
            if self.open != Open::Text {
                self.begin(Block::Text, Open::Text, writer, out);
            }
            self.open = Open::Output;
            return;
        }
        self.write_preamble(writer, out);
        let tool = self.plan.tools.client_tool(&head.name);
        let open = match (tool.kind, head.is_free_text) {
            (ToolKind::Custom, true) => Open::Arguments { any: true },
            (ToolKind::Custom, false) => Open::Input,
            (_, true) => Open::Wrapped,
            (kind, false) if self.holds_calls || kind == ToolKind::LocalShell => Open::Held,
            (_, false) => Open::Arguments { any: false },
        };
        let (id, sealed) = self.identity(head, number);
        let block = Block::Call(Call { id, tool, sealed });
        self.unwrapping = Unwrapping::default();
        if open == Open::Held {
            self.shut(writer, out);
            self.held = Some((block, String::new()));
            self.open = open;
            return;
        }
        self.calls += 1;
        self.begin(block, open, writer, out);
        if open == Open::Wrapped {
            writer.piece("{\"input\":\"", out);
        }
    }

    /// The call's id, and what the target wants back with it: in the field of Gemini's calls, else in the id.
    fn identity(&mut self, head: CallHead, number: usize) -> (String, Option<String>) {
        let id = match head.id {
            // Anthropic takes no other letters in ids, and the conversation may go there next.
            Some(id) if self.plan.client == Family::Anthropic => id.replace(|letter| !is_plain(letter), "_"),
            Some(id) => id,
            None => format!("call_{}_{number}", root_of(&self.plan)),
        };
        let issuer = self.plan.target;
        let Some(data) = head
            .opaque
            .or_else(|| joined(issuer, std::mem::take(&mut self.pending)))
        else {
            return (id, None);
        };
        if self.plan.client == Family::Gemini {
            (id, Some(seal(Family::Gemini, issuer, &data)))
        } else if data.len() > MOST_TAGGED_BYTES {
            self.losses.insert(Loss::of("thinking_signature"));
            (id, None)
        } else {
            (tag_call_id(&id, issuer, &data), None)
        }
    }

    fn arguments(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.said(piece.len());
        match self.open {
            Open::Arguments { .. } => {
                self.open = Open::Arguments { any: true };
                writer.piece(piece, out);
            }
            Open::Output => writer.piece(piece, out),
            Open::Wrapped => writer.piece(&escaped(piece), out),
            Open::Input => {
                let text = self.unwrapping.push(piece);
                if !text.is_empty() {
                    writer.piece(&text, out);
                }
            }
            Open::Held => {
                if let Some((_, held)) = &mut self.held {
                    held.push_str(piece);
                }
            }
            Open::Nothing | Open::Text | Open::Thinking => {}
        }
    }

    fn call_over(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if matches!(self.open, Open::Nothing | Open::Text | Open::Thinking) {
            return;
        }
        match std::mem::replace(&mut self.open, Open::Nothing) {
            Open::Held => return self.write_held(writer, out),
            // A caller that parses the arguments must find JSON even where the target wrote nothing.
            Open::Arguments { any: false } => writer.piece("{}", out),
            Open::Nothing | Open::Text | Open::Thinking | Open::Arguments { any: true } => {}
            Open::Output => {
                self.open = Open::Text;
                return;
            }
            Open::Wrapped => writer.piece("\"}", out),
            Open::Input => {
                let rest = self.unwrapping.finish();
                if !rest.is_empty() {
                    writer.piece(&rest, out);
                }
            }
        }
        writer.close(None, out);
    }

    fn write_held(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let Some((block, arguments)) = self.held.take() else {
            return;
        };
        let arguments = if arguments.trim_ascii().is_empty() {
            "{}"
        } else {
            arguments.as_str()
        };
        if !is_one_object(arguments) {
            // Half of a call must not be run as if it were one.
            self.has_broken_call = true;
            self.losses.insert(Loss::of("tool_arguments"));
            return;
        }
        self.calls += 1;
        self.begin(block, Open::Nothing, writer, out);
        writer.piece(arguments, out);
        writer.close(None, out);
    }

    // --- the end ---------------------------------------------------------------------------------------------------

    fn end(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.start(writer, out);
        self.write_preamble(writer, out);
        self.shut(writer, out);
        self.verdict.began = true;
        self.verdict.finished = true;
        let (stop, stop_sequence) = self.stop.take().unwrap_or((Stop::EndTurn, None));
        let end = End {
            stop: self.true_stop(stop),
            stop_sequence,
            counts: self.best_counts(),
        };
        if end.stop == Stop::PauseTurn && self.plan.client != Family::Anthropic {
            self.losses.insert(Loss::of("pause_turn"));
        }
        writer.end(&end, out);
    }

    /// Some servers say that they stopped, or were stopped by a tool, when the answer says otherwise.
    const fn true_stop(&self, stop: Stop) -> Stop {
        match stop {
            Stop::EndTurn | Stop::ToolUse if self.calls > 0 => Stop::ToolUse,
            Stop::EndTurn | Stop::ToolUse if self.has_broken_call => Stop::MalformedCall,
            Stop::ToolUse => Stop::EndTurn,
            _ => stop,
        }
    }

    fn fail(&mut self, failure: &Failure, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let (from, to) = (self.plan.target, self.plan.client);
        if to == Family::OpenaiResponses {
            // The failure is told as the end of a response, so there must be one.
            self.start(writer, out);
        }
        self.verdict.failed = true;
        let message = failure.message(to);
        writer.fail(failure.reply(from, to, &message, &self.plan.answer_id), out);
    }
}

/// The answer's id as far as it can be part of any dialect's ids.
pub(crate) fn root_of(plan: &AnswerPlan) -> String {
    plan.answer_id.chars().filter(|letter| is_plain(*letter)).collect()
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-".contains(letter)
}

/// Data of an issuer that puts nothing back (see `opaque.rs`).
const fn nothing_of(issuer: Family) -> &'static str {
    match issuer {
        Family::Anthropic | Family::OpenaiResponses => "[]",
        Family::OpenaiChat => "{}",
        Family::Gemini => "\"\"",
    }
}

/// Several data of one issuer as one.
fn joined(issuer: Family, mut pending: Vec<String>) -> Option<String> {
    let last = pending.pop()?;
    let is_list = matches!(issuer, Family::Anthropic | Family::OpenaiResponses);
    if pending.is_empty() || !is_list {
        return Some(last);
    }
    pending.push(last);
    Some(format!("[{}]", pending.join(",")))
}
