//! Where the body of an HTTP/1.1 message ends (RFC 9112, 6 and 7), and its bytes without the framing.

use bytes::{Buf as _, Bytes, BytesMut};

/// Of all chunk extensions, or all trailers, of one message; neither means anything here.
const MOST_IGNORED: usize = 16 << 10;
/// Sixteen would do for any 64-bit size; a size beyond this is no size.
const MOST_DIGITS: u8 = 15;

/// The framing is broken: where the body ends cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadFraming;

/// How the end of a body is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// When the connection closes.
    UntilClose,
}

impl Framing {
    /// No body, or no more of it.
    pub(crate) const OVER: Self = Self::Length(0);

    /// True when nothing more can come.
    pub(crate) const fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => matches!(chunks.at, Place::End),
            Self::UntilClose => false,
        }
    }

    /// What of these bytes belongs to the body: all that is there, as one piece. May be empty.
    pub(crate) fn take(&mut self, unread: &mut BytesMut) -> Result<Bytes, BadFraming> {
        match self {
            Self::Length(left) => {
                let mine = usize::try_from(*left).unwrap_or(usize::MAX).min(unread.len());
                *left -= mine as u64;
                Ok(unread.split_to(mine).freeze())
            }
            Self::Chunked(chunks) => chunks.take(unread),
            Self::UntilClose => Ok(unread.split().freeze()),
        }
    }

    /// How many bytes are worth asking for at once.
    pub(crate) fn wanted(&self, usual: usize, most: usize) -> usize {
        match self {
            Self::Length(left) => usize::try_from(*left).unwrap_or(most).clamp(usual, most),
            Self::Chunked(chunks) => match chunks.at {
                Place::Data(left) => usize::try_from(left).unwrap_or(most).clamp(usual, most),
                _ => usual,
            },
            Self::UntilClose => usual,
        }
    }
}

/// Where in a chunked body its reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a chunk's size, after this many digits.
    Size {
        value: u64,
        digits: u8,
    },
    /// Behind it, up to the line feed.
    Extension {
        size: u64,
        after_return: bool,
    },
    Data(u64),
    /// Behind the data: a carriage return, then a line feed.
    DataReturn,
    DataFeed,
    /// In the trailers: whether the line is empty so far, and whether a carriage return was just seen.
    Trailers {
        is_empty: bool,
        after_return: bool,
    },
    End,
}

/// The reader of a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunks {
    at: Place,
    ignored: usize,
}

impl Default for Chunks {
    fn default() -> Self {
        Self {
            at: Place::Size { value: 0, digits: 0 },
            ignored: 0,
        }
    }
}

impl Chunks {
    /// All data in these bytes as one piece. A single chunk is not copied; what several carry is moved together.
    fn take(&mut self, unread: &mut BytesMut) -> Result<Bytes, BadFraming> {
        let (mut from, mut kept) = (0, 0);
        while !matches!(self.at, Place::End) {
            if let Place::Data(left) = self.at {
                if kept == 0 {
                    unread.advance(from);
                    from = 0;
                }
                let mine = usize::try_from(left).unwrap_or(usize::MAX).min(unread.len() - from);
                if mine == 0 {
                    break;
                }
                if from != kept {
                    unread.copy_within(from..from + mine, kept);
                }
                from += mine;
                kept += mine;
                self.at = match left - mine as u64 {
                    0 => Place::DataReturn,
                    left => Place::Data(left),
                };
            } else {
                let Some(byte) = unread.get(from) else { break };
                self.at = self.after(*byte)?;
                from += 1;
            }
        }
        let data = unread.split_to(kept).freeze();
        unread.advance(from - kept);
        Ok(data)
    }

    /// The place behind this byte of framing.
    fn after(&mut self, byte: u8) -> Result<Place, BadFraming> {
        match (self.at, byte) {
            (Place::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                let digit = char::from(byte).to_digit(16).ok_or(BadFraming)?;
                if digits == MOST_DIGITS {
                    return Err(BadFraming);
                }
                let value = value << 4 | u64::from(digit);
                Ok(Place::Size {
                    value,
                    digits: digits + 1,
                })
            }
            (Place::Size { value, digits: 1.. }, b'\r') => Ok(Place::Extension {
                size: value,
                after_return: true,
            }),
            (Place::Size { value, digits: 1.. }, b';' | b' ' | b'\t') => Ok(Place::Extension {
                size: value,
                after_return: false,
            }),
            (
                Place::Extension {
                    size,
                    after_return: true,
                },
                b'\n',
            ) => Ok(match size {
                0 => Place::Trailers {
                    is_empty: true,
                    after_return: false,
                },
                size => Place::Data(size),
            }),
            (
                Place::Extension {
                    size,
                    after_return: false,
                },
                _,
            ) if byte != b'\n' => {
                self.ignore()?;
                Ok(Place::Extension {
                    size,
                    after_return: byte == b'\r',
                })
            }
            (Place::DataReturn, b'\r') => Ok(Place::DataFeed),
            (Place::DataFeed, b'\n') => Ok(Place::Size { value: 0, digits: 0 }),
            (Place::Trailers { is_empty, after_return }, _) => self.in_trailers(is_empty, after_return, byte),
            _ => Err(BadFraming),
        }
    }

    fn in_trailers(&mut self, is_empty: bool, after_return: bool, byte: u8) -> Result<Place, BadFraming> {
        match (byte, after_return) {
            (b'\n', true) if is_empty => Ok(Place::End),
            (b'\n', true) => Ok(Place::Trailers {
                is_empty: true,
                after_return: false,
            }),
            (b'\n', false) | (_, true) => Err(BadFraming),
            (b'\r', false) => Ok(Place::Trailers {
                is_empty,
                after_return: true,
            }),
            (_, false) => {
                self.ignore()?;
                Ok(Place::Trailers {
                    is_empty: false,
                    after_return: false,
                })
            }
        }
    }

    fn ignore(&mut self) -> Result<(), BadFraming> {
        self.ignored += 1;
        if self.ignored > MOST_IGNORED {
            return Err(BadFraming);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a body is read as when it comes in pieces of this size, and what is left behind it.
    fn read(wire: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, bool), BadFraming> {
        let mut framing = Framing::Chunked(Chunks::default());
        let (mut unread, mut data) = (BytesMut::new(), Vec::new());
        for piece in wire.chunks(step) {
            unread.extend_from_slice(piece);
            data.extend_from_slice(&framing.take(&mut unread)?);
        }
        Ok((data, unread.to_vec(), framing.is_over()))
    }

    fn chunked(pieces: &[Vec<u8>], extension: &str, trailers: &str) -> Vec<u8> {
        let mut wire = Vec::new();
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            wire.extend_from_slice(format!("{:X}{extension}\r\n", piece.len()).as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
        wire
    }

    proptest! {
        #[test]
        fn chunks_are_read_alike_however_they_come(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..6),
            extension in prop::sample::select(vec!["", ";a", " ;a=\"b\""]),
            trailers in prop::sample::select(vec!["", "x: y\r\n", "x: y\r\nz:\r\n"]), step in 1_usize..80,
        ) {
            let mut wire = chunked(&pieces, extension, trailers);
            wire.extend_from_slice(b"HTTP");
            let (data, rest, is_over) = read(&wire, step).unwrap();
            prop_assert_eq!(data, pieces.concat());
            prop_assert_eq!(rest, b"HTTP");
            prop_assert!(is_over);
        }

        #[test]
        fn a_body_that_stops_early_is_not_over(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..4), cut in any::<prop::sample::Index>(),
        ) {
            let wire = chunked(&pieces, "", "");
            let (_, _, is_over) = read(&wire[..cut.index(wire.len())], 7).unwrap();
            prop_assert!(!is_over);
        }
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        let bad: [&[u8]; 10] = [
            b"3\nabc\r\n0\r\n\r\n",
            b"3\r\nabc\n0\r\n\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"0x3\r\nabc\r\n0\r\n\r\n",
            b"-3\r\nabc\r\n0\r\n\r\n",
            b"\r\nabc\r\n0\r\n\r\n",
            b" 3\r\nabc\r\n0\r\n\r\n",
            b"3\rx\nabc\r\n0\r\n\r\n",
            b"10000000000000003\r\nabc\r\n0\r\n\r\n",
            b"0\r\nx: y\n\r\n",
        ];
        for wire in bad {
            assert_eq!(read(wire, 100), Err(BadFraming), "{}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn extensions_and_trailers_without_end_are_refused() {
        let endless = [b"1;".to_vec(), vec![b'x'; MOST_IGNORED + 1]].concat();
        assert_eq!(read(&endless, 4096), Err(BadFraming));
        let endless = [b"0\r\n".to_vec(), b"a: b\r\n".repeat(MOST_IGNORED / 4 + 1)].concat();
        assert_eq!(read(&endless, 4096), Err(BadFraming));
    }

    #[test]
    fn a_length_leaves_what_comes_behind_it() {
        let mut framing = Framing::Length(5);
        let mut unread = BytesMut::from(&b"abc"[..]);
        assert_eq!(framing.take(&mut unread).unwrap(), "abc");
        assert!(!framing.is_over());
        unread.extend_from_slice(b"defg");
        assert_eq!(framing.take(&mut unread).unwrap(), "de");
        assert!(framing.is_over());
        assert_eq!(unread, "fg");
    }
}
