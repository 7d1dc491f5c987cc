//! Server-sent events: where one ends, and what its lines say.
//!
//! The rules are those of the HTML standard, "9.2.6 Interpreting an event stream": lines end in LF, CR or CRLF, a
//! blank line ends the event, a byte order mark may open the stream, a line that starts with a colon is a comment.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// The longest event that is taken for one.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// An event went on for more than `MAX_EVENT_BYTES` without an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLong;

/// Cuts a stream of chunks at the ends of events, whatever the chunks were.
#[derive(Debug, Default)]
pub struct EventSplitter {
    /// The start of an event that is not over yet.
    pending: BytesMut,
    /// True when something stands on the line under way.
    in_line: bool,
    /// The last byte was a CR: a LF that follows belongs to it.
    after_cr: bool,
}

impl EventSplitter {
    /// Take a chunk; give back all events that are now whole, in one piece and byte for byte.
    ///
    /// # Errors
    /// `EventTooLong` when no event ended within the bound.
    pub fn push(&mut self, chunk: Bytes) -> Result<Option<Bytes>, EventTooLong> {
        if self.pending.is_empty() {
            return match self.last_boundary(&chunk) {
                Some(end) if end == chunk.len() => Ok(Some(chunk)),
                Some(end) => {
                    self.keep(chunk.get(end..).unwrap_or_default())?;
                    Ok(Some(chunk.slice(..end)))
                }
                None => self.keep(&chunk).map(|()| None),
            };
        }
        let boundary = self.last_boundary(&chunk);
        let Some(end) = boundary else {
            return self.keep(&chunk).map(|()| None);
        };
        self.pending.extend_from_slice(chunk.get(..end).unwrap_or_default());
        let whole = self.pending.split().freeze();
        self.keep(chunk.get(end..).unwrap_or_default())?;
        Ok(Some(whole))
    }

    /// The bytes behind the last whole event.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.pending
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), EventTooLong> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() > MAX_EVENT_BYTES {
            Err(EventTooLong)
        } else {
            Ok(())
        }
    }

    /// Where the last event that ends within this chunk ends.
    fn last_boundary(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut boundary = None;
        let mut at = 0;
        if self.after_cr && !chunk.is_empty() {
            at = usize::from(chunk.first() == Some(&b'\n'));
            self.after_cr = false;
        }
        loop {
            let rest = chunk.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'\n', b'\r', rest) else {
                self.in_line |= !rest.is_empty();
                return boundary;
            };
            let is_blank = found == 0 && !self.in_line;
            self.in_line = false;
            let is_cr = rest.get(found) == Some(&b'\r');
            at += found + 1;
            if is_cr {
                match chunk.get(at) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if is_blank {
                boundary = Some(at);
            }
        }
    }
}

/// One event: its name, if a line gives one, and its data lines joined by LF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    /// What stands behind `event:`.
    pub name: Option<&'a [u8]>,
    /// What stands behind `data:`.
    pub data: Cow<'a, [u8]>,
}

/// The events of a block as `EventSplitter` gives it. Blocks of comments only give none.
pub fn events(block: &[u8]) -> impl Iterator<Item = Event<'_>> {
    let block = block.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(block);
    let mut rest = block;
    std::iter::from_fn(move || next_event(&mut rest))
}

fn next_event<'a>(rest: &mut &'a [u8]) -> Option<Event<'a>> {
    let mut name = None;
    let mut data: Option<Cow<'a, [u8]>> = None;
    while let Some(line) = next_line(rest) {
        if line.is_empty() {
            if let Some(data) = data.take() {
                return Some(Event { name, data });
            }
            name = None;
        } else if let Some(value) = field(line, b"data") {
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(earlier) => Cow::Owned([&earlier, value].join(&b'\n')),
            });
        } else if let Some(value) = field(line, b"event") {
            name = Some(value);
        }
    }
    None
}

fn next_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = memchr2(b'\n', b'\r', rest)?;
    let (line, tail) = rest.split_at(end);
    let width = if tail.starts_with(b"\r\n") { 2 } else { 1 };
    *rest = tail.get(width..).unwrap_or_default();
    Some(line)
}

fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &[u8] = b"\xEF\xBB\xBFevent: a\ndata: 1\n\n: comment\r\n\r\nevent:b\rdata:2\rdata: 3\r\rdata\n\nid: 4\ndata:  5\r\n\r\n";

    fn seen(blocks: &[Bytes]) -> Vec<(Option<String>, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let all: Vec<_> = blocks
            .iter()
            .flat_map(|block| {
                events(block)
                    .map(|event| (event.name.map(text), text(&event.data)))
                    .collect::<Vec<_>>()
            })
            .collect();
        all
    }

    fn split(stream: &[u8], cuts: &[usize]) -> (Vec<Bytes>, Vec<u8>) {
        let mut splitter = EventSplitter::default();
        let mut blocks = Vec::new();
        let mut from = 0;
        for &to in cuts.iter().chain(std::iter::once(&stream.len())) {
            blocks.extend(splitter.push(Bytes::copy_from_slice(&stream[from..to])).unwrap());
            from = to;
        }
        (blocks, splitter.rest().to_vec())
    }

    fn expected() -> Vec<(Option<String>, String)> {
        let named = |name: &str, data: &str| (Some(name.to_owned()), data.to_owned());
        vec![
            named("a", "1"),
            named("b", "2\n3"),
            (None, String::new()),
            (None, " 5".to_owned()),
        ]
    }

    #[test]
    fn a_stream_cut_at_any_byte_gives_the_same_events_and_the_same_bytes() {
        for cut in 0..=STREAM.len() {
            let (blocks, rest) = split(STREAM, &[cut]);
            assert_eq!(seen(&blocks), expected(), "cut at {cut}");
            assert_eq!([blocks.concat(), rest].concat(), STREAM, "cut at {cut}");
        }
        let every: Vec<usize> = (1..STREAM.len()).collect();
        let (blocks, rest) = split(STREAM, &every);
        assert_eq!(seen(&blocks), expected());
        assert_eq!([blocks.concat(), rest].concat(), STREAM);
    }

    #[test]
    fn an_event_without_an_end_is_held_back_and_bounded() {
        let mut splitter = EventSplitter::default();
        assert_eq!(splitter.push(Bytes::from_static(b"data: half")).unwrap(), None);
        assert_eq!(splitter.rest(), b"data: half");
        assert_eq!(
            splitter.push(Bytes::from(vec![b'x'; MAX_EVENT_BYTES])),
            Err(EventTooLong)
        );
    }

    proptest! {
        #[test]
        fn no_bytes_are_lost_or_made_up(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b':'), any::<u8>()], 0..120), cuts in prop::collection::vec(0usize..120, 0..6)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.sort_unstable();
            let (blocks, rest) = split(&bytes, &cuts);
            let (whole, _) = split(&bytes, &[]);
            prop_assert_eq!(seen(&blocks), seen(&whole));
            prop_assert_eq!([blocks.concat(), rest].concat(), bytes);
        }
    }
}
