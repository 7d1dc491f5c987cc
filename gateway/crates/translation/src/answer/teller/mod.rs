//! What was heard, told in blocks of the caller's terms: the caller's names of tools, one block open at a time, what the
//! target wants back put where this caller keeps it. Streams and whole answers are told by the same rules.

mod block;
mod calls;
mod thinking;

use std::collections::BTreeSet;

use airside_protocols::{Family, Verdict};

pub(crate) use self::block::{Block, Call, End, Writer};
use super::counts::Counts;
use super::custom::Unwrapping;
use super::failure::Failure;
use super::heard::{Heard, Stop};
use crate::loss::Loss;
use crate::plan::AnswerPlan;

/// Of the model's text, about.
const BYTES_A_TOKEN: u64 = 4;

/// The block that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Text,
    Refusal,
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
    /// Text that is not told while the call that is the answer may still come, or the rest of a summary.
    preamble: String,
    /// What the target wants back and no block took.
    pending: Vec<String>,
    /// Calls that the caller was told of.
    calls: usize,
    /// Calls that the target made: the root of ids it did not give.
    all_calls: usize,
    /// The call that is the answer has begun.
    has_output: bool,
    /// Words of a refusal were told as such.
    has_refusal: bool,
    /// Calls that could not be told, because they cannot be read.
    broken_calls: usize,
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
            has_refusal: false,
            broken_calls: 0,
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
            Heard::Refusal(piece) => self.refusal(&piece, writer, out),
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
            Open::Text | Open::Refusal => {
                self.open = Open::Nothing;
                writer.close(None, out);
            }
            _ => self.call_over(writer, out),
        }
    }

    fn text(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if piece.is_empty() {
            return;
        }
        self.said(piece.len());
        if self.plan.output_tool.is_some() || self.plan.compacts {
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

    /// A refusal is a text of its own kind where the dialect knows one; elsewhere the reason to stop says it.
    fn refusal(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        if !is_openai(self.plan.client) {
            return self.text(piece, writer, out);
        }
        self.said(piece.len());
        if self.open != Open::Refusal {
            self.begin(Block::Refusal, Open::Refusal, writer, out);
        }
        self.has_refusal = true;
        writer.piece(piece, out);
    }

    /// Tell the text that was held back: as the summary that was asked for, or as text unless the answer came as a call.
    fn write_preamble(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        let preamble = std::mem::take(&mut self.preamble);
        if preamble.is_empty() {
            return;
        }
        if self.plan.compacts {
            // Blanks are no summary; that there is none, is for the caller to see.
            if !preamble.trim().is_empty() {
                self.begin(Block::Summary, Open::Text, writer, out);
                writer.piece(&preamble, out);
            }
        } else if self.has_output {
            self.losses.insert(Loss::of("text_beside_output"));
        } else {
            self.write_text(&preamble, writer, out);
        }
    }

    fn end(&mut self, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.start(writer, out);
        if self.plan.compacts && self.is_cut_short() {
            // Half a summary would replace the whole conversation.
            self.preamble.clear();
            self.losses.insert(Loss::of("summary"));
        }
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

    const fn is_cut_short(&self) -> bool {
        matches!(
            self.stop,
            Some((
                Stop::MaxTokens | Stop::ContextWindow | Stop::Refusal | Stop::ContentFilter,
                _
            ))
        )
    }

    /// Some servers say that they stopped, or were stopped by a tool, when the answer says otherwise.
    const fn true_stop(&self, stop: Stop) -> Stop {
        match stop {
            Stop::EndTurn | Stop::ToolUse if self.calls > 0 => Stop::ToolUse,
            Stop::EndTurn | Stop::ToolUse if self.broken_calls > 0 => Stop::MalformedCall,
            Stop::ToolUse => Stop::EndTurn,
            Stop::Refusal if self.has_refusal => Stop::EndTurn,
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
        let reply = failure.reply_in_stream(from, to, &message, &self.plan.answer_id);
        writer.fail(reply, out);
    }
}

/// The answer's id as far as it can be part of any dialect's ids.
pub(crate) fn root_of(plan: &AnswerPlan) -> String {
    plan.answer_id.chars().filter(|letter| is_plain(*letter)).collect()
}

const fn is_openai(family: Family) -> bool {
    matches!(family, Family::OpenaiResponses | Family::OpenaiChat)
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-".contains(letter)
}
