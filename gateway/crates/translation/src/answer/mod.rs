//! An answer in another dialect: whole, as a stream, or as an error.

use std::collections::BTreeSet;

use airside_protocols::{ErrorReply, Family, Verdict, error_body, stream_error};

use crate::loss::Loss;
use crate::plan::AnswerPlan;

/// The provider's answer is not of its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAnswer;

/// Say a whole answer of the plan's target in the caller's dialect, with the losses.
///
/// # Errors
/// `NotAnAnswer` when the body is not an answer of the target's dialect.
pub fn translate_answer(plan: &AnswerPlan, body: &[u8]) -> Result<(Vec<u8>, Vec<Loss>), NotAnAnswer> {
    let _ = (plan, body);
    Err(NotAnAnswer)
}

/// Says a stream of events in the caller's dialect as it comes.
#[derive(Debug)]
pub struct AnswerTranslator {
    plan: AnswerPlan,
    losses: BTreeSet<Loss>,
    verdict: Verdict,
    content_bytes: u64,
    next_sequence: u64,
}

impl AnswerTranslator {
    /// At the start of an answer.
    #[must_use]
    pub fn new(plan: AnswerPlan) -> Self {
        Self {
            plan,
            losses: BTreeSet::new(),
            verdict: Verdict::default(),
            content_bytes: 0,
            next_sequence: 0,
        }
    }

    /// Read a block of whole events of the target; append what they mean to `out`, as whole events of the caller.
    ///
    /// # Errors
    /// `NotAnAnswer` when an event is not of the target's dialect; what was appended before it stands.
    pub fn push(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), NotAnAnswer> {
        let _ = (block, out);
        Err(NotAnAnswer)
    }

    /// The provider's body is over: append what must still be said. The answer counts as whole only if the target's
    /// own end was seen.
    ///
    /// # Errors
    /// `NotAnAnswer` when the end was not seen: the answer was cut, or the provider said that it failed.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotAnAnswer> {
        let _ = out;
        Err(NotAnAnswer)
    }

    /// The event that ends a stream which cannot go on, after what was appended so far. Empty when the caller's stream
    /// is over already.
    #[must_use]
    pub fn cut(&mut self, reply: ErrorReply<'_>) -> Vec<u8> {
        stream_error(self.plan.client, reply, self.next_sequence)
    }

    /// Where the stream stands. Finished means that the target's own end was seen; `finish` may still have words to add.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How many bytes of the model's own text went by.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// What the caller's dialect could not say so far; sorted, each once.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        self.losses.iter().cloned().collect()
    }
}

/// The status and the body of an error of dialect `from` in dialect `to`, its meaning and its message kept.
#[must_use]
pub fn translate_error(from: Family, to: Family, status: u16, body: &[u8], request_id: &str) -> (u16, Vec<u8>) {
    let _ = (from, body);
    let (code, message) = ("provider_error", "The provider refused the call.");
    let reply = ErrorReply {
        status,
        code,
        message,
        request_id,
    };
    (status, error_body(to, reply))
}
