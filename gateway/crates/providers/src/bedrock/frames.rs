//! AWS's binary stream of events, frame by frame.
//!
//! A frame is its length, the length of its headers, a checksum of these two, headers, payload, and a checksum of all
//! before ("Event stream encoding" in the Amazon Transcribe developer guide). All numbers are big endian.

use crate::values::at;
use crate::vendor::Undecodable;

/// No frame of a model's answer is longer.
const MOST_FRAME: usize = 16 << 20;
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    headers: Vec<(String, String)>,
    /// What it carries.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// A header with a text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// What went wrong, if this frame says that something did: its kind and its sentence.
    pub(crate) fn exception(&self) -> Option<(String, String)> {
        match self.header(":message-type") {
            Some("exception") => {
                let kind = self.header(":exception-type").unwrap_or("exception").to_owned();
                let said: serde_json::Value = serde_json::from_slice(&self.payload).unwrap_or_default();
                let message = at(&said, "/message").as_str().unwrap_or(&kind).to_owned();
                Some((kind, message))
            }
            Some("error") => {
                let kind = self.header(":error-code").unwrap_or("error").to_owned();
                let message = self.header(":error-message").unwrap_or(&kind).to_owned();
                Some((kind, message))
            }
            _ => None,
        }
    }
}

/// Cuts bytes into frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    unread: Vec<u8>,
}

impl Frames {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
    }

    /// True when no frame is unfinished.
    pub(crate) fn is_empty(&self) -> bool {
        self.unread.is_empty()
    }

    /// The next whole frame; `None` while there is none.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Undecodable> {
        let Some(total) = word(&self.unread, 0) else {
            return Ok(None);
        };
        let total = usize::try_from(total).map_err(|_| Undecodable)?;
        if !(PRELUDE + CHECKSUM..=MOST_FRAME).contains(&total) {
            return Err(Undecodable);
        }
        if let Some(prelude) = self.unread.get(..8)
            && let Some(sum) = word(&self.unread, 8)
            && crc32fast::hash(prelude) != sum
        {
            return Err(Undecodable);
        }
        let Some(whole) = self.unread.get(..total) else {
            return Ok(None);
        };
        let frame = read(whole);
        self.unread.drain(..total);
        frame.map(Some).ok_or(Undecodable)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn read(whole: &[u8]) -> Option<Frame> {
    let end = whole.len() - CHECKSUM;
    if crc32fast::hash(whole.get(..end)?) != word(whole, end)? {
        return None;
    }
    let headers_end = PRELUDE.checked_add(usize::try_from(word(whole, 4)?).ok()?)?;
    Some(Frame {
        headers: read_headers(whole.get(PRELUDE..headers_end)?)?,
        payload: whole.get(headers_end..end)?.to_vec(),
    })
}

fn read_headers(mut rest: &[u8]) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    while let Some((length, tail)) = rest.split_first() {
        let (name, tail) = tail.split_at_checked(usize::from(*length))?;
        let (kind, tail) = tail.split_first()?;
        let (value, tail) = match kind {
            // True and false have no bytes.
            0 | 1 => (<&[u8]>::default(), tail),
            2 => tail.split_at_checked(1)?,
            3 => tail.split_at_checked(2)?,
            4 => tail.split_at_checked(4)?,
            5 | 8 => tail.split_at_checked(8)?,
            6 | 7 => {
                let (size, tail) = tail.split_first_chunk::<2>()?;
                tail.split_at_checked(usize::from(u16::from_be_bytes(*size)))?
            }
            9 => tail.split_at_checked(16)?,
            _ => return None,
        };
        if *kind == 7 {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            headers.push((text(name), text(value)));
        }
        rest = tail;
    }
    Some(headers)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A frame as AWS writes it.
    pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
        let mut head = Vec::new();
        for (name, value) in headers {
            head.push(u8::try_from(name.len()).unwrap());
            head.extend_from_slice(name.as_bytes());
            head.push(7);
            head.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
            head.extend_from_slice(value.as_bytes());
        }
        let total = u32::try_from(PRELUDE + head.len() + payload.len() + CHECKSUM).unwrap();
        let mut whole = total.to_be_bytes().to_vec();
        whole.extend_from_slice(&u32::try_from(head.len()).unwrap().to_be_bytes());
        whole.extend_from_slice(&crc32fast::hash(&whole).to_be_bytes());
        whole.extend_from_slice(&head);
        whole.extend_from_slice(payload);
        whole.extend_from_slice(&crc32fast::hash(&whole).to_be_bytes());
        whole
    }

    fn all(bytes: &[u8], cut: usize) -> Result<Vec<Frame>, Undecodable> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(cut.max(1)) {
            frames.push(piece);
            while let Some(frame) = frames.next()? {
                found.push(frame);
            }
        }
        if frames.is_empty() { Ok(found) } else { Err(Undecodable) }
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames() {
        let bytes = [
            frame(&[(":event-type", "chunk")], b"{}"),
            frame(&[], b""),
            frame(&[("a", "b"), ("c", "d")], b"xyz"),
        ]
        .concat();
        let whole = all(&bytes, bytes.len()).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(
            (whole[0].header(":event-type"), &whole[2].payload[..]),
            (Some("chunk"), &b"xyz"[..])
        );
        for cut in 1..bytes.len() {
            assert_eq!(all(&bytes, cut).unwrap(), whole, "{cut}");
        }
    }

    #[test]
    fn any_changed_bit_is_noticed() {
        let bytes = frame(&[(":event-type", "chunk")], b"{\"bytes\":\"\"}");
        for at in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1;
            assert!(all(&wrong, wrong.len()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_frame_without_bound_is_refused_before_it_is_waited_for() {
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_be_bytes());
        assert_eq!(frames.next(), Err(Undecodable));
    }

    proptest! {
        #[test]
        fn garbage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 1_usize..50) {
            let _ = all(&bytes, cut);
        }
    }
}
