//! The head of an HTTP/1.1 answer: what it says, and how its body is framed (RFC 9112, 6.3).

use std::mem::MaybeUninit;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use httparse::{ParserConfig, Response, Status};

use super::framing::{Chunks, Framing};

const MOST_HEADERS: usize = 100;
/// What the gateway says of a call is said beside these headers: with room for it they need not move.
const ROOM_FOR_OURS: usize = 10;

/// What a provider sent as a head is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadHead;

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
    let mut fields = Vec::with_capacity(response.headers.len());
    let (mut is_coded, mut names_options) = (false, false);
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadHead)?;
        is_coded |= name == TRANSFER_ENCODING;
        names_options |= name == CONNECTION;
        let start = header.value.as_ptr().addr().wrapping_sub(base);
        fields.push((name, start..start.wrapping_add(header.value.len())));
    }
    let head = unread.split_to(head_bytes).freeze();
    for (name, place) in fields {
        headers.append(name, value_of(&head, place)?);
    }
    let is_chunked = is_coded && is_chunked(&headers)?;
    let framing = framing((status, version), is_chunked, length(&headers)?, is_head_request)?;
    // What is not there is not looked up.
    let says_so = if names_options {
        keeps(version, &headers)
    } else {
        version > 0
    };
    let keeps = says_so && framing != Framing::UntilClose;
    Ok(Some(AnswerHead {
        status,
        headers,
        framing,
        keeps,
    }))
}

fn value_of(head: &Bytes, place: Range<usize>) -> Result<HeaderValue, BadHead> {
    // An empty value may lie anywhere.
    if place.is_empty() {
        return Ok(HeaderValue::from_static(""));
    }
    if place.end > head.len() {
        return Err(BadHead);
    }
    HeaderValue::from_maybe_shared(head.slice(place)).map_err(|_| BadHead)
}

fn framing(
    (status, version): (u16, u8),
    is_chunked: bool,
    length: Option<u64>,
    is_head_request: bool,
) -> Result<Framing, BadHead> {
    if is_head_request || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::OVER);
    }
    match (is_chunked, length) {
        // Both at once is how one answer is hidden in another; HTTP/1.0 has no chunks.
        (true, Some(_)) => Err(BadHead),
        (true, None) if version == 0 => Err(BadHead),
        (true, None) => Ok(Framing::Chunked(Chunks::default())),
        (false, Some(length)) => Ok(Framing::Length(length)),
        (false, None) => Ok(Framing::UntilClose),
    }
}

/// The length, if one is named; named twice, it must be the same.
fn length(headers: &HeaderMap) -> Result<Option<u64>, BadHead> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let text = value.to_str().map_err(|_| BadHead)?;
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadHead);
        }
        let named = text.parse().map_err(|_| BadHead)?;
        if length.is_some_and(|known| known != named) {
            return Err(BadHead);
        }
        length = Some(named);
    }
    Ok(length)
}

/// True for chunks; any other coding is none that was asked for.
fn is_chunked(headers: &HeaderMap) -> Result<bool, BadHead> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(false),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(true),
        _ => Err(BadHead),
    }
}

fn keeps(version: u8, headers: &HeaderMap) -> bool {
    let mut says_close = false;
    let mut says_keep = false;
    for value in headers.get_all(CONNECTION) {
        for option in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            says_close |= option.eq_ignore_ascii_case(b"close");
            says_keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    !says_close && (version > 0 || says_keep)
}

#[cfg(test)]
mod tests {
    use super::*;

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
