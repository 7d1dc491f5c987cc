//! The parts of an answer in order, one at a time, whatever order a target chose.
//!
//! Some targets interleave the pieces of several calls; no client's dialect is sure to survive that. The first part
//! that is not over is said as it comes; what belongs to later ones waits.

use std::collections::VecDeque;

use super::NotAnAnswer;
use super::heard::{CallHead, Heard};

/// What may wait, in bytes; a target that makes more wait is not answering.
const MOST_WAITING: usize = 16 << 20;
/// What a part costs beside its text.
const PART_BYTES: usize = 128;

/// What a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Refusal,
    Thinking,
    Call,
}

/// When a part is over, unless it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// Only when it is said.
    Told,
    /// When another part has something to say and this one may be whole: text always, a call once its arguments are one
    /// JSON value.
    ForOthers,
}

#[derive(Debug)]
struct Part {
    key: u64,
    kind: Kind,
    ends: Ends,
    head: CallHead,
    /// Its beginning was said.
    began: bool,
    /// What was not said yet.
    waiting: String,
    /// All arguments so far, of a call that `Ends::ForOthers`.
    arguments: String,
    /// How much of `arguments` was found not to be whole.
    checked: usize,
    is_over: bool,
    /// Of thinking that is over: what the target wants back.
    data: Option<String>,
}

/// The parts that are not over yet.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    parts: VecDeque<Part>,
    waiting: usize,
}

impl Sequence {
    /// Make a part of this key, unless it is there.
    pub(crate) fn begin(&mut self, key: u64, kind: Kind, ends: Ends) {
        if self.find(key, kind).is_none() {
            self.waiting += PART_BYTES;
            self.parts.push_back(Part {
                key,
                kind,
                ends,
                head: CallHead::default(),
                began: false,
                waiting: String::new(),
                arguments: String::new(),
                checked: 0,
                is_over: false,
                data: None,
            });
        }
    }

    /// The head of a call that was begun but not said yet.
    pub(crate) fn head(&mut self, key: u64) -> Option<&mut CallHead> {
        let part = self.find(key, Kind::Call)?;
        (!part.began).then_some(&mut part.head)
    }

    /// A piece of the part of this key. Dropped when that is over: nothing can be added to what was said.
    pub(crate) fn piece(&mut self, key: u64, kind: Kind, piece: &str) {
        let Some(part) = self.find(key, kind) else { return };
        part.waiting.push_str(piece);
        let mut added = piece.len();
        if kind == Kind::Call && part.ends == Ends::ForOthers {
            part.arguments.push_str(piece);
            added *= 2;
        }
        self.waiting += added;
    }

    /// The kind of the part that came last, and its key.
    pub(crate) fn last(&self) -> Option<(u64, Kind)> {
        self.parts.back().map(|part| (part.key, part.kind))
    }

    /// The part is over.
    pub(crate) fn over(&mut self, key: u64, kind: Kind, data: Option<String>) {
        if let Some(part) = self.find(key, kind) {
            part.is_over = true;
            part.data = data;
        }
    }

    /// Say what can be said now.
    ///
    /// # Errors
    /// `NotAnAnswer` when too much waits.
    pub(crate) fn advance(&mut self, heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        while let Some(mut part) = self.parts.pop_front() {
            let is_done = part.advance(!self.parts.is_empty(), &mut self.waiting, heard);
            if !is_done {
                self.parts.push_front(part);
                break;
            }
            self.waiting = self.waiting.saturating_sub(PART_BYTES + part.arguments.len());
        }
        if self.waiting > MOST_WAITING {
            return Err(NotAnAnswer);
        }
        Ok(())
    }

    /// Nothing more comes: all parts are over.
    pub(crate) fn flush(&mut self, heard: &mut Vec<Heard>) {
        for mut part in self.parts.drain(..) {
            part.is_over = true;
            part.advance(false, &mut self.waiting, heard);
        }
        self.waiting = 0;
    }

    fn find(&mut self, key: u64, kind: Kind) -> Option<&mut Part> {
        let matches = |part: &&mut Part| part.key == key && part.kind == kind && !part.is_over;
        self.parts.iter_mut().rev().find(matches)
    }
}

impl Part {
    /// Say what can be said of this part; true when it is over.
    fn advance(&mut self, others_wait: bool, waiting: &mut usize, heard: &mut Vec<Heard>) -> bool {
        if !self.began && !self.begin(heard) {
            if !self.is_over {
                return false;
            }
            // A call that never got a name cannot be made.
            heard.push(Heard::Lost("tool_calls"));
            return true;
        }
        if !self.waiting.is_empty() {
            *waiting = waiting.saturating_sub(self.waiting.len());
            let piece = std::mem::take(&mut self.waiting);
            heard.push(match self.kind {
                Kind::Text => Heard::Text(piece),
                Kind::Refusal => Heard::Refusal(piece),
                Kind::Thinking => Heard::Thinking(piece),
                Kind::Call => Heard::Arguments(piece),
            });
        }
        let is_done = self.is_over || others_wait && self.may_be_whole();
        if !is_done {
            return false;
        }
        match self.kind {
            Kind::Text | Kind::Refusal => {}
            Kind::Thinking => heard.push(Heard::ThinkingOver(self.data.take())),
            Kind::Call => heard.push(Heard::CallOver),
        }
        true
    }

    /// Say the beginning, if it is known.
    fn begin(&mut self, heard: &mut Vec<Heard>) -> bool {
        if self.kind == Kind::Call {
            // An id that came late must not be lost, and one that never comes is made up at the end.
            let is_known = !self.head.name.is_empty() && (self.head.id.is_some() || self.is_over);
            if !is_known {
                return false;
            }
            heard.push(Heard::CallBegan(std::mem::take(&mut self.head)));
        }
        self.began = true;
        true
    }

    fn may_be_whole(&mut self) -> bool {
        match (self.ends, self.kind) {
            (Ends::Told, _) => false,
            (Ends::ForOthers, Kind::Text | Kind::Refusal | Kind::Thinking) => true,
            (Ends::ForOthers, Kind::Call) => {
                if self.checked == self.arguments.len() {
                    return false;
                }
                self.checked = self.arguments.len();
                is_one_object(&self.arguments)
            }
        }
    }
}

/// True for the text of one JSON object.
pub(crate) fn is_one_object(text: &str) -> bool {
    text.trim_ascii_start().starts_with('{') && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}
