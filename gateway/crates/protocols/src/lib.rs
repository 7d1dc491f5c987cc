//! The wire dialects of the model vendors: which front doors exist, what a request says at its top level, where one
//! stream event ends and what it means, and how an error is said in each dialect.
//!
//! Not for sending anything, for money, or for choosing a provider. Start reading at `family.rs`, then `request.rs`
//! and `scan.rs` (the body on its way in) and `stream.rs` (the answer on its way out).

mod address;
mod array;
mod blocks;
mod compaction;
mod content;
mod document;
mod error;
mod family;
mod fields;
mod gemini;
mod json;
mod members;
mod nesting;
mod request;
mod scan;
mod skip;
mod splice;
mod sse;
mod stream;
mod usage;
mod walk;
mod wishes;
mod write;

pub use address::{Address, percent_decoded};
pub use array::ArrayFraming;
pub use compaction::{SUMMARY_PROMPT, compacted, sealed_summary, summary_request, with_summaries};
pub use document::{Document, DocumentMeaning};
pub use error::{ErrorReply, error_body, stream_error};
pub use family::{Family, FrontDoor};
pub use json::{top_level_member, top_level_members, top_level_text};
pub use members::{Member, array_elements, each_member, object_members};
pub use nesting::MAX_DEPTH;
pub use request::{MalformedBody, RequestFields};
pub use scan::{RequestScan, scan_request};
pub use splice::replace_model;
pub use sse::{Event, EventSplitter, EventTooLong, MAX_EVENT_BYTES, events};
pub use stream::{EventMeaning, StreamReader, Verdict};
pub use usage::{Consumption, InclusiveCounts, ServiceTier, TokenUsage, ToolUses};
pub use walk::{Items, Members, is_shallow, string_text, walk_array, walk_object};
pub use wishes::{Wished, Wishes, media_bytes};
pub use write::ObjectWriter;
