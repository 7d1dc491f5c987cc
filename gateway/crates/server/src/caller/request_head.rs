//! The head of a request: what it asks for, and how its body is framed (RFC 9112, 3 and 6).

use std::mem::MaybeUninit;

use bytes::{Buf as _, BytesMut};
use http::header::{HeaderMap, HeaderName};
use http::request::Parts;
use http::{Method, Request, Uri, Version};
use httparse::{ParserConfig, Status};

use crate::http1::{BadField, Chunks, Fields, Framing, value_of};
use crate::reply::Refusal;

/// Longer than any head that means well: the longest are those with signed tokens and traces.
const MOST_BYTES: usize = 128 << 10;
const MOST_HEADERS: usize = 100;
/// As much as a `Uri` takes.
const MOST_TARGET: usize = 65_534;

/// The head of a request.
#[derive(Debug)]
pub(super) struct RequestHead {
    /// In a place of their own: they are handed on from one stage of a call to the next.
    pub(super) parts: Box<Parts>,
    pub(super) framing: Framing,
    /// The caller means to go on with the connection.
    pub(super) keeps: bool,
    /// The caller waits to be asked for the body.
    pub(super) asks_first: bool,
}

/// What a caller sent as a head is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadHead {
    Malformed,
    TooLarge,
    TargetTooLong,
    /// It did not come to its end in time.
    Late,
}

impl BadHead {
    pub(super) fn refusal(self) -> Refusal {
        match self {
            Self::Malformed => Refusal::new(400, "malformed_head", "This is no head of an HTTP/1.1 request."),
            Self::TooLarge => {
                let message = format!(
                    "The head of a request may have {MOST_HEADERS} headers and {} KiB.",
                    MOST_BYTES >> 10
                );
                Refusal::new(431, "head_too_large", message)
            }
            Self::TargetTooLong => {
                let message = format!("The target of a request may have {MOST_TARGET} bytes.");
                Refusal::new(414, "target_too_long", message)
            }
            Self::Late => Refusal::new(408, "head_too_slow", "The head of the request stopped coming."),
        }
    }
}

impl From<BadField> for BadHead {
    fn from(_: BadField) -> Self {
        Self::Malformed
    }
}

/// Reads heads off the front of what a caller sent.
#[derive(Debug, Default)]
pub(super) struct HeadReader {
    /// So much was looked at in vain; it is parsed again only when an end has come.
    searched: usize,
}

impl HeadReader {
    /// Take a head off the front. `None` while it is not all there.
    pub(super) fn take(&mut self, unread: &mut BytesMut) -> Result<Option<RequestHead>, BadHead> {
        if self.searched == 0 {
            skip_empty_lines(unread);
        }
        if unread.is_empty() {
            return Ok(None);
        }
        let may_be_whole = self.searched == 0 || has_end(unread, self.searched);
        let head = if may_be_whole { parse(unread)? } else { None };
        self.searched = if head.is_some() { 0 } else { unread.len() };
        if self.searched > MOST_BYTES {
            return Err(BadHead::TooLarge);
        }
        Ok(head)
    }

    /// Nothing of another request has come.
    pub(super) const fn is_at_start(&self) -> bool {
        self.searched == 0
    }
}

/// Some callers end a body with an empty line (RFC 9112, 2.2).
fn skip_empty_lines(unread: &mut BytesMut) {
    while unread.first_chunk() == Some(b"\r\n") {
        unread.advance(2);
    }
}

/// True if an empty line ends behind what was searched before.
fn has_end(unread: &[u8], searched: usize) -> bool {
    let fresh = unread.get(searched.saturating_sub(2)..).unwrap_or_default();
    let mut rests = memchr::memchr_iter(b'\n', fresh).filter_map(|at| fresh.get(at + 1..));
    rests.any(|rest| matches!(rest, [b'\n', ..] | [b'\r', b'\n', ..]))
}

/// True if a line ends in a line feed alone, which not every reader takes for its end.
fn has_bare_feed(unread: &[u8], head_bytes: usize) -> bool {
    let head = unread.get(..head_bytes).unwrap_or_default();
    let mut feeds = memchr::memchr_iter(b'\n', head);
    feeds.any(|at| at.checked_sub(1).and_then(|before| head.get(before)) != Some(&b'\r'))
}

fn parse(unread: &mut BytesMut) -> Result<Option<RequestHead>, BadHead> {
    let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut request, unread, &mut room);
    let head_bytes = match parsed {
        Ok(Status::Complete(bytes)) if bytes > MOST_BYTES => return Err(BadHead::TooLarge),
        Ok(Status::Complete(bytes)) if has_bare_feed(unread, bytes) => return Err(BadHead::Malformed),
        Ok(Status::Complete(bytes)) => bytes,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooLarge),
        Err(_) => return Err(BadHead::Malformed),
    };
    let (method, target) = request.method.zip(request.path).ok_or(BadHead::Malformed)?;
    let version = request.version.ok_or(BadHead::Malformed)?;
    if target.len() > MOST_TARGET {
        return Err(BadHead::TargetTooLong);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| BadHead::Malformed)?;
    let base = unread.as_ptr().addr();
    let place_of = |part: &[u8]| {
        let start = part.as_ptr().addr().wrapping_sub(base);
        start..start.wrapping_add(part.len())
    };
    let target = place_of(target.as_bytes());
    let mut headers = HeaderMap::with_capacity(request.headers.len());
    // Where each value lies, so that it can share the memory it was read into.
    let mut places = Vec::with_capacity(request.headers.len());
    let mut fields = Fields::default();
    for header in request.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| BadHead::Malformed)?;
        fields.note(&name, header.value)?;
        places.push((name, place_of(header.value)));
    }
    let framing = framing(version, &fields)?;
    let head = unread.split_to(head_bytes).freeze();
    let uri = Uri::from_maybe_shared(head.slice(target)).map_err(|_| BadHead::Malformed)?;
    for (name, place) in places {
        headers.append(name, value_of(&head, place)?);
    }
    let asks_first = fields.expects_continue && version > 0 && !framing.is_over();
    let mut parts = Box::new(Request::new(()).into_parts().0);
    // Both lengths at once are refused later, in the caller's dialect; nothing that follows is taken for a request.
    let keeps = fields.keeps(version) && !(fields.is_chunked && fields.length.is_some());
    (parts.method, parts.uri) = (method, uri);
    parts.version = if version == 0 {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    parts.headers = headers;
    Ok(Some(RequestHead {
        parts,
        framing,
        keeps,
        asks_first,
    }))
}

fn framing(version: u8, fields: &Fields) -> Result<Framing, BadHead> {
    match (fields.is_chunked, version) {
        // HTTP/1.0 has no chunks.
        (true, 0) => Err(BadHead::Malformed),
        (true, _) => Ok(Framing::Chunked(Chunks::default())),
        (false, _) => Ok(Framing::Length(fields.length.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Option<RequestHead>, BadHead> {
        HeadReader::default().take(&mut BytesMut::from(text))
    }

    fn read(text: &str) -> RequestHead {
        head(text).unwrap().unwrap()
    }

    #[test]
    fn a_head_is_taken_off_what_was_read_and_the_body_left() {
        let mut unread = BytesMut::from(
            "\r\n\r\nPOST /v1/messages?a=b HTTP/1.1\r\nHost: g\r\nX-Odd: a  b \r\ncontent-length: 3\r\n\r\nabc",
        );
        let head = HeadReader::default().take(&mut unread).unwrap().unwrap();
        assert_eq!(
            (&head.parts.method, head.parts.version),
            (&Method::POST, Version::HTTP_11)
        );
        assert_eq!(head.parts.uri, "/v1/messages?a=b");
        assert_eq!(head.parts.headers["x-odd"], "a  b");
        assert_eq!(
            (head.framing, head.keeps, head.asks_first),
            (Framing::Length(3), true, false)
        );
        assert_eq!(unread, "abc");
    }

    #[test]
    fn whether_the_connection_goes_on_is_told_as_the_rfc_says() {
        for (line, fields, keeps) in [
            ("1.1", "", true),
            ("1.1", "connection: Close\r\n", false),
            ("1.1", "connection: x\r\nconnection: keep-alive, close\r\n", false),
            ("1.0", "", false),
            ("1.0", "connection: Keep-Alive\r\n", true),
            ("1.1", "content-length: 1\r\ntransfer-encoding: chunked\r\n", false),
        ] {
            assert_eq!(
                read(&format!("GET / HTTP/{line}\r\n{fields}\r\n")).keeps,
                keeps,
                "{line} {fields}"
            );
        }
    }

    #[test]
    fn only_a_caller_that_can_be_asked_and_has_a_body_is_asked_for_it() {
        for (line, fields, asks) in [
            ("1.1", "expect: 100-Continue\r\ncontent-length: 1\r\n", true),
            ("1.1", "expect: 100-continue\r\ncontent-length: 0\r\n", false),
            ("1.1", "expect: something\r\ncontent-length: 1\r\n", false),
            ("1.0", "expect: 100-continue\r\ncontent-length: 1\r\n", false),
        ] {
            assert_eq!(
                read(&format!("POST / HTTP/{line}\r\n{fields}\r\n")).asks_first,
                asks,
                "{line} {fields}"
            );
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (fields, wrong) in [
            ("content-length: 3\r\ncontent-length: 4\r\n", BadHead::Malformed),
            ("content-length: 3, 3\r\n", BadHead::Malformed),
            ("content-length:\r\n", BadHead::Malformed),
            ("transfer-encoding: gzip, chunked\r\n", BadHead::Malformed),
            (
                "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
                BadHead::Malformed,
            ),
            ("content-length : 3\r\n", BadHead::Malformed),
            ("x: a\r\n folded\r\n", BadHead::Malformed),
            (&"x: y\r\n".repeat(MOST_HEADERS + 1), BadHead::TooLarge),
            (&format!("x: {}\r\n", "y".repeat(MOST_BYTES)), BadHead::TooLarge),
        ] {
            let text = format!("POST / HTTP/1.1\r\n{fields}\r\n");
            assert_eq!(head(&text).unwrap_err(), wrong, "{}", &text[..100.min(text.len())]);
        }
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "q".repeat(MOST_TARGET));
        assert_eq!(head(&long).unwrap_err(), BadHead::TargetTooLong);
        for line in [
            "GET / HTTP/2.0",
            "GET /",
            "GET  / HTTP/1.1",
            "G@T / HTTP/1.1",
            "GET /\u{e9} HTTP/1.1 x",
        ] {
            assert_eq!(
                head(&format!("{line}\r\n\r\n")).unwrap_err(),
                BadHead::Malformed,
                "{line}"
            );
        }
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let (mut reader, mut unread) = (HeadReader::default(), BytesMut::from("GET / HTTP/1.1\r\n"));
        let endless = std::iter::repeat_with(|| {
            unread.extend_from_slice(&[b'x'; 1000]);
            reader.take(&mut unread).map(|head| head.is_none())
        });
        assert_eq!(
            endless.take(200).find(|taken| *taken != Ok(true)),
            Some(Err(BadHead::TooLarge))
        );
    }

    proptest! {
        #[test]
        fn a_head_is_read_alike_however_it_comes(step in 1_usize..80, feed in prop::sample::select(vec!["\r\n", "\n"])) {
            let is_bare = feed == "\n";
            let text = ["POST /v1/x HTTP/1.1", "host: g", "content-length: 5", "x: a", "", "hello"].join(feed);
            let (mut reader, mut unread) = (HeadReader::default(), BytesMut::new());
            let mut taken = Ok(None);
            for piece in text.as_bytes().chunks(step) {
                unread.extend_from_slice(piece);
                if matches!(taken, Ok(None)) {
                    taken = reader.take(&mut unread);
                    prop_assert!(!matches!(taken, Ok(Some(_))) || reader.is_at_start());
                }
            }
            if is_bare {
                prop_assert_eq!(taken.unwrap_err(), BadHead::Malformed);
                return Ok(());
            }
            let head = taken.unwrap().unwrap();
            prop_assert_eq!(head.framing, Framing::Length(5));
            prop_assert_eq!(head.parts.headers.len(), 3);
            prop_assert_eq!(&unread[..], b"hello");
        }
    }
}
