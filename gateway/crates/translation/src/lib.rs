//! Requests, answers, streams and errors carried from one vendor's dialect to another's.
//!
//! Not for calls whose caller and provider speak the same family: those pass byte for byte. Pure: bytes in, bytes out.
//! Start reading at `plan.rs` (what a translated request leaves for its answer), then `request/` and `answer/`.

mod answer;
mod json;
mod loss;
mod opaque;
mod plan;
mod request;

pub use answer::{AnswerTranslator, NotAnAnswer, failure_as_error, translate_answer, translate_error};
pub use loss::Loss;
pub use opaque::{Opaque, seal, tag_call_id, unseal, untag_call_id};
pub use plan::{AnswerPlan, ClientTool, ToolKind, ToolNames};
pub use request::{
    TranslatedRequest, Untranslatable, Wanted, strip_foreign_thinking, strip_sealed_thinking, strip_wish_to_think,
    translate_request,
};
