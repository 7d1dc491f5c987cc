//! What differs from vendor to vendor: where a call goes, how it shows its credential, what a failure means, and how
//! the answer says what it cost.
//!
//! Not for opening connections and not for choosing a provider. Start reading at `vendor.rs`.

mod anthropic;
mod azure;
mod bedrock;
mod betas;
mod claude;
mod counts;
mod encode;
mod endpoint;
mod extras;
mod failure;
mod gemini;
mod headers;
mod members;
mod openai;
mod overflow;
mod retry_after;
mod shown;
mod sigv4;
mod usage;
mod values;
mod vendor;
mod vertex;

pub use endpoint::{Asked, Endpoint, EndpointProblem};
pub use failure::{Failure, Kind, Origin, Retry, StatusMeaning, meaning_of_status};
pub use headers::{answer_headers, request_headers};
pub use overflow::is_too_long;
pub use retry_after::retry_after;
pub use shown::{AwsKeys, NotShowable, Shown};
pub use sigv4::sign as sign_for_aws;
pub use usage::UsageTap;
pub use vendor::{Decoder, Lost, Pieces, Request, Sending, Undecodable, Unserved, Vendor, vendor_of};
