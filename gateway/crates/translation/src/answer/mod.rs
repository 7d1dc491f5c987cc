//! An answer in another dialect: whole, as a stream, or as an error.
//!
//! A target's reader (`read/`) turns what comes into neutral words (`heard.rs`); `teller.rs` puts them in the caller's
//! terms, one block after the other; the caller's writer (`write/`) spells the blocks.

mod counts;
mod custom;
mod error;
mod failure;
mod heard;
mod read;
mod secrets;
mod sequence;
mod teller;
mod translator;
mod write;

pub use self::error::{failure_as_error, translate_error};
pub use self::translator::AnswerTranslator;

use self::read::Reader;
use self::teller::Teller;
use self::write::{Collector, whole};
use crate::loss::Loss;
use crate::plan::AnswerPlan;

/// The provider's answer is not of its dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAnswer;

/// Say a whole answer of the plan's target in the caller's dialect, with the losses.
///
/// # Errors
/// `NotAnAnswer` when the body is not an answer of the target's dialect, or says that the provider failed.
pub fn translate_answer(plan: &AnswerPlan, body: &[u8]) -> Result<(Vec<u8>, Vec<Loss>), NotAnAnswer> {
    let heard = Reader::new(plan.target).whole(body)?;
    let mut collected = Collector::default();
    let mut teller = Teller::new(plan.clone(), true);
    let mut nothing = Vec::new();
    for heard in heard {
        teller.tell(heard, &mut collected, &mut nothing);
    }
    if !teller.verdict.finished {
        return Err(NotAnAnswer);
    }
    Ok((whole(plan, &collected), teller.losses.into_iter().collect()))
}
