//! For callers of `OpenAI` Chat Completions.

use airside_protocols::{ErrorReply, Family, ObjectWriter, stream_error};

use super::{Collector, array, event, object};
use crate::answer::counts::Counts;
use crate::answer::heard::Stop;
use crate::answer::teller::{Block, Call, End, Writer, root_of};
use crate::answer::write::collector::Filled;
use crate::plan::{AnswerPlan, ToolKind};

/// What every chunk repeats.
#[derive(Debug)]
struct Head {
    id: String,
    model: String,
    created_s: u64,
}

impl Head {
    fn new(plan: &AnswerPlan) -> Self {
        Self {
            id: format!("chatcmpl-{}", root_of(plan)),
            model: plan.shown_model.clone(),
            created_s: u64::try_from(plan.created_s).unwrap_or(0),
        }
    }

    fn write(&self, chunk: &mut ObjectWriter<'_>, kind: &str) {
        chunk.text("id", &self.id);
        chunk.text("object", kind);
        chunk.number("created", self.created_s);
        chunk.text("model", &self.model);
    }
}

/// Writes one stream.
#[derive(Debug)]
pub(super) struct ChatWriter {
    head: Head,
    includes_usage: bool,
    open: Open,
    /// The number of the call that opens next.
    next_call: u64,
}

/// Where pieces of the open block go.
#[derive(Debug, Clone, Copy)]
enum Open {
    Content,
    Refusal,
    Reasoning,
    Arguments,
    Input,
}

impl ChatWriter {
    pub(super) fn new(plan: &AnswerPlan) -> Self {
        Self {
            head: Head::new(plan),
            includes_usage: plan.includes_usage,
            open: Open::Content,
            next_call: 0,
        }
    }

    fn chunk(&self, finish: Option<&str>, out: &mut Vec<u8>, write: impl Fn(&mut ObjectWriter<'_>)) {
        event(out, None, |chunk| {
            self.head.write(chunk, "chat.completion.chunk");
            chunk.objects("choices", &[()], |choice, ()| {
                choice.number("index", 0);
                choice.object("delta", |delta| write(delta));
                choice.optional_text("logprobs", None);
                choice.optional_text("finish_reason", finish);
            });
            if self.includes_usage {
                chunk.optional_text("usage", None);
            }
        });
    }

    /// More of the call that is open.
    fn more(&self, holder: &str, member: &str, piece: &str, out: &mut Vec<u8>) {
        let index = self.next_call.saturating_sub(1);
        self.chunk(None, out, |delta| {
            delta.objects("tool_calls", &[()], |call, ()| {
                call.number("index", index);
                call.object(holder, |function| function.text(member, piece));
            });
        });
    }
}

impl Writer for ChatWriter {
    fn start(&mut self, _counts: &Counts, out: &mut Vec<u8>) {
        self.chunk(None, out, |delta| {
            delta.text("role", "assistant");
            delta.text("content", "");
        });
    }

    fn open(&mut self, block: Block, out: &mut Vec<u8>) {
        match block {
            Block::Text | Block::Summary => self.open = Open::Content,
            Block::Refusal => self.open = Open::Refusal,
            Block::Thinking | Block::Hidden(_) => self.open = Open::Reasoning,
            Block::Call(call) => {
                let index = self.next_call;
                self.chunk(None, out, |delta| {
                    delta.objects("tool_calls", &[()], |opening, ()| {
                        opening.number("index", index);
                        write_call(opening, &call, "");
                    });
                });
                self.next_call += 1;
                self.open = match call.tool.kind {
                    ToolKind::Custom => Open::Input,
                    ToolKind::Function | ToolKind::LocalShell => Open::Arguments,
                };
            }
        }
    }

    fn piece(&mut self, piece: &str, out: &mut Vec<u8>) {
        match self.open {
            Open::Content => self.chunk(None, out, |delta| delta.text("content", piece)),
            Open::Refusal => self.chunk(None, out, |delta| delta.text("refusal", piece)),
            Open::Reasoning => self.chunk(None, out, |delta| delta.text("reasoning_content", piece)),
            Open::Arguments => self.more("function", "arguments", piece, out),
            Open::Input => self.more("custom", "input", piece, out),
        }
    }

    fn close(&mut self, _sealed: Option<String>, _out: &mut Vec<u8>) {}

    fn end(&mut self, end: &End, out: &mut Vec<u8>) {
        self.chunk(Some(finish_reason(end.stop)), out, |_| {});
        if self.includes_usage {
            event(out, None, |chunk| {
                self.head.write(chunk, "chat.completion.chunk");
                array(chunk.key("choices"), []);
                chunk.object("usage", |usage| end.counts.write_chat(usage));
            });
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&stream_error(Family::OpenaiChat, reply, 0));
    }

    fn count(&mut self, _counts: &Counts) {}
}

/// A whole completion.
pub(super) fn whole(plan: &AnswerPlan, collected: &Collector) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    let joined = |wanted: &Block| -> Option<String> {
        let texts = collected.blocks.iter().filter(|filled| filled.block == *wanted);
        let text: String = texts.map(|filled| filled.text.as_str()).collect();
        (!text.is_empty()).then_some(text)
    };
    let is_call = |filled: &&Filled| matches!(filled.block, Block::Call(_));
    let calls: Vec<&Filled> = collected.blocks.iter().filter(is_call).collect();
    let stop = collected.end.as_ref().map_or(Stop::EndTurn, |end| end.stop);
    object(&mut out, |completion| {
        Head::new(plan).write(completion, "chat.completion");
        completion.objects("choices", &[()], |choice, ()| {
            choice.number("index", 0);
            choice.object("message", |message| {
                message.text("role", "assistant");
                message.optional_text("content", joined(&Block::Text).as_deref());
                message.optional_text("refusal", joined(&Block::Refusal).as_deref());
                if let Some(reasoning) = joined(&Block::Thinking) {
                    message.text("reasoning_content", &reasoning);
                }
                if !calls.is_empty() {
                    message.objects("tool_calls", &calls, |call, filled| {
                        if let Block::Call(head) = &filled.block {
                            write_call(call, head, &filled.text);
                        }
                    });
                }
            });
            choice.optional_text("logprobs", None);
            choice.text("finish_reason", finish_reason(stop));
        });
        if let Some(end) = &collected.end {
            completion.object("usage", |usage| end.counts.write_chat(usage));
        }
    });
    out
}

fn write_call(object: &mut ObjectWriter<'_>, call: &Call, written: &str) {
    object.text("id", &call.id);
    match call.tool.kind {
        ToolKind::Custom => {
            object.text("type", "custom");
            object.object("custom", |custom| {
                custom.text("name", &call.tool.name);
                custom.text("input", written);
            });
        }
        ToolKind::Function | ToolKind::LocalShell => {
            object.text("type", "function");
            object.object("function", |function| {
                function.text("name", &call.tool.name);
                function.text("arguments", written);
            });
        }
    }
}

const fn finish_reason(stop: Stop) -> &'static str {
    match stop {
        Stop::EndTurn | Stop::Sequence | Stop::PauseTurn | Stop::MalformedCall => "stop",
        Stop::ToolUse => "tool_calls",
        Stop::MaxTokens | Stop::ContextWindow => "length",
        Stop::Refusal | Stop::ContentFilter => "content_filter",
    }
}
