//! For callers of Gemini: every chunk has the shape of a whole answer. The stream is events, or one array in pieces.

use airside_protocols::{ErrorReply, Family, ObjectWriter, error_body, stream_error};

use super::{Collector, array, event, object, raw};
use crate::answer::counts::Counts;
use crate::answer::heard::Stop;
use crate::answer::teller::{Block, Call, End, Writer, root_of};
use crate::plan::AnswerPlan;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct GeminiWriter {
    id: String,
    model: String,
    is_array: bool,
    /// The array's bracket was written.
    is_open: bool,
    counts: Counts,
    block: Block,
    /// The arguments of the call that is open: they are said whole.
    arguments: String,
}

impl GeminiWriter {
    pub(super) fn new(plan: &AnswerPlan) -> Self {
        Self {
            id: root_of(plan),
            model: plan.shown_model.clone(),
            is_array: plan.gemini_array,
            is_open: false,
            counts: Counts::default(),
            block: Block::Text,
            arguments: String::new(),
        }
    }

    fn chunk(&mut self, part: &[u8], finish: Option<&str>, out: &mut Vec<u8>) {
        if self.is_array {
            self.separate(out);
            object(out, |chunk| self.write(chunk, part, finish));
        } else {
            event(out, None, |chunk| self.write(chunk, part, finish));
        }
    }

    /// What stands before an element of the array.
    fn separate(&mut self, out: &mut Vec<u8>) {
        let is_first = !std::mem::replace(&mut self.is_open, true);
        out.extend_from_slice(if is_first { b"[" } else { b",\r\n" });
    }

    fn write(&self, chunk: &mut ObjectWriter<'_>, part: &[u8], finish: Option<&str>) {
        write_answer(chunk, &[part], finish, &self.counts, (&self.model, &self.id));
    }
}

impl Writer for GeminiWriter {
    fn start(&mut self, counts: &Counts, _out: &mut Vec<u8>) {
        self.counts = *counts;
    }

    fn open(&mut self, block: Block, _out: &mut Vec<u8>) {
        self.arguments.clear();
        self.block = block;
    }

    fn piece(&mut self, piece: &str, out: &mut Vec<u8>) {
        if matches!(self.block, Block::Call(_)) {
            self.arguments.push_str(piece);
        } else {
            let part = part_of(&self.block, piece);
            self.chunk(&part, None, out);
        }
    }

    fn close(&mut self, _sealed: Option<String>, out: &mut Vec<u8>) {
        if matches!(self.block, Block::Call(_)) {
            let part = part_of(&self.block, &self.arguments);
            self.chunk(&part, None, out);
        }
    }

    fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        self.counts = end.counts;
        let part = part_of(&Block::Text, "");
        self.chunk(&part, Some(finish_reason(end.stop)), out);
        if self.is_array {
            out.push(b']');
        }
    }

    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        if self.is_array {
            self.separate(out);
            out.extend_from_slice(&error_body(Family::Gemini, reply));
            out.push(b']');
        } else {
            out.extend_from_slice(&stream_error(Family::Gemini, reply, 0));
        }
    }

    fn count(&mut self, counts: &Counts) {
        self.counts = *counts;
    }
}

/// A whole answer.
pub(super) fn whole(plan: &AnswerPlan, collected: &Collector) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let blocks = collected.blocks.iter();
    let parts: Vec<Vec<u8>> = blocks.map(|filled| part_of(&filled.block, &filled.text)).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let (finish, counts) = match &collected.end {
        Some(end) => (Some(finish_reason(end.stop)), end.counts),
        None => (None, Counts::default()),
    };
    object(&mut out, |answer| {
        write_answer(answer, &parts, finish, &counts, (&plan.shown_model, &root_of(plan)));
    });
    out
}

fn write_answer(
    answer: &mut ObjectWriter<'_>,
    parts: &[&[u8]],
    finish: Option<&str>,
    counts: &Counts,
    (model, id): (&str, &str),
) {
    answer.objects("candidates", &[()], |candidate, ()| {
        candidate.object("content", |content| {
            array(content.key("parts"), parts.iter().copied());
            content.text("role", "model");
        });
        if let Some(finish) = finish {
            candidate.text("finishReason", finish);
        }
        candidate.number("index", 0);
    });
    answer.object("usageMetadata", |usage| counts.write_gemini(usage));
    answer.text("modelVersion", model);
    answer.text("responseId", id);
}

fn part_of(block: &Block, text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    object(&mut out, |part| match block {
        Block::Text | Block::Summary | Block::Refusal => part.text("text", text),
        Block::Thinking | Block::Hidden(_) => {
            part.text("text", text);
            part.flag("thought", true);
        }
        Block::Call(call) => write_call(part, call, text),
    });
    out
}

fn write_call(part: &mut ObjectWriter<'_>, call: &Call, arguments: &str) {
    part.object("functionCall", |function| {
        function.text("id", &call.id);
        function.text("name", &call.tool.name);
        raw(function, "args", arguments.as_bytes());
    });
    if let Some(sealed) = &call.sealed {
        part.text("thoughtSignature", sealed);
    }
}

const fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::ToolUse | Stop::Sequence | Stop::PauseTurn => "STOP",
        Stop::MaxTokens | Stop::ContextWindow => "MAX_TOKENS",
        Stop::Refusal | Stop::ContentFilter => "SAFETY",
        Stop::MalformedCall => "MALFORMED_FUNCTION_CALL",
    }
}
