//! Which targets a call tries, in which order, and what comes after a failure.
//!
//! Pure decisions: nothing here waits or sends. Start reading at `plan.rs`, then `course.rs`.

mod cooldown;
mod course;
mod plan;
mod sessions;

pub use cooldown::Cooldowns;
pub use course::{Course, NextStep};
pub use plan::{Candidate, NoTarget, Plan, Readiness, Skip, Skipped, plan};
pub use sessions::{AnswerNote, Issuer, Place, RetryAllowance, SESSION_LIFE, SessionKey, SessionMemory, SessionView};
