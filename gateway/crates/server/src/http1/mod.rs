//! What is the same at both ends of HTTP/1.1, the caller's and the provider's: where a body ends, and the header fields
//! that say so. Anything that could be read in two ways is an error (decision 8).

mod fields;
mod framing;

pub(crate) use fields::{BadField, Fields, value_of};
pub(crate) use framing::{Chunks, Framing};
