//! One file of the spool, allocated in full before anything is written to it, so that a full disk is met when a call
//! asks for room and never when it reports its end.
//!
//! A file whose records are all delivered is used again under a new number, its next life: to remove it and to fill
//! another would cost the device and the page cache far more than the calls that write to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use airside_mapping::Mapping;

use crate::frame::{self, Check, Draft, Frame, Kind, MAX_FRAME};

/// Of the first version, whose files had one life, numbered by their name.
const MAGIC_1: &[u8; 8] = b"AIRJRNL1";
const MAGIC: &[u8; 4] = b"AIRJ";
/// Magic, life, first sequence, CRC-32 of all three.
pub(crate) const SEGMENT_HEAD: u64 = 4 + 4 + 8 + 4;

/// One file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Rises from segment to segment, and when one is used again.
    pub(crate) id: u64,
    /// Its checksums begin with this.
    life: u32,
    path: PathBuf,
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
        let life = life_of(id)?;
        let path = directory.join(format!("{id:016}.segment"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let head = segment_head(life, next_sequence);
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
        Ok(Self {
            id,
            life,
            path,
            file: Arc::new(file),
            mapping,
            bytes,
            written: SEGMENT_HEAD,
            last_sequence: next_sequence.saturating_sub(1),
            unfinished: 0,
            is_sealed: false,
        })
    }

    /// Make an empty segment of one whose records are all delivered. If this process dies meanwhile, the file is either
    /// still what it was, and is delivered again, or empty.
    pub(crate) fn renew(self, id: u64) -> io::Result<Self> {
        let made = life_of(id).and_then(|life| {
            self.file.write_all_at(&segment_head(life, 1), 0)?;
            Ok((life, Mapping::of(&self.file)?))
        });
        match made {
            Ok((life, mapping)) => Ok(Self {
                id,
                life,
                mapping,
                written: SEGMENT_HEAD,
                last_sequence: 0,
                unfinished: 0,
                is_sealed: false,
                ..self
            }),
            Err(error) => {
                self.remove()?;
                Err(error)
            }
        }
    }

    /// Open a file that an earlier process left; `number` is that of its name. `None` when it never got its head, and
    /// so holds nothing.
    pub(crate) fn reopen(path: PathBuf, number: u64) -> io::Result<Option<Self>> {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let mut head = [0; 20];
        if bytes < SEGMENT_HEAD || file.read_exact_at(&mut head, 0).is_err() {
            return Ok(None);
        }
        let Some(next_sequence) = frame::number::<8>(&head, 8).filter(|_| is_segment_head(&head)) else {
            return Ok(None);
        };
        let last_sequence = next_sequence.saturating_sub(1);
        let life = match frame::number::<4>(&head, 4).and_then(|life| u32::try_from(life).ok()) {
            Some(life) if !head.starts_with(MAGIC_1) => life,
            _ => 0,
        };
        Ok(Some(Self {
            id: if life == 0 { number } else { life.into() },
            life,
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
        self.file.write_all_at(&segment_head(self.life, next_sequence), 0)?;
        self.last_sequence = next_sequence.saturating_sub(1);
        Ok(())
    }

    /// Nothing is appended any more; what lies behind `end` is no frame.
    pub(crate) fn seal(&mut self, end: u64) {
        self.written = end;
        self.is_sealed = true;
    }

    /// Nothing more fits: the next segment is begun. What it was written through is to be dropped where no call waits.
    pub(crate) fn is_full(&mut self) -> Option<Mapping> {
        self.seal(self.written);
        self.mapping.take()
    }

    /// Write a frame behind what is there. When this returns it is in the page cache, so it outlives the process.
    pub(crate) fn append(&mut self, frame: &mut Draft, kind: Kind, open_id: u64, sequence: u64) -> io::Result<()> {
        let frame = frame.complete(kind, open_id, sequence, self.life);
        match &mut self.mapping {
            Some(mapping) => mapping.write(usize::try_from(self.written).map_err(io::Error::other)?, frame)?,
            None => self.file.write_all_at(frame, self.written)?,
        }
        self.written += frame.len() as u64;
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
            life: self.life,
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
            life: self.life,
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
    life: u32,
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
        let wanted = self.length().min(2 * MAX_FRAME);
        if window.len() < wanted {
            window.resize(wanted, 0);
        }
        while at < end {
            let want = window.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
            let Some(window) = window.get_mut(..want) else { break };
            let filled = read_up_to(&self.file, window, at)?;
            let mut from = 0;
            let rest = |from: usize| window.get(from..filled).unwrap_or_default();
            while let Some((frame, length)) = frame::decode(rest(from), self.check, self.life) {
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

fn life_of(id: u64) -> io::Result<u32> {
    u32::try_from(id).map_err(io::Error::other)
}

fn segment_head(life: u32, next_sequence: u64) -> [u8; 20] {
    let mut head = [0; 20];
    head[..4].copy_from_slice(MAGIC);
    head[4..8].copy_from_slice(&life.to_le_bytes());
    head[8..16].copy_from_slice(&next_sequence.to_le_bytes());
    let checksum = crc32fast::hash(&head[..16]);
    head[16..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// True for a head of this or the first version that was written whole.
fn is_segment_head(head: &[u8; 20]) -> bool {
    let (said, checksum) = head.split_at(16);
    said.starts_with(MAGIC) && crc32fast::hash(said).to_le_bytes() == checksum
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
