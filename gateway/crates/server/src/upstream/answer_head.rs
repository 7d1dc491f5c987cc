//! The head of an HTTP/1.1 answer: what it says, and how its body is framed (RFC 9112, 6.3).

use std::mem::MaybeUninit;

use bytes::BytesMut;
use http::header::{HeaderMap, HeaderName};
use httparse::{ParserConfig, Response, Status};

use crate::http1::{BadField, Chunks, Fields, Framing, value_of};

const MOST_HEADERS: usize = 100;
/// What the gateway says of a call is said beside these headers: with room for it they need not move.
const ROOM_FOR_OURS: usize = 10;

/// What a provider sent as a head is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHead;

impl From<BadField> for BadHead {
    fn from(_: BadField) -> Self {
        Self
    }
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct AnswerHead {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) framing: Framing,
    /// The connection can carry another exchange after this one.
    pub(crate) keeps: bool,
}

/// Take the head off the front of what was read. `None` while it is not all there.
pub(crate) fn take_head(unread: &mut BytesMut, is_head_request: bool) -> Result<Option<AnswerHead>, BadHead> {
    if unread.is_empty() {
        return Ok(None);
    }
    let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, unread, &mut room);
    let head_bytes = match parsed {
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(BadHead),
    };
    let (status, version) = response.code.zip(response.version).ok_or(BadHead)?;
    let mut headers = HeaderMap::with_capacity(response.headers.len() + ROOM_FOR_OURS);
    let base = unread.as_ptr().addr();
    // Where each value lies, so that it can share the memory it was read into.
    let mut places = Vec::with_capacity(response.headers.len());
    let mut fields = Fields::default();
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadHead)?;
        fields.note(&name, header.value)?;
        let start = header.value.as_ptr().addr().wrapping_sub(base);
        places.push((name, start..start.wrapping_add(header.value.len())));
    }
    let head = unread.split_to(head_bytes).freeze();
    for (name, place) in places {
        headers.append(name, value_of(&head, place)?);
    }
    let framing = framing((status, version), &fields, is_head_request)?;
    let keeps = fields.keeps(version) && framing != Framing::UntilClose;
    Ok(Some(AnswerHead {
        status,
        headers,
        framing,
        keeps,
    }))
}

fn framing((status, version): (u16, u8), fields: &Fields, is_head_request: bool) -> Result<Framing, BadHead> {
    if is_head_request || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::OVER);
    }
    match (fields.is_chunked, fields.length) {
        // Both at once is how one answer is hidden in another; HTTP/1.0 has no chunks.
        (true, Some(_)) => Err(BadHead),
        (true, None) if version == 0 => Err(BadHead),
        (true, None) => Ok(Framing::Chunked(Chunks::default())),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::UntilClose),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn head(text: &str) -> Result<Option<AnswerHead>, BadHead> {
        take_head(&mut BytesMut::from(text), false)
    }

    fn framed(text: &str) -> (Framing, bool) {
        let head = head(text).unwrap().unwrap();
        (head.framing, head.keeps)
    }

    #[test]
    fn a_head_is_taken_off_what_was_read_and_the_body_left() {
        let mut unread = BytesMut::from("HTTP/1.1 200 OK\r\nX-Odd: a  b \r\ncontent-length: 3\r\n\r\nabc");
        let head = take_head(&mut unread, false).unwrap().unwrap();
        assert_eq!(
            (head.status, &head.headers["x-odd"]),
            (200, &HeaderValue::from_static("a  b"))
        );
        assert_eq!((head.framing, head.keeps), (Framing::Length(3), true));
        assert_eq!(unread, "abc");
    }

    #[test]
    fn half_a_head_is_waited_for() {
        assert!(head("HTTP/1.1 200 OK\r\nx: y\r\n").unwrap().is_none());
        assert!(head("").unwrap().is_none());
    }

    #[test]
    fn the_end_of_a_body_is_told_as_the_rfc_says() {
        let chunked = || Framing::Chunked(Chunks::default());
        assert_eq!(
            framed("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n"),
            (chunked(), true)
        );
        assert_eq!(framed("HTTP/1.1 200 OK\r\n\r\n"), (Framing::UntilClose, false));
        assert_eq!(
            framed("HTTP/1.1 204 No\r\ncontent-length: 7\r\n\r\n"),
            (Framing::OVER, true)
        );
        assert_eq!(framed("HTTP/1.1 304 No\r\n\r\n"), (Framing::OVER, true));
        let twice = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(framed(twice), (Framing::Length(3), true));
        let closed = "HTTP/1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(framed(closed), (Framing::Length(3), false));
        assert_eq!(
            framed("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\n"),
            (Framing::Length(3), false)
        );
        let old = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 3\r\n\r\n";
        assert_eq!(framed(old), (Framing::Length(3), true));
        let head = take_head(
            &mut BytesMut::from("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"),
            true,
        );
        assert_eq!(head.unwrap().unwrap().framing, Framing::OVER);
    }

    #[test]
    fn an_answer_that_could_hide_another_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length : 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
        ] {
            assert_eq!(head(text).unwrap_err(), BadHead, "{text}");
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(MOST_HEADERS + 1));
        assert_eq!(head(&many).unwrap_err(), BadHead);
    }
}
