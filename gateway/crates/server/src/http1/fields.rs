//! The header fields that say how a message is framed, and whether another follows it (RFC 9112, 6 and 9.3).

use std::ops::Range;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, HeaderValue, TRANSFER_ENCODING};

/// A field that can be read in two ways, or in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadField;

/// What a head says of the message and of its connection: gathered while its fields go by, so that none is looked up.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each word that is listened for")]
pub(crate) struct Fields {
    pub(crate) length: Option<u64>,
    pub(crate) is_chunked: bool,
    /// The caller waits to be asked for the body.
    pub(crate) expects_continue: bool,
    pub(crate) says_close: bool,
    says_keep: bool,
}

impl Fields {
    /// Take note of a field.
    pub(crate) fn note(&mut self, name: &HeaderName, value: &[u8]) -> Result<(), BadField> {
        if *name == CONTENT_LENGTH {
            self.note_length(value)
        } else if *name == TRANSFER_ENCODING {
            // Any other coding is none that was asked for, and twice is none.
            let is_chunked = !self.is_chunked && value.eq_ignore_ascii_case(b"chunked");
            self.is_chunked = true;
            if is_chunked { Ok(()) } else { Err(BadField) }
        } else {
            if *name == CONNECTION {
                self.note_options(value);
            } else if *name == EXPECT {
                self.expects_continue |= value.eq_ignore_ascii_case(b"100-continue");
            }
            Ok(())
        }
    }

    /// A length that is named twice must be the same.
    fn note_length(&mut self, value: &[u8]) -> Result<(), BadField> {
        if value.is_empty() {
            return Err(BadField);
        }
        let length = value.iter().try_fold(0_u64, |length, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            length.checked_mul(10)?.checked_add(digit)
        });
        let length = length.ok_or(BadField)?;
        if self.length.is_some_and(|known| known != length) {
            return Err(BadField);
        }
        self.length = Some(length);
        Ok(())
    }

    fn note_options(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// True if the connection goes on after a message of this minor version.
    pub(crate) const fn keeps(&self, version: u8) -> bool {
        !self.says_close && (version > 0 || self.says_keep)
    }
}

/// The value that lies there in a head, sharing its memory.
pub(crate) fn value_of(head: &Bytes, place: Range<usize>) -> Result<HeaderValue, BadField> {
    // An empty value may lie anywhere.
    if place.is_empty() {
        return Ok(HeaderValue::from_static(""));
    }
    if place.end > head.len() {
        return Err(BadField);
    }
    HeaderValue::from_maybe_shared(head.slice(place)).map_err(|_| BadField)
}
