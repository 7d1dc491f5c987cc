//! Records on their way out: read from the segments in order, as the elements of a JSON array.

use std::io;

use airside_protocols::ObjectWriter;

use crate::frame::{Frame, Kind};
use crate::segment::Extent;

/// Records to deliver.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Sequence of the last record in it; 0 when there is none.
    pub last: u64,
    /// The records, as the elements of a JSON array.
    pub records: Vec<u8>,
    /// Where each of them ends in there, with its sequence.
    ends: Vec<(u64, usize)>,
}

impl Batch {
    /// How many records it has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// The records behind this sequence, a line each.
    pub fn lines_after(&mut self, sequence: u64) -> &[u8] {
        let known = self.ends.iter().take_while(|(known, _)| *known <= sequence).last();
        let start = known.map_or(0, |(_, end)| end + 1);
        if !self.records.is_empty() {
            self.records.push(b'\n');
        }
        for (_, end) in &self.ends {
            if let Some(separator) = self.records.get_mut(*end) {
                *separator = b'\n';
            }
        }
        self.records.get(start..).unwrap_or_default()
    }

    /// Each record's sequence and JSON.
    pub fn each(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |(sequence, end)| {
            let record = self.records.get(start..*end).unwrap_or_default();
            start = end + 1;
            (*sequence, record)
        })
    }
}

/// What is read into, kept between two batches: fresh memory costs the kernel more than what is written to it.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Segments are read through it.
    window: Vec<u8>,
    /// What an earlier batch was in.
    pub(crate) spare: Vec<u8>,
}

/// The records behind this sequence, up to a bound, and where reading stopped.
pub(crate) fn read_batch(
    extents: &[Extent],
    Reading { window, spare }: &mut Reading,
    acknowledged: u64,
    max_records: usize,
    max_bytes: usize,
) -> io::Result<(Batch, (u64, u64))> {
    let most = extents.iter().map(Extent::length).sum::<usize>();
    let mut records = std::mem::take(spare);
    records.clear();
    // Where nothing but records lies there, this is what they take: a sequence is about as long as a frame's head.
    records.reserve(most.min(max_bytes));
    let mut batch = Batch {
        records,
        ..Batch::default()
    };
    let mut end = (0, 0);
    for extent in extents {
        let mut is_full = false;
        let stopped = extent.read(window, |frame| {
            let count = batch.ends.len();
            is_full = count >= max_records || batch.records.len() + frame.payload.len() > max_bytes && count > 0;
            if !is_full && frame.kind == Kind::Record && frame.sequence > acknowledged {
                append_record(&mut batch.records, frame);
                batch.last = frame.sequence;
                batch.ends.push((frame.sequence, batch.records.len()));
            }
            !is_full
        })?;
        end = (extent.id, stopped);
        if is_full {
            break;
        }
    }
    Ok((batch, end))
}

/// The stored object with its sequence put in front.
fn append_record(into: &mut Vec<u8>, frame: Frame<'_>) {
    if !into.is_empty() {
        into.push(b',');
    }
    let stored = frame.payload.strip_prefix(b"{").unwrap_or_default();
    let mut object = ObjectWriter::open(into);
    object.number("sequence", frame.sequence);
    object.members(stored.strip_suffix(b"}").unwrap_or_default());
    object.close();
}
