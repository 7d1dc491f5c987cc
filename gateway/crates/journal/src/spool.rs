//! The journal on disk: segments that fill up, are delivered in order, and are removed when all in them is
//! acknowledged.
//!
//! Sequence numbers start at 1 and have no gaps, across restarts too: every segment's head names the next one. What was
//! acknowledged is not written down here: a gateway that starts again sends what it still has, and intake by
//! `(gateway, sequence)` makes that harmless.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use airside_mapping::Mapping;
use airside_metering::CarriedCharge;

use crate::batch::{Batch, Reading, read_batch};
use crate::frame::{Draft, Kind, MAX_FRAME};
use crate::record::ModelCall;
use crate::recovery::{Scan, charges_of, segments_in};
use crate::segment::{Extent, SEGMENT_HEAD, Segment};

/// Prepared ahead, at most, of a spool that fills quickly.
const MOST_SPARES: u64 = 4;

/// How large the spool may grow and in what steps.
#[derive(Debug, Clone, Copy)]
pub struct SpoolOptions {
    /// Of one file.
    pub segment_bytes: u64,
    /// Of all files.
    pub max_bytes: u64,
}

impl SpoolOptions {
    /// Steps that suit a spool of this size.
    #[must_use]
    pub fn of_size(max_bytes: u64) -> Self {
        Self {
            segment_bytes: (max_bytes / 4).clamp(256 << 10, 8 << 20),
            max_bytes,
        }
    }
}

/// Why the spool takes no more calls.
#[derive(Debug)]
pub enum SpoolFault {
    /// The bound on its size is reached.
    Full,
    /// The disk or the file system said no.
    Disk(io::Error),
}

impl fmt::Display for SpoolFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => out.write_str("the journal spool has reached its size limit"),
            Self::Disk(error) => write!(out, "the journal spool cannot be written: {error}"),
        }
    }
}

impl std::error::Error for SpoolFault {}

impl From<io::Error> for SpoolFault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A call that began: room for its record is set aside. It must come back through `finish`.
#[derive(Debug)]
#[must_use = "a call that is not finished keeps its segment on disk"]
pub struct Ticket {
    open_id: u64,
    segment: u64,
    room: u64,
    /// Members of the record that were settled when it began.
    settled: Box<[u8]>,
}

/// What an earlier process left.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Calls it did not finish; they have records with outcome `lost` now.
    pub lost: usize,
    /// What its records charged, with their sequences.
    pub carried: Vec<CarriedCharge>,
}

/// Where the journal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolState {
    /// The last sequence given out.
    pub sequence: u64,
    /// The last one the control plane has.
    pub acknowledged: u64,
    /// On disk, allocated.
    pub bytes: u64,
    /// Calls begun and not finished.
    pub unfinished: usize,
}

/// The journal on disk.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    options: SpoolOptions,
    books: Mutex<Books>,
    /// What segments are read through, for the one who delivers them.
    reading: Mutex<Reading>,
}

#[derive(Debug)]
struct Books {
    /// Oldest first; the one being written is the last.
    segments: VecDeque<Segment>,
    /// Allocated and empty.
    spares: VecDeque<Segment>,
    next_sequence: u64,
    next_open_id: u64,
    next_segment: u64,
    /// Set aside for the records of calls under way.
    reserved: u64,
    acknowledged: u64,
    /// Spares taken into use since they were last prepared, and between the two times before.
    taken: u64,
    taken_before: u64,
    /// What full segments were written through: to be dropped outside the lock.
    unmapped: Vec<Mapping>,
    /// Segments before this one are on the device.
    synced: u64,
    /// Up to here all is acknowledged: segment id and offset.
    cursor: (u64, u64),
    /// Of the last batch handed out: where it ended, and its last sequence.
    handed_out: Option<((u64, u64), u64)>,
}

impl Spool {
    /// Open the spool in this directory, finishing what an earlier process left unfinished.
    ///
    /// # Errors
    /// When the directory cannot be used, or has no room for a first segment and the lost records.
    pub fn open(directory: &Path, options: SpoolOptions) -> Result<(Self, Recovered), SpoolFault> {
        std::fs::create_dir_all(directory)?;
        let mut scan = Scan::default();
        let (found, next_segment) = segments_in(directory)?;
        for segment in found {
            scan.segment(segment)?;
        }
        let first = scan
            .segments
            .front()
            .map_or((0, SEGMENT_HEAD), |segment| (segment.id, SEGMENT_HEAD));
        let books = Books {
            next_sequence: scan.last_sequence + 1,
            next_open_id: scan.last_open_id + 1,
            next_segment,
            segments: scan.segments,
            spares: VecDeque::new(),
            reserved: 0,
            acknowledged: scan.first_sequence.saturating_sub(1),
            taken: 0,
            taken_before: 0,
            unmapped: Vec::new(),
            synced: 0,
            cursor: first,
            handed_out: None,
        };
        let spool = Self {
            directory: directory.to_owned(),
            options,
            books: Mutex::new(books),
            reading: Mutex::default(),
        };
        let lost = spool.record_lost(scan.open, &mut scan.carried)?;
        Ok((
            spool,
            Recovered {
                lost,
                carried: scan.carried,
            },
        ))
    }

    /// Write down that a call begins, and set room aside for its record of at most `more_bytes` beyond this one.
    ///
    /// `if_lost` is what the record will be if this process dies before `finish`.
    ///
    /// # Errors
    /// `SpoolFault`; then nothing was written and the call must not be made.
    pub fn begin(&self, if_lost: &ModelCall, more_bytes: usize) -> Result<Ticket, SpoolFault> {
        let (mut frame, settled) = Draft::with(|out| if_lost.write_opened(out));
        let mut books = self.books();
        let open = frame.length() as u64;
        let room = open + more_bytes as u64;
        self.make_room(&mut books, open + room)?;
        let open_id = books.next_open_id;
        let segment = books.append(&mut frame, Kind::Open, open_id, 0)?;
        books.next_open_id += 1;
        books.reserved += room;
        if let Some(segment) = books.segments.back_mut() {
            segment.unfinished += 1;
        }
        Ok(Ticket {
            open_id,
            segment,
            room,
            settled,
        })
    }

    /// Write the record of a call that began. Its room was set aside, so a full disk does not stop it. Who calls and what
    /// was asked for, all members up to `route_reason`, stay as they were when it began.
    ///
    /// # Errors
    /// Only when the device fails; the call will then be found unfinished at the next start.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a call is finished once: its ticket is gone afterwards"
    )]
    pub fn finish(&self, ticket: Ticket, call: &ModelCall) -> Result<u64, SpoolFault> {
        let (mut frame, ()) = Draft::with(|out| call.write_ended(&ticket.settled, out));
        let mut books = self.books();
        books.reserved = books.reserved.saturating_sub(ticket.room);
        let sequence = books.next_sequence;
        books.append(&mut frame, Kind::Record, ticket.open_id, sequence)?;
        books.gave_out(sequence);
        let opened_in = books.segments.iter_mut().find(|segment| segment.id == ticket.segment);
        if let Some(segment) = opened_in {
            segment.unfinished = segment.unfinished.saturating_sub(1);
        }
        Ok(sequence)
    }

    /// Write the record of a call that never reached a provider.
    ///
    /// # Errors
    /// `SpoolFault` when there is no room.
    pub fn record(&self, call: &ModelCall) -> Result<u64, SpoolFault> {
        let (mut frame, ()) = Draft::with(|out| call.write_json(out));
        let mut books = self.books();
        self.make_room(&mut books, frame.length() as u64)?;
        let sequence = books.next_sequence;
        books.append(&mut frame, Kind::Record, 0, sequence)?;
        books.gave_out(sequence);
        Ok(sequence)
    }

    /// The next records to deliver, for the one who delivers them, oldest first: those behind the last batch, or behind what is acknowledged after
    /// `rewind`.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub fn next_batch(&self, max_records: usize, max_bytes: usize) -> Result<Batch, SpoolFault> {
        let (extents, acknowledged) = {
            let books = self.books();
            let from = books.handed_out.map_or(books.cursor, |(end, _)| end);
            (books.extents(from), books.acknowledged)
        };
        // Calls go on while the files are read.
        let (batch, end) = read_batch(&extents, &mut self.reading(), acknowledged, max_records, max_bytes)?;
        if batch.last > 0 {
            self.books().handed_out = Some((end, batch.last));
        }
        Ok(batch)
    }

    /// Give the memory of a batch back, for the next one.
    pub fn give_back(&self, batch: Batch) {
        self.reading().spare = batch.records;
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forget what was handed out and not acknowledged: the next batch begins behind the last acknowledged record.
    pub fn rewind(&self) {
        self.books().handed_out = None;
    }

    /// Everything up to this sequence is stored for good: what holds nothing else is used again, or removed.
    ///
    /// # Errors
    /// When a segment cannot be read or removed.
    pub fn acknowledge(&self, sequence: u64) -> Result<(), SpoolFault> {
        // To remove a file takes the device milliseconds in which no call could be written down.
        let delivered = self.take_delivered(sequence)?;
        // One that cannot be removed is no reason to keep the others.
        let done = delivered.into_iter().map(|segment| self.use_again(segment));
        done.fold(Ok(()), Result::and)
    }

    fn take_delivered(&self, sequence: u64) -> Result<Vec<Segment>, SpoolFault> {
        let mut books = self.books();
        let sequence = sequence.min(books.next_sequence - 1);
        if sequence > books.acknowledged {
            books.acknowledged = sequence;
            match books.handed_out {
                Some((end, last)) if last == sequence => {
                    books.cursor = end;
                    books.handed_out = None;
                }
                _ => {
                    books.cursor = skip_acknowledged(&books)?;
                    books.handed_out = None;
                }
            }
        }
        Ok(books.take_delivered())
    }

    /// Make a spare of a segment that is delivered, if one is wanted soon.
    fn use_again(&self, segment: Segment) -> Result<(), SpoolFault> {
        if segment.bytes() == self.options.segment_bytes && self.is_short() {
            let id = self.next_segment();
            self.adopt(segment.renew(id)?)?;
        } else {
            segment.remove()?;
        }
        Ok(())
    }

    /// Keep spare segments ready, so that no call waits for one: half a segment's room, and as much again as is used
    /// between two calls of this. Where there is something to acknowledge, that comes first: what is delivered becomes
    /// a spare for next to nothing. Not needed for correctness.
    ///
    /// # Errors
    /// `SpoolFault` when there is no room for one.
    pub fn prepare(&self) -> Result<(), SpoolFault> {
        let unmapped = {
            let mut books = self.books();
            books.taken_before = std::mem::take(&mut books.taken);
            std::mem::take(&mut books.unmapped)
        };
        drop(unmapped);
        while self.is_short() {
            if !self.prepare_one()? {
                break;
            }
        }
        Ok(())
    }

    /// True if there is less room ahead than is likely to be used soon.
    fn is_short(&self) -> bool {
        let books = self.books();
        let likely = books.taken.max(books.taken_before).min(MOST_SPARES);
        let ahead = self.options.segment_bytes / 2 + likely * self.options.segment_bytes;
        books.room() < books.reserved + ahead
    }

    /// Make one spare. False when a call was quicker.
    fn prepare_one(&self) -> Result<bool, SpoolFault> {
        self.check_bound(&mut self.books())?;
        let id = self.next_segment();
        // Calls go on while it is made; which sequence it begins with is written when it is taken into use.
        self.adopt(Segment::create(&self.directory, id, self.options.segment_bytes, 1)?)
    }

    fn next_segment(&self) -> u64 {
        let mut books = self.books();
        books.next_segment += 1;
        books.next_segment - 1
    }

    /// Put a new spare behind the others. False when a call was quicker: segments are used in the order of their ids, so
    /// one that was overtaken by a call's own is of no use any more.
    fn adopt(&self, spare: Segment) -> Result<bool, SpoolFault> {
        let mut books = self.books();
        if books.next_segment == spare.id + 1 && books.bytes() + spare.bytes() <= self.options.max_bytes {
            books.spares.push_back(spare);
            return Ok(true);
        }
        drop(books);
        spare.remove()?;
        Ok(false)
    }

    /// Push everything written so far through to the device.
    ///
    /// # Errors
    /// What the device says.
    pub fn sync(&self) -> Result<(), SpoolFault> {
        let (files, current) = {
            let books = self.books();
            let unsynced = books.segments.iter().filter(|segment| segment.id >= books.synced);
            let files: Vec<_> = unsynced.map(Segment::device).collect();
            (files, books.segments.back().map_or(0, |segment| segment.id))
        };
        // Outside the lock: calls go on meanwhile.
        for file in files {
            file.sync_data()?;
        }
        self.books().synced = current;
        Ok(())
    }

    /// Where the journal stands.
    #[must_use]
    pub fn state(&self) -> SpoolState {
        let books = self.books();
        SpoolState {
            sequence: books.next_sequence - 1,
            acknowledged: books.acknowledged,
            bytes: books.bytes(),
            unfinished: books.segments.iter().map(|segment| segment.unfinished).sum(),
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make_room(&self, books: &mut Books, bytes: u64) -> Result<(), SpoolFault> {
        while books.room() < books.reserved + bytes {
            self.add_spare(books)?;
        }
        Ok(())
    }

    fn add_spare(&self, books: &mut Books) -> Result<(), SpoolFault> {
        self.check_bound(books)?;
        let id = books.next_segment;
        let segment = Segment::create(&self.directory, id, self.options.segment_bytes, books.next_sequence)?;
        books.next_segment += 1;
        books.spares.push_back(segment);
        Ok(())
    }

    fn check_bound(&self, books: &mut Books) -> Result<(), SpoolFault> {
        let is_over = |books: &Books| books.bytes() + self.options.segment_bytes > self.options.max_bytes;
        if is_over(books) {
            let removed = books.take_delivered().into_iter().map(Segment::remove);
            removed.fold(Ok(()), io::Result::and)?;
        }
        if is_over(books) { Err(SpoolFault::Full) } else { Ok(()) }
    }

    fn record_lost(
        &self,
        open: HashMap<u64, (u64, Vec<u8>)>,
        carried: &mut Vec<CarriedCharge>,
    ) -> Result<usize, SpoolFault> {
        let mut books = self.books();
        let mut open: Vec<_> = open.into_iter().collect();
        open.sort_unstable_by_key(|(open_id, _)| *open_id);
        let lost = open.len();
        for (open_id, (opened_in, payload)) in open {
            let (mut frame, ()) = Draft::with(|out| out.extend_from_slice(&payload));
            self.make_room(&mut books, frame.length() as u64)?;
            let sequence = books.next_sequence;
            books.append(&mut frame, Kind::Record, open_id, sequence)?;
            books.gave_out(sequence);
            carried.extend(charges_of(sequence, &payload));
            if let Some(segment) = books.segments.iter_mut().find(|segment| segment.id == opened_in) {
                segment.unfinished = segment.unfinished.saturating_sub(1);
            }
        }
        Ok(lost)
    }
}

impl Books {
    /// Bytes of frames that can still be begun without asking the disk for more.
    fn room(&self) -> u64 {
        let current = self.segments.back().map_or(0, Segment::room);
        current + self.spares.iter().map(Segment::room).sum::<u64>()
    }

    /// What is written from this place on.
    fn extents(&self, (segment, offset): (u64, u64)) -> Vec<Extent> {
        let rest = self.segments.iter().filter(|known| known.id >= segment);
        rest.map(|known| known.extent(if known.id == segment { offset } else { SEGMENT_HEAD }))
            .collect()
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().chain(&self.spares).map(Segment::bytes).sum()
    }

    fn gave_out(&mut self, sequence: u64) {
        self.next_sequence = sequence + 1;
        if let Some(segment) = self.segments.back_mut() {
            segment.last_sequence = sequence;
        }
    }

    /// Write a frame where there is room for it; returns the id of that segment.
    fn append(&mut self, frame: &mut Draft, kind: Kind, open_id: u64, sequence: u64) -> Result<u64, SpoolFault> {
        if frame.length() > MAX_FRAME {
            return Err(SpoolFault::Disk(io::Error::other(
                "a journal record is larger than a frame can be",
            )));
        }
        if self.segments.back().is_none_or(|segment| segment.room() == 0) {
            let mut spare = self.spares.pop_front().ok_or(SpoolFault::Full)?;
            spare.start(self.next_sequence)?;
            self.taken += 1;
            let full = self.segments.back_mut();
            self.unmapped.extend(full.and_then(Segment::is_full));
            self.segments.push_back(spare);
        }
        let segment = self.segments.back_mut().ok_or(SpoolFault::Full)?;
        segment.append(frame, kind, open_id, sequence)?;
        Ok(segment.id)
    }

    /// Take segments out from the oldest on, as long as all in them is acknowledged and every call that began there is
    /// over. The one being written stays.
    fn take_delivered(&mut self) -> Vec<Segment> {
        let mut delivered = Vec::new();
        while self.segments.len() > 1 {
            let Some(oldest) = self.segments.front() else { break };
            if oldest.unfinished > 0 || oldest.last_sequence > self.acknowledged {
                break;
            }
            delivered.extend(self.segments.pop_front());
        }
        delivered
    }
}

/// Where the first record lies that is not acknowledged.
fn skip_acknowledged(books: &Books) -> Result<(u64, u64), SpoolFault> {
    let (mut at, mut window) = (books.cursor, Vec::new());
    for extent in books.extents(books.cursor) {
        let stopped = extent.read(&mut window, |frame| {
            frame.kind == Kind::Open || frame.sequence <= books.acknowledged
        })?;
        at = (extent.id, stopped);
        if stopped < extent.end {
            break;
        }
    }
    Ok(at)
}
