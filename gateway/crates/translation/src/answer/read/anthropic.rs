//! Anthropic Messages: numbered blocks, each with a start, deltas and a stop.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{is_filled_object, lenient, parsed};
use crate::answer::NotAnAnswer;
use crate::answer::counts::AnthropicUsage;
use crate::answer::failure::Failure;
use crate::answer::heard::{CallHead, Heard, Stop};
use crate::answer::sequence::{Ends, Kind, Sequence};

#[derive(Deserialize)]
struct Event {
    r#type: Option<String>,
    index: Option<u64>,
    message: Option<Message>,
    content_block: Option<Block>,
    delta: Option<Delta>,
    usage: Option<Box<RawValue>>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Vec<Block>>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Option<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    r#type: String,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    data: Option<String>,
    id: Option<String>,
    name: Option<String>,
    input: Option<Box<RawValue>>,
    citations: Option<Vec<Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    r#type: String,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

/// A block that is open.
#[derive(Debug, Default)]
struct Open {
    kind: Option<Kind>,
    thinking: String,
    signature: String,
    /// The `data` of a redacted block.
    redacted: Option<String>,
    /// What the start gave as input, for servers that give it all at once.
    input: Option<Box<RawValue>>,
    has_arguments: bool,
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(crate) struct AnthropicReader {
    usage: AnthropicUsage,
    blocks: HashMap<u64, Open>,
    sequence: Sequence,
}

impl AnthropicReader {
    pub(super) fn event(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<(), NotAnAnswer> {
        let event: Event = parsed(data)?;
        let kind = match (&event.r#type, name) {
            (Some(kind), _) => kind.as_bytes(),
            (None, name) => name.unwrap_or_default(),
        };
        let index = event.index.unwrap_or(0);
        match kind {
            b"message_start" => {
                heard.push(Heard::Started);
                self.count(event.message.and_then(|message| message.usage).as_deref(), heard);
            }
            b"content_block_start" => self.start(index, event.content_block.ok_or(NotAnAnswer)?, heard),
            b"content_block_delta" => self.delta(index, event.delta.ok_or(NotAnAnswer)?, heard)?,
            b"content_block_stop" => self.stop(index),
            b"message_delta" => {
                let delta = event.delta.unwrap_or_default();
                self.count(event.usage.as_deref(), heard);
                stopped(delta.stop_reason.as_deref(), delta.stop_sequence, heard);
            }
            b"message_stop" => {
                self.sequence.flush(heard);
                heard.push(Heard::Over);
            }
            b"error" => heard.push(Heard::Failed(Failure::of_value(None, &event.error.unwrap_or_default()))),
            _ => {}
        }
        self.sequence.advance(heard)
    }

    pub(super) fn whole(&mut self, body: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        let message: Message = parsed(body)?;
        heard.push(Heard::Started);
        for (index, block) in (0..).zip(message.content.ok_or(NotAnAnswer)?) {
            self.start(index, block, heard);
            self.stop(index);
            self.sequence.advance(heard)?;
        }
        self.count(message.usage.as_deref(), heard);
        stopped(message.stop_reason.as_deref(), message.stop_sequence, heard);
        heard.push(Heard::Over);
        Ok(())
    }

    fn count(&mut self, usage: Option<&RawValue>, heard: &mut Vec<Heard>) {
        if let Some(newer) = lenient(usage) {
            self.usage.overwrite(newer);
            heard.push(Heard::Counted(self.usage.counts()));
        }
    }

    fn start(&mut self, index: u64, block: Block, heard: &mut Vec<Heard>) {
        let mut open = Open {
            kind: None,
            ..Open::default()
        };
        match block.r#type.as_str() {
            "text" => open.kind = Some(Kind::Text),
            "thinking" => open.kind = Some(Kind::Thinking),
            "redacted_thinking" => {
                open.kind = Some(Kind::Thinking);
                open.redacted = Some(block.data.unwrap_or_default());
            }
            "tool_use" => {
                open.kind = Some(Kind::Call);
                open.input = block.input.filter(|input| is_filled_object(input));
            }
            _ => heard.push(Heard::Lost("server_tools")),
        }
        if let Some(kind) = open.kind {
            self.sequence.begin(index, kind, Ends::Told);
        }
        if let Some(head) = self.sequence.head(index) {
            *head = CallHead {
                id: block.id,
                name: block.name.unwrap_or_default(),
                ..CallHead::default()
            };
        }
        if block.citations.is_some_and(|citations| !citations.is_empty()) {
            heard.push(Heard::Lost("citations"));
        }
        self.blocks.insert(index, open);
        self.text(index, &block.text.unwrap_or_default());
        self.thinking(index, &block.thinking.unwrap_or_default());
        self.sign(index, block.signature);
    }

    fn delta(&mut self, index: u64, delta: Delta, heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        if !self.blocks.contains_key(&index) {
            return Err(NotAnAnswer);
        }
        match delta.r#type.as_str() {
            "text_delta" => self.text(index, &delta.text.unwrap_or_default()),
            "thinking_delta" => self.thinking(index, &delta.thinking.unwrap_or_default()),
            "signature_delta" => self.sign(index, delta.signature),
            "input_json_delta" => self.arguments(index, &delta.partial_json.unwrap_or_default()),
            "citations_delta" => heard.push(Heard::Lost("citations")),
            _ => {}
        }
        Ok(())
    }

    fn text(&mut self, index: u64, piece: &str) {
        self.sequence.piece(index, Kind::Text, piece);
    }

    fn thinking(&mut self, index: u64, piece: &str) {
        if let Some(open) = self.blocks.get_mut(&index) {
            open.thinking.push_str(piece);
        }
        self.sequence.piece(index, Kind::Thinking, piece);
    }

    fn sign(&mut self, index: u64, signature: Option<String>) {
        if let (Some(open), Some(signature)) = (self.blocks.get_mut(&index), signature) {
            open.signature.push_str(&signature);
        }
    }

    fn arguments(&mut self, index: u64, piece: &str) {
        if let Some(open) = self.blocks.get_mut(&index) {
            open.has_arguments |= !piece.is_empty();
        }
        self.sequence.piece(index, Kind::Call, piece);
    }

    fn stop(&mut self, index: u64) {
        let Some(open) = self.blocks.remove(&index) else { return };
        let Some(kind) = open.kind else { return };
        if let (false, Some(input)) = (open.has_arguments, &open.input) {
            self.sequence.piece(index, Kind::Call, input.get());
        }
        let data = match open.redacted {
            Some(data) => Some(json!({"type": "redacted_thinking", "data": data})),
            None if open.signature.is_empty() => None,
            None => Some(json!({"type": "thinking", "thinking": open.thinking, "signature": open.signature})),
        };
        self.sequence.over(index, kind, data.map(|data| data.to_string()));
    }
}

fn stopped(reason: Option<&str>, sequence: Option<String>, heard: &mut Vec<Heard>) {
    let stop = match reason {
        None => return,
        Some("tool_use") => Stop::ToolUse,
        Some("max_tokens") => Stop::MaxTokens,
        Some("model_context_window_exceeded") => Stop::ContextWindow,
        Some("stop_sequence") => Stop::Sequence,
        Some("refusal") => Stop::Refusal,
        Some("pause_turn") => Stop::PauseTurn,
        Some(_) => Stop::EndTurn,
    };
    heard.push(Heard::Stopped(stop, sequence));
}
