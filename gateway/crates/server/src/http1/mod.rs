//! What is the same at both ends of HTTP/1.1, the caller's and the provider's: where a body ends, and the header fields
//! that say so. Anything that could be read in two ways is an error (decision 8).

mod fields;
mod framing;

pub(crate) use fields::{BadField, Fields, value_of};
pub(crate) use framing::{Chunks, Framing};

use bytes::BytesMut;

/// Room for so many bytes more. A buffer that holds nothing is made anew, which is a quarter of the work of growing it.
pub(crate) fn reserve(buffer: &mut BytesMut, bytes: usize) {
    if buffer.capacity() == 0 {
        *buffer = BytesMut::with_capacity(bytes);
    } else {
        buffer.reserve(bytes);
    }
}
