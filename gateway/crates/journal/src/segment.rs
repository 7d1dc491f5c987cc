//! One file of the spool, allocated in full before anything is written to it, so that a full disk is met when a call
//! asks for room and never when it reports its end.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airside_mapping::Mapping;

use crate::frame::{self, Check, Frame, MAX_FRAME};

const MAGIC: &[u8; 8] = b"AIRJRNL1";
/// Magic, first sequence, CRC-32 of both.
pub(crate) const SEGMENT_HEAD: u64 = 8 + 8 + 4;

/// One file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) path: PathBuf,
    file: Arc<File>,
    /// While it is being written, on file systems where that is safe.
    mapping: Option<Mapping>,
    bytes: u64,
    pub(crate) written: u64,
    /// The sequence of the last record in it, or of the last before it.
    pub(crate) last_sequence: u64,
    /// Open frames in it whose record was not written yet.
    pub(crate) unfinished: usize,
    is_sealed: bool,
}

impl Segment {
    /// Make a new file of this size. Fails when the disk has no room for all of it, and leaves nothing then.
    pub(crate) fn create(directory: &Path, id: u64, bytes: u64, next_sequence: u64) -> io::Result<Self> {
        let path = directory.join(format!("{id:016}.segment"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let head = segment_head(next_sequence);
        let made = allocate(&file, bytes)
            .and_then(|()| file.write_all_at(&head, 0))
            .and_then(|()| Mapping::of(&file));
        let mapping = match made {
            Ok(mapping) => mapping,
            Err(error) => {
                drop(file);
                std::fs::remove_file(&path)?;
                return Err(error);
            }
        };
        let last_sequence = next_sequence.saturating_sub(1);
        Ok(Self {
            id,
            path,
            file: Arc::new(file),
            mapping,
            bytes,
            written: SEGMENT_HEAD,
            last_sequence,
            unfinished: 0,
            is_sealed: false,
        })
    }

    /// Open a file that an earlier process left. `None` when it never got its head, and so holds nothing.
    pub(crate) fn reopen(path: PathBuf, id: u64) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let mut head = [0; 20];
        if bytes < SEGMENT_HEAD || file.read_exact_at(&mut head, 0).is_err() {
            return Ok(None);
        }
        let Some(next_sequence) = frame::number::<8>(&head, 8).filter(|next| segment_head(*next) == head) else {
            return Ok(None);
        };
        let last_sequence = next_sequence.saturating_sub(1);
        Ok(Some(Self {
            id,
            path,
            file: Arc::new(file),
            mapping: None,
            bytes,
            written: SEGMENT_HEAD,
            last_sequence,
            unfinished: 0,
            is_sealed: false,
        }))
    }

    /// How many bytes of frames may still begin here. A frame that begins in time always fits: the slack is its size.
    pub(crate) fn room(&self) -> u64 {
        if self.is_sealed {
            return 0;
        }
        self.bytes.saturating_sub(MAX_FRAME as u64).saturating_sub(self.written)
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Take this empty segment into use: its head now names the sequence its first record can have.
    pub(crate) fn start(&mut self, next_sequence: u64) -> io::Result<()> {
        self.file.write_all_at(&segment_head(next_sequence), 0)?;
        self.last_sequence = next_sequence.saturating_sub(1);
        Ok(())
    }

    /// Nothing is appended any more; what lies behind `end` is no frame.
    pub(crate) fn seal(&mut self, end: u64) {
        self.written = end;
        self.is_sealed = true;
        self.mapping = None;
    }

    /// Nothing more fits: the next segment is begun.
    pub(crate) fn is_full(&mut self) {
        self.seal(self.written);
    }

    /// Write behind what is there. When this returns the bytes are in the page cache, so they outlive the process.
    pub(crate) fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        match &mut self.mapping {
            Some(mapping) => mapping.write(usize::try_from(self.written).map_err(io::Error::other)?, frames)?,
            None => self.file.write_all_at(frames, self.written)?,
        }
        self.written += frames.len() as u64;
        Ok(())
    }

    /// The file itself, to push what was written through to the device.
    pub(crate) fn device(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// All of it, written or not: for finding out what an earlier process wrote.
    pub(crate) fn whole(&self) -> Extent {
        Extent {
            id: self.id,
            file: Arc::clone(&self.file),
            start: SEGMENT_HEAD,
            end: self.bytes,
            check: Check::All,
        }
    }

    /// What is written from this place on, to be read while others write behind it.
    pub(crate) fn extent(&self, from: u64) -> Extent {
        Extent {
            id: self.id,
            file: Arc::clone(&self.file),
            start: from.max(SEGMENT_HEAD),
            end: self.written,
            check: Check::Records,
        }
    }

    pub(crate) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}

/// A part of a segment that is written and does not change any more.
#[derive(Debug)]
pub(crate) struct Extent {
    pub(crate) id: u64,
    file: Arc<File>,
    start: u64,
    pub(crate) end: u64,
    check: Check,
}

impl Extent {
    /// How many bytes it has.
    pub(crate) fn length(&self) -> usize {
        usize::try_from(self.end.saturating_sub(self.start)).unwrap_or(usize::MAX)
    }

    /// Call `each` for every whole frame; stop when it says so. Returns where reading stopped. The window is what is
    /// read through: it grows to the size it needs, and one that was used before need not be filled with zeros again.
    pub(crate) fn read(&self, window: &mut Vec<u8>, mut each: impl FnMut(Frame<'_>) -> bool) -> io::Result<u64> {
        let (mut at, end) = (self.start, self.end);
        let wanted = self.length().min(4 * MAX_FRAME);
        if window.len() < wanted {
            window.resize(wanted, 0);
        }
        while at < end {
            let want = window.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let Some(window) = window.get_mut(..want) else { break };
            let filled = read_up_to(&self.file, window, at)?;
            let mut from = 0;
            while let Some((frame, length)) = frame::decode(window.get(from..filled).unwrap_or_default(), self.check) {
                if !each(frame) {
                    return Ok(at);
                }
                from += length;
                at += length as u64;
            }
            if from == 0 {
                break;
            }
        }
        Ok(at)
    }
}

fn segment_head(next_sequence: u64) -> [u8; 20] {
    let mut head = [0; 20];
    let sequence = next_sequence.to_le_bytes();
    let mut checked = crc32fast::Hasher::new();
    checked.update(MAGIC);
    checked.update(&sequence);
    let checksum = checked.finalize().to_le_bytes();
    let bytes = MAGIC.iter().chain(&sequence).chain(&checksum);
    for (place, byte) in head.iter_mut().zip(bytes) {
        *place = *byte;
    }
    head
}

/// Reserve the room, then fill it: the pages are in memory before a call writes to them, which makes that write several
/// times cheaper, and file systems that cannot reserve have the room all the same.
fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    let zeros = vec![0; 1 << 18];
    let mut at = 0;
    while at < bytes {
        let step = (bytes - at).min(zeros.len() as u64);
        file.write_all_at(zeros.get(..usize::try_from(step).unwrap_or(0)).unwrap_or_default(), at)?;
        at += step;
    }
    Ok(())
}

fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
