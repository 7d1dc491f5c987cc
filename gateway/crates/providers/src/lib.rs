//! What differs from vendor to vendor: where a call goes, how it shows its credential, what a failure means, and how
//! the answer says what it cost.
//!
//! Not for opening connections and not for choosing a provider. Start reading at `endpoint.rs`.

mod endpoint;
mod extras;
mod failure;
mod gemini;
mod headers;
mod overflow;
mod retry_after;
mod usage;

pub use endpoint::{Asked, Endpoint, EndpointProblem, name_in_body};
pub use failure::{Failure, Kind, Origin, Retry, StatusMeaning, meaning_of_status};
pub use headers::{answer_headers, credential_header, request_headers};
pub use overflow::is_too_long;
pub use retry_after::retry_after;
pub use usage::UsageTap;
