//! Which targets a call tries, in which order, and what comes after a failure.
//!
//! Decisions and what they are made from: nothing here waits or sends. Start reading at `plan.rs`, then `course.rs`.

mod course;
mod estimate;
mod explain;
mod health;
mod order;
mod plan;
mod sessions;
mod speed;
mod task;
mod wanted;

pub use course::{Course, NextStep, jittered};
pub use estimate::{estimate_input_tokens, expected_cost, expected_usage};
pub use explain::{Imagined, ImaginedAgent, Known, NotImaginable, Unwatched, explain, why_in_words};
pub use health::{Health, HealthNote, Standing};
pub use order::Lead;
pub use plan::{
    Asked, Candidate, Need, Needs, NoTarget, Plan, Readiness, Rule, Skip, Skipped, Surroundings, plan, shadow_plan,
};
pub use sessions::{AnswerNote, Issuer, Place, RetryAllowance, SESSION_LIFE, SessionKey, SessionMemory, SessionView};
pub use speed::{Pace, Speeds};
pub use task::{Signs, TASK_HEADER, Task, TaskHeaders};
