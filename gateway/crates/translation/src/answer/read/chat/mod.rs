//! `OpenAI` Chat Completions, as its many servers write it.
//!
//! Servers differ most in calls: the id or the name may come late, everything may come in one chunk, an id may be
//! repeated, indexes may be missing or interleaved, and an empty list of calls means nothing.

mod wire;

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use self::wire::{Chunk, Content, ContentPart, Delta, ToolCall};

use super::{arguments_text, lenient, parsed};
use crate::answer::NotAnAnswer;
use crate::answer::counts::OpenaiUsage;
use crate::answer::failure::{Failure, Fault};
use crate::answer::heard::{Heard, Stop};
use crate::answer::sequence::{Ends, Kind, Sequence};

/// The call that an index stands for now.
#[derive(Debug, Default)]
struct Known {
    key: u64,
    id: String,
}

/// Thinking under way, as the target wants it back.
#[derive(Debug, Default)]
struct Thought {
    key: u64,
    text: String,
    /// Which of the two names the server uses for it.
    is_short_name: bool,
    details: Vec<Value>,
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(crate) struct ChatReader {
    sequence: Sequence,
    next_key: u64,
    calls: HashMap<u64, Known>,
    last_index: u64,
    thought: Option<Thought>,
    refused: bool,
    has_started: bool,
    /// A reason to stop, or a word of content, was seen: `[DONE]` alone is an empty answer, not a whole one.
    has_said: bool,
}

impl ChatReader {
    pub(super) fn event(&mut self, data: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        if data.trim_ascii() == b"[DONE]" {
            return self.done(heard);
        }
        self.chunk(parsed(data)?, heard)
    }

    pub(super) fn whole(&mut self, body: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        let chunk: Chunk = parsed(body)?;
        let has_message = chunk.choices.iter().flatten().any(|choice| choice.delta.is_some());
        if chunk.error.as_ref().is_some_and(Value::is_object) || !has_message {
            return Err(NotAnAnswer);
        }
        self.chunk(chunk, heard)?;
        self.has_said = true;
        self.done(heard)
    }

    fn chunk(&mut self, chunk: Chunk, heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        if let Some(error) = chunk.error.filter(|error| error.is_object() || error.is_string()) {
            heard.push(Heard::Failed(Failure::of_value(None, &json!({"error": error}))));
            return Ok(());
        }
        if !std::mem::replace(&mut self.has_started, true) {
            heard.push(Heard::Started);
        }
        if let Some(usage) = lenient::<OpenaiUsage>(chunk.usage.as_deref()) {
            heard.push(Heard::Counted(usage.counts()));
        }
        for choice in chunk.choices.into_iter().flatten() {
            if choice.index != 0 {
                heard.push(Heard::Lost("choices"));
                continue;
            }
            if choice.logprobs.is_some_and(|logprobs| logprobs.is_object()) {
                heard.push(Heard::Lost("logprobs"));
            }
            self.delta(choice.delta.unwrap_or_default(), heard);
            self.sequence.advance(heard)?;
            self.stopped(choice.finish_reason.as_deref(), heard);
        }
        Ok(())
    }

    fn delta(&mut self, delta: Delta, heard: &mut Vec<Heard>) {
        let is_short_name = delta.reasoning_content.is_none();
        let reasoning = delta.reasoning.as_ref().and_then(Value::as_str);
        self.think(delta.reasoning_content.as_deref().or(reasoning), is_short_name);
        if let Some(details) = delta.reasoning_details.filter(|details| !details.is_empty()) {
            self.thought().details.extend(details);
        }
        match delta.content {
            Some(Content::Text(text)) => self.words(Kind::Text, &text),
            Some(Content::Parts(parts)) => self.parts(&parts),
            None => {}
        }
        if let Some(refusal) = delta.refusal.filter(|refusal| !refusal.is_empty()) {
            self.refused = true;
            self.words(Kind::Refusal, &refusal);
        }
        for call in delta.tool_calls.iter().flatten() {
            if !self.call(call) {
                heard.push(Heard::Lost("thought_signature"));
            }
        }
        if delta.extra_content.as_ref().is_some_and(is_signed) {
            // It belongs to a text, for which no caller has a place.
            heard.push(Heard::Lost("thought_signature"));
        }
        if delta.annotations.is_some_and(|notes| !notes.is_empty()) {
            heard.push(Heard::Lost("citations"));
        }
        if delta.audio.is_some_and(|audio| audio.is_object()) {
            heard.push(Heard::Lost("audio"));
        }
    }

    /// Content in parts, as Mistral writes it.
    fn parts(&mut self, parts: &[ContentPart]) {
        for part in parts {
            for thought in part.thinking.iter().flatten() {
                self.think(thought.text.as_deref(), false);
            }
            self.words(Kind::Text, part.text.as_deref().unwrap_or_default());
        }
    }

    fn thought(&mut self) -> &mut Thought {
        if self.thought.is_none() {
            self.next_key += 1;
            self.sequence.begin(self.next_key, Kind::Thinking, Ends::Told);
        }
        let key = self.next_key;
        self.thought.get_or_insert_with(|| Thought {
            key,
            ..Thought::default()
        })
    }

    fn think(&mut self, piece: Option<&str>, is_short_name: bool) {
        let Some(piece) = piece.filter(|piece| !piece.is_empty()) else {
            return;
        };
        self.has_said = true;
        let thought = self.thought();
        thought.is_short_name = is_short_name;
        thought.text.push_str(piece);
        let key = thought.key;
        self.sequence.piece(key, Kind::Thinking, piece);
    }

    /// Something else is said, so the thinking is over.
    fn end_thought(&mut self) {
        if let Some(thought) = self.thought.take() {
            let key = thought.key;
            self.sequence.over(key, Kind::Thinking, thought.sealed());
        }
    }

    fn words(&mut self, kind: Kind, piece: &str) {
        if piece.is_empty() {
            return;
        }
        self.has_said = true;
        self.end_thought();
        let key = match self.sequence.last() {
            Some((key, last)) if last == kind => key,
            _ => {
                self.next_key += 1;
                self.sequence.begin(self.next_key, kind, Ends::ForOthers);
                self.next_key
            }
        };
        self.sequence.piece(key, kind, piece);
    }

    /// False if the call bears a signature that came too late to go with it.
    fn call(&mut self, call: &ToolCall) -> bool {
        self.has_said = true;
        self.end_thought();
        let (function, custom) = (call.function.as_ref(), call.custom.as_ref());
        let name = function
            .and_then(|function| function.name.as_deref())
            .or_else(|| custom.and_then(|custom| custom.name.as_deref()))
            .unwrap_or_default();
        let id = call.id.as_deref().unwrap_or_default();
        let key = self.key_of(call.index, id, name);
        let mut is_kept = !call.extra_content.as_ref().is_some_and(is_signed);
        if let Some(head) = self.sequence.head(key) {
            if head.name.is_empty() {
                name.clone_into(&mut head.name);
            }
            if head.id.is_none() && !id.is_empty() {
                head.id = Some(id.to_owned());
            }
            head.is_free_text |= custom.is_some();
            if let Some(extra) = call.extra_content.as_ref().filter(|extra| extra.is_object()) {
                head.opaque = Some(json!({"extra_content": extra}).to_string());
                is_kept = true;
            }
        }
        if let Some(arguments) = function.and_then(|function| function.arguments.as_deref()) {
            self.sequence.piece(key, Kind::Call, &arguments_text(arguments));
        }
        if let Some(input) = custom.and_then(|custom| custom.input.as_deref()) {
            self.sequence.piece(key, Kind::Call, input);
        }
        is_kept
    }

    /// Which call this is a piece of; a new one where an index is used again for another id.
    fn key_of(&mut self, index: Option<u64>, id: &str, name: &str) -> u64 {
        let named_anew = |known: &Known| !name.is_empty() && !id.is_empty() && !known.id.is_empty() && known.id != id;
        let by_id = || self.calls.iter().find(|(_, known)| !id.is_empty() && known.id == id);
        let index = match index {
            Some(index) => index,
            None => match by_id() {
                Some((index, _)) => *index,
                None if name.is_empty() => self.last_index,
                // Without an index each name begins a call.
                None => u64::MAX - self.next_key,
            },
        };
        self.last_index = index;
        match self.calls.get_mut(&index) {
            Some(known) if !named_anew(known) => {
                if known.id.is_empty() {
                    id.clone_into(&mut known.id);
                }
                known.key
            }
            _ => {
                self.next_key += 1;
                self.sequence.begin(self.next_key, Kind::Call, Ends::ForOthers);
                let known = Known {
                    key: self.next_key,
                    id: id.to_owned(),
                };
                self.calls.insert(index, known);
                self.next_key
            }
        }
    }

    fn stopped(&mut self, reason: Option<&str>, heard: &mut Vec<Heard>) {
        let stop = match reason.unwrap_or_default() {
            "" => return,
            "error" => {
                let failure = Failure::of(Fault::Internal, "The provider broke its answer off.");
                heard.push(Heard::Failed(failure));
                return;
            }
            _ if self.refused => Stop::Refusal,
            "tool_calls" | "function_call" => Stop::ToolUse,
            "length" | "max_tokens" => Stop::MaxTokens,
            "content_filter" => Stop::ContentFilter,
            _ => Stop::EndTurn,
        };
        self.has_said = true;
        self.end_thought();
        self.sequence.flush(heard);
        heard.push(Heard::Stopped(stop, None));
    }

    /// The end. It is not said before: the counts come after the reason to stop.
    fn done(&mut self, heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        if !self.has_said {
            return Err(NotAnAnswer);
        }
        self.end_thought();
        self.sequence.flush(heard);
        heard.push(Heard::Over);
        Ok(())
    }
}

/// True for what holds a signature of Google's.
fn is_signed(extra: &Value) -> bool {
    extra.pointer("/google/thought_signature").is_some_and(Value::is_string)
}

impl Thought {
    /// The members of a message that carry it back.
    fn sealed(self) -> Option<String> {
        let mut members = Map::new();
        if !self.text.is_empty() {
            let name = if self.is_short_name {
                "reasoning"
            } else {
                "reasoning_content"
            };
            members.insert(name.to_owned(), Value::from(self.text));
        }
        if !self.details.is_empty() {
            members.insert("reasoning_details".to_owned(), Value::from(self.details));
        }
        (!members.is_empty()).then(|| Value::from(members).to_string())
    }
}
