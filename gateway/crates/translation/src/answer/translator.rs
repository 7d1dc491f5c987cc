//! A stream in another dialect, as it comes.

use airside_protocols::{ErrorReply, Verdict, events};

use super::NotAnAnswer;
use super::heard::Heard;
use super::read::Reader;
use super::teller::{Teller, Writer};
use super::write::stream_writer;
use crate::loss::Loss;
use crate::plan::AnswerPlan;

/// Says a stream of events in the caller's dialect as it comes.
pub struct AnswerTranslator {
    reader: Reader,
    teller: Teller,
    writer: Box<dyn Writer + Send + Sync>,
    heard: Vec<Heard>,
    /// The target sent something that is not of its dialect; what it said of its end is worth nothing any more.
    is_broken: bool,
}

impl std::fmt::Debug for AnswerTranslator {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AnswerTranslator")
            .field("reader", &self.reader)
            .field("teller", &self.teller)
            .finish_non_exhaustive()
    }
}

impl AnswerTranslator {
    /// At the start of an answer.
    #[must_use]
    pub fn new(plan: AnswerPlan) -> Self {
        Self {
            reader: Reader::new(plan.target),
            writer: stream_writer(&plan),
            teller: Teller::new(plan, false),
            heard: Vec::new(),
            is_broken: false,
        }
    }

    /// Read a block of whole events of the target; append what they mean to `out`, as whole events of the caller. What
    /// comes behind the target's end or its own failure is passed over.
    ///
    /// # Errors
    /// `NotAnAnswer` when an event is not of the target's dialect; what was appended before it stands.
    pub fn push(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), NotAnAnswer> {
        for event in events(block) {
            if self.teller.verdict.finished || self.teller.verdict.failed {
                break;
            }
            if event.data.trim_ascii().is_empty() {
                continue;
            }
            let read = self.reader.event(event.name, &event.data, &mut self.heard);
            self.tell(out);
            if read.is_err() {
                self.is_broken = true;
                return read;
            }
        }
        Ok(())
    }

    /// The provider's body is over: append what must still be said. The answer counts as whole only if the target's
    /// own end was seen.
    ///
    /// # Errors
    /// `NotAnAnswer` when the end was not seen: the answer was cut, or the provider said that it failed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotAnAnswer> {
        if !self.is_broken {
            self.reader.end_of_body(&mut self.heard);
            self.tell(out);
        }
        if self.teller.verdict.finished {
            Ok(())
        } else {
            Err(NotAnAnswer)
        }
    }

    /// The event that ends a stream which cannot go on, after what was appended so far. Empty when the caller's stream
    /// is over already.
    #[must_use]
    pub fn cut(&mut self, reply: ErrorReply<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.teller.verdict.finished && !self.teller.verdict.failed {
            self.teller.verdict.failed = true;
            self.writer.cut(reply, &mut out);
        }
        out
    }

    /// Where the stream stands. Finished means that the target's end is sure; `finish` may still have words to add.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        let mut verdict = self.teller.verdict;
        verdict.finished |= self.reader.has_ended() && !verdict.failed && !self.is_broken;
        verdict
    }

    /// How many bytes of the model's own text went by.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.teller.content_bytes
    }

    /// What the caller's dialect could not say so far; sorted, each once.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.teller.losses.iter().cloned().collect()
    }

    fn tell(&mut self, out: &mut Vec<u8>) {
        for heard in self.heard.drain(..) {
            self.teller.tell(heard, self.writer.as_mut(), out);
        }
        self.teller.pause(self.writer.as_mut(), out);
    }
}
