//! Percent-encoding, as paths and signatures want it.

use std::fmt::Write as _;

/// The text as one segment of a path: everything but RFC 3986's unreserved characters is escaped.
pub(crate) fn path_segment(text: &str) -> String {
    encoded(text, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// The text with every byte escaped that need not stay.
pub(crate) fn encoded(text: &str, stays: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if stays(byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
