//! One frame of a segment: length, checksum, kind, open id, sequence, payload.
//!
//! All numbers little-endian. The checksum is CRC-32 of everything behind it, begun with the number of the segment's life
//! (0 in files of the first version), so a frame that was torn by a crash, the zeros a segment is filled with, and what
//! lay in a file before it was used again are all told from a frame.

use std::cell::Cell;

/// Bytes before the payload.
pub(crate) const FRAME_HEAD: usize = 4 + 4 + 1 + 8 + 8;
/// The largest frame; also the slack at the end of a segment.
pub(crate) const MAX_FRAME: usize = 64 << 10;

/// What most frames fit into.
const USUAL_FRAME: usize = 2048;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A call begins; its payload is the record it becomes if nothing more is heard of it.
    Open,
    /// A record.
    Record,
}

/// A frame as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    /// Joins a record to its open frame; 0 where there was none.
    pub(crate) open_id: u64,
    /// Of a record; 0 for an open frame.
    pub(crate) sequence: u64,
    pub(crate) payload: &'a [u8],
}

thread_local! {
    /// The memory of this thread's last draft: it writes one after the other.
    static SPARE: Cell<Vec<u8>> = Cell::new(Vec::with_capacity(USUAL_FRAME));
}

impl Drop for Draft {
    fn drop(&mut self) {
        // A thread that ends has no place for it any more.
        let _ = SPARE.try_with(|spare| spare.set(std::mem::take(&mut self.bytes)));
    }
}

/// Room for the head of a frame, with its payload written behind it. What the head says is known only under the lock of
/// the spool, and the payload is long by then.
#[derive(Debug)]
pub(crate) struct Draft {
    bytes: Vec<u8>,
}

impl Draft {
    /// A draft with the payload that `write` appends, and what it returns.
    pub(crate) fn with<T>(write: impl FnOnce(&mut Vec<u8>) -> T) -> (Self, T) {
        let mut bytes = SPARE.take();
        bytes.clear();
        bytes.extend_from_slice(&[0; FRAME_HEAD]);
        let told = write(&mut bytes);
        (Self { bytes }, told)
    }

    /// Of the whole frame.
    pub(crate) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// The frame, as it is written into this life of a segment.
    pub(crate) fn complete(&mut self, kind: Kind, open_id: u64, sequence: u64, life: u32) -> &[u8] {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        if let Some(head) = self.bytes.first_chunk_mut::<FRAME_HEAD>() {
            head[..4].copy_from_slice(&length.to_le_bytes());
            head[8] = match kind {
                Kind::Open => 1,
                Kind::Record => 2,
            };
            head[9..17].copy_from_slice(&open_id.to_le_bytes());
            head[17..].copy_from_slice(&sequence.to_le_bytes());
        }
        let checksum = checksum(self.bytes.get(8..).unwrap_or_default(), life);
        if let Some(place) = self.bytes.get_mut(4..8) {
            place.copy_from_slice(&checksum.to_le_bytes());
        }
        &self.bytes
    }
}

/// Which frames must have the right checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// Every one: nobody knows what was written.
    All,
    /// Only records: this process wrote the frames, or found them whole, and open ones are passed by.
    Records,
}

/// The frame at the start of these bytes and its length; `None` where there is no whole, unharmed frame of this life.
pub(crate) fn decode(bytes: &[u8], check: Check, life: u32) -> Option<(Frame<'_>, usize)> {
    let length = number::<4>(bytes, 0)?;
    let length = usize::try_from(length).ok()?;
    if !(FRAME_HEAD..=MAX_FRAME).contains(&length) {
        return None;
    }
    let frame = bytes.get(..length)?;
    let kind = match frame.get(8)? {
        1 => Kind::Open,
        2 => Kind::Record,
        _ => return None,
    };
    let is_checked = check == Check::All || kind == Kind::Record;
    if is_checked && u64::from(checksum(frame.get(8..)?, life)) != number::<4>(frame, 4)? {
        return None;
    }
    let frame = Frame {
        kind,
        open_id: number::<8>(frame, 9)?,
        sequence: number::<8>(frame, 17)?,
        payload: frame.get(FRAME_HEAD..)?,
    };
    Some((frame, length))
}

fn checksum(bytes: &[u8], life: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(life);
    hasher.update(bytes);
    hasher.finalize()
}

/// A little-endian number of `N` bytes at this place.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let mut wide = [0_u8; 8];
    wide.get_mut(..N)?.copy_from_slice(bytes.get(at..at + N)?);
    Some(u64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_is_read_as_written_and_never_when_harmed(
            payload in prop::collection::vec(any::<u8>(), 0..300), open_id in any::<u64>(), sequence in any::<u64>(),
            hurt in any::<prop::sample::Index>(), by in 1_u8.., life in any::<u32>(), other in 1_u32..,
        ) {
            let frame = Frame { kind: Kind::Record, open_id, sequence, payload: &payload };
            let (mut draft, ()) = Draft::with(|out| out.extend_from_slice(&payload));
            let mut bytes = draft.complete(frame.kind, open_id, sequence, life).to_vec();
            let length = bytes.len();
            prop_assert_eq!(draft.length(), length);
            prop_assert_eq!(decode(&bytes, Check::All, life), Some((frame, length)));
            prop_assert_eq!(decode(&bytes[..length - 1], Check::All, life), None);
            prop_assert_eq!(decode(&bytes, Check::All, life ^ other), None, "of another life");
            let at = hurt.index(length);
            bytes[at] ^= by;
            prop_assert!(decode(&bytes, Check::All, life) != Some((frame, length)));
            let trusted = decode(&bytes, Check::Records, life).filter(|(frame, _)| frame.kind == Kind::Record);
            prop_assert!(trusted != Some((frame, length)), "a record is always checked");
        }
    }

    #[test]
    fn zeros_are_no_frame() {
        assert_eq!(decode(&[0; 4096], Check::All, 1), None);
        assert_eq!(decode(&[0; 4096], Check::Records, 1), None);
    }
}
