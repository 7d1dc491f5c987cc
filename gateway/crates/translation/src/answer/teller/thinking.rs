//! Thinking, shown or not, and what the target wants back of it: in the block's own field where the caller's dialect has
//! one, else with the next call.

use airside_protocols::Family;

use super::block::{Block, Writer};
use super::{Open, Teller, is_plain, root_of};
use crate::answer::heard::CallHead;
use crate::loss::Loss;
use crate::opaque::{seal, tag_call_id};

/// More than this is not put into the id of a call.
const MOST_TAGGED_BYTES: usize = 64 << 10;

impl Teller {
    pub(super) fn thinking(&mut self, piece: &str, writer: &mut dyn Writer, out: &mut Vec<u8>) {
        self.said(piece.len());
        if !self.plan.shows_thinking || piece.is_empty() {
            return;
        }
        if self.open != Open::Thinking {
            self.begin(Block::Thinking, Open::Thinking, writer, out);
        }
        writer.piece(piece, out);
    }

    pub(super) fn thinking_over(&mut self, data: Option<String>, writer: &mut dyn Writer, out: &mut Vec<u8>) {
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

    /// The call's id, and what the target wants back with it: in the field of Gemini's calls, else in the id.
    pub(super) fn identity(&mut self, head: CallHead, number: usize) -> (String, Option<String>) {
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
