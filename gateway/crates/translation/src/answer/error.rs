//! Error responses in another dialect.

use airside_protocols::Family;

use super::failure::Failure;

/// The status and the body of an error of dialect `from` in dialect `to`: the meaning and the message are the
/// provider's, without anything that looks like a key. A body that cannot be read is told by its status.
#[must_use]
pub fn translate_error(from: Family, to: Family, status: u16, body: &[u8], request_id: &str) -> (u16, Vec<u8>) {
    Failure::of_body(status, body).response(from, to, request_id)
}
