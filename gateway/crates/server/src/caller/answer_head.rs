//! The head of an answer as it is sent: its own fields, and how its body is framed.

use http::header::{CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::response::Parts;
use http::{StatusCode, Version};

use super::outbox::Outbox;
use crate::http1::Fields;

/// What the fields of our own take, about.
const USUAL_BYTES: usize = 160;

/// How the end of a body is told to a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// There is none.
    Nothing,
    /// So many bytes are still to be sent.
    Length(u64),
    Chunks,
    /// The connection ends.
    UntilClose,
}

/// What a head needs to know of the exchange it belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exchange {
    pub(super) version: Version,
    /// Only the head is asked for.
    pub(super) is_head: bool,
    /// Another request may follow on this connection.
    pub(super) keeps: bool,
}

/// What a head says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) head: &'a Parts,
    /// Lines of their own.
    pub(super) told: &'a [u8],
    pub(super) date: &'a [u8],
}

/// Write a head. `body_bytes` is the length of a body that is there whole. Returns how the body is framed, and whether
/// the connection goes on behind it.
pub(super) fn write_head(
    outbox: &mut Outbox,
    said: &Said<'_>,
    exchange: Exchange,
    body_bytes: Option<u64>,
) -> (Shape, bool) {
    let head = said.head;
    let fields = head.headers.iter();
    let room: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    outbox.reserve_with(room + said.told.len() + USUAL_BYTES, body_bytes);
    write_status(outbox, head.status);
    let (mut has_date, mut fields) = (false, Fields::default());
    for (name, value) in &head.headers {
        // A provider's length is that of what is passed on as it comes. One that cannot be read is none.
        let _ = fields.note(name, value.as_bytes());
        // How it is framed is said below.
        if *name == CONTENT_LENGTH || *name == TRANSFER_ENCODING {
            continue;
        }
        has_date |= *name == DATE;
        write_field(outbox, name.as_str().as_bytes(), value.as_bytes());
    }
    outbox.copy(said.told);
    if !has_date {
        write_field(outbox, b"date", said.date);
    }
    let shape = shape_of(head.status, exchange, body_bytes.or(fields.length));
    match shape {
        Shape::Length(bytes) => {
            write_field(outbox, b"content-length", itoa::Buffer::new().format(bytes).as_bytes());
        }
        Shape::Chunks => write_field(outbox, b"transfer-encoding", b"chunked"),
        Shape::Nothing | Shape::UntilClose => {}
    }
    let says_close = fields.says_close;
    let goes_on = exchange.keeps && !says_close && shape != Shape::UntilClose;
    if head.status.is_informational() {
        // What follows is another protocol's.
    } else if !goes_on && !says_close {
        write_field(outbox, b"connection", b"close");
    } else if goes_on && exchange.version == Version::HTTP_10 {
        write_field(outbox, b"connection", b"keep-alive");
    }
    outbox.copy(b"\r\n");
    let shape = if exchange.is_head { Shape::Nothing } else { shape };
    (shape, goes_on)
}

fn shape_of(status: StatusCode, exchange: Exchange, body_bytes: Option<u64>) -> Shape {
    if status.is_informational() || status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        return Shape::Nothing;
    }
    match body_bytes {
        Some(bytes) => Shape::Length(bytes),
        None if exchange.version == Version::HTTP_10 => Shape::UntilClose,
        None => Shape::Chunks,
    }
}

fn write_status(outbox: &mut Outbox, status: StatusCode) {
    if status == StatusCode::OK {
        return outbox.copy(b"HTTP/1.1 200 OK\r\n");
    }
    outbox.copy(b"HTTP/1.1 ");
    outbox.copy(status.as_str().as_bytes());
    outbox.copy(b" ");
    outbox.copy(status.canonical_reason().unwrap_or("Unknown").as_bytes());
    outbox.copy(b"\r\n");
}

pub(super) fn write_field(outbox: &mut Outbox, name: &[u8], value: &[u8]) {
    outbox.copy(name);
    outbox.copy(b": ");
    outbox.copy(value);
    outbox.copy(b"\r\n");
}
