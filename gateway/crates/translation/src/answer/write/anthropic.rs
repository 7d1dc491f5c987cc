//! For callers of Anthropic Messages.

use airside_protocols::{ErrorReply, Family, ObjectWriter, stream_error};

use super::{Collector, array, event, object, raw};
use crate::answer::counts::Counts;
use crate::answer::heard::Stop;
use crate::answer::teller::{Block, End, Writer, root_of};
use crate::answer::write::collector::Filled;
use crate::plan::AnswerPlan;

/// Writes one stream.
#[derive(Debug)]
pub(super) struct AnthropicWriter {
    id: String,
    model: String,
    /// The number of the block that is open, or opens next.
    index: u64,
    delta: Delta,
}

/// How pieces of the open block are said.
#[derive(Debug, Clone, Copy)]
enum Delta {
    Text,
    Thinking,
    Json,
}

impl Delta {
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Text => ("text_delta", "text"),
            Self::Thinking => ("thinking_delta", "thinking"),
            Self::Json => ("input_json_delta", "partial_json"),
        }
    }
}

impl AnthropicWriter {
    pub(super) fn new(plan: &AnswerPlan) -> Self {
        Self {
            id: message_id(plan),
            model: plan.shown_model.clone(),
            index: 0,
            delta: Delta::Text,
        }
    }

    fn delta(&self, kind: &str, member: &str, value: &str, out: &mut Vec<u8>) {
        event(out, Some("content_block_delta"), |event| {
            event.text("type", "content_block_delta");
            event.number("index", self.index);
            event.object("delta", |delta| {
                delta.text("type", kind);
                delta.text(member, value);
            });
        });
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        event(out, Some("content_block_stop"), |event| {
            event.text("type", "content_block_stop");
            event.number("index", self.index);
        });
        self.index += 1;
    }
}

impl Writer for AnthropicWriter {
    fn start(&mut self, counts: &Counts, out: &mut Vec<u8>) {
        event(out, Some("message_start"), |event| {
            event.text("type", "message_start");
            event.object("message", |message| {
                head(message, &self.id, &self.model);
                raw(message, "content", b"[]");
                message.optional_text("stop_reason", None);
                message.optional_text("stop_sequence", None);
                message.object("usage", |usage| counts.write_anthropic(usage));
            });
        });
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        self.delta = match &block {
            Block::Text | Block::Summary | Block::Refusal => Delta::Text,
            Block::Thinking | Block::Hidden(_) => Delta::Thinking,
            Block::Call(_) => Delta::Json,
        };
        event(out, Some("content_block_start"), |event| {
            event.text("type", "content_block_start");
            event.number("index", self.index);
            event.object("content_block", |content| write_block(content, &block, "", "", "{}"));
        });
        if matches!(block, Block::Hidden(_)) {
            self.stop(out);
        }
    }

    fn piece(&mut self, piece: &str, out: &mut Vec<u8>) {
        let (kind, member) = self.delta.names();
        self.delta(kind, member, piece, out);
    }

    fn close(&mut self, sealed: Option<String>, out: &mut Vec<u8>) {
        if let Some(sealed) = sealed {
            self.delta("signature_delta", "signature", &sealed, out);
        }
        self.stop(out);
    }

    fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        event(out, Some("message_delta"), |event| {
            event.text("type", "message_delta");
            event.object("delta", |delta| write_stop(delta, end));
            event.object("usage", |usage| end.counts.write_anthropic(usage));
        });
        event(out, Some("message_stop"), |event| event.text("type", "message_stop"));
    }

    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&stream_error(Family::Anthropic, reply, 0));
    }

    fn count(&mut self, _counts: &Counts) {}
}

/// A whole message.
pub(super) fn whole(plan: &AnswerPlan, collected: &Collector) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let blocks: Vec<Vec<u8>> = collected.blocks.iter().map(whole_block).collect();
    object(&mut out, |message| {
        head(message, &message_id(plan), &plan.shown_model);
        array(message.key("content"), blocks.iter().map(Vec::as_slice));
        if let Some(end) = &collected.end {
            write_stop(message, end);
            message.object("usage", |usage| end.counts.write_anthropic(usage));
        }
    });
    out
}

fn whole_block(filled: &Filled) -> Vec<u8> {
    let mut out = Vec::with_capacity(filled.text.len() + 128);
    object(&mut out, |content| {
        let signature = filled.sealed.as_deref().unwrap_or_default();
        write_block(content, &filled.block, &filled.text, signature, &filled.text);
    });
    out
}

fn message_id(plan: &AnswerPlan) -> String {
    format!("msg_{}", root_of(plan))
}

fn head(message: &mut ObjectWriter<'_>, id: &str, model: &str) {
    message.text("id", id);
    message.text("type", "message");
    message.text("role", "assistant");
    message.text("model", model);
}

fn write_block(content: &mut ObjectWriter<'_>, block: &Block, text: &str, signature: &str, input: &str) {
    match block {
        Block::Text | Block::Summary | Block::Refusal => {
            content.text("type", "text");
            content.text("text", text);
        }
        Block::Thinking => {
            content.text("type", "thinking");
            content.text("thinking", text);
            content.text("signature", signature);
        }
        Block::Hidden(sealed) => {
            content.text("type", "redacted_thinking");
            content.text("data", sealed);
        }
        Block::Call(call) => {
            content.text("type", "tool_use");
            content.text("id", &call.id);
            content.text("name", &call.tool.name);
            raw(content, "input", input.as_bytes());
        }
    }
}

fn write_stop(delta: &mut ObjectWriter<'_>, end: &End) {
    let reason = match end.stop {
        Stop::EndTurn | Stop::MalformedCall => "end_turn",
        Stop::ToolUse => "tool_use",
        Stop::MaxTokens => "max_tokens",
        Stop::ContextWindow => "model_context_window_exceeded",
        Stop::Sequence => "stop_sequence",
        Stop::Refusal | Stop::ContentFilter => "refusal",
        Stop::PauseTurn => "pause_turn",
    };
    delta.text("stop_reason", reason);
    delta.optional_text("stop_sequence", end.stop_sequence.as_deref());
}
