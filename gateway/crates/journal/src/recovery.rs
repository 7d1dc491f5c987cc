//! What is found in the files of an earlier process.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use airside_metering::CarriedCharge;

use crate::frame::Kind;
use crate::record::StoredCharges;
use crate::segment::{SEGMENT_HEAD, Segment};

/// What a stored record charged.
pub(crate) fn charges_of(sequence: u64, payload: &[u8]) -> impl Iterator<Item = CarriedCharge> + use<> {
    let stored = serde_json::from_slice::<StoredCharges>(payload)
        .map(|stored| stored.charges)
        .unwrap_or_default();
    stored.into_iter().map(move |charge| CarriedCharge { sequence, charge })
}

/// The segments in a directory, oldest first, and a number above all of theirs. What holds nothing is removed.
pub(crate) fn segments_in(directory: &Path) -> io::Result<(Vec<Segment>, u64)> {
    let (mut found, mut next) = (Vec::new(), 0);
    for (number, path) in segment_files(directory)? {
        next = next.max(number + 1);
        match Segment::reopen(path.clone(), number)? {
            Some(segment) => {
                next = next.max(segment.id + 1);
                found.push(segment);
            }
            None => std::fs::remove_file(path)?,
        }
    }
    found.sort_unstable_by_key(|segment| segment.id);
    Ok((found, next))
}

/// True if there is a journal in this directory, which may be empty; one that is not there has not begun.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn is_begun(directory: &Path) -> io::Result<bool> {
    match segment_files(directory) {
        Ok(files) => Ok(!files.is_empty()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn segment_files(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".segment"));
        if let Some(id) = id.and_then(|id| id.parse().ok()) {
            files.push((id, path));
        }
    }
    Ok(files)
}

/// What the segments hold, read one after the other.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) segments: VecDeque<Segment>,
    pub(crate) open: HashMap<u64, (u64, Vec<u8>)>,
    pub(crate) carried: Vec<CarriedCharge>,
    pub(crate) first_sequence: u64,
    pub(crate) last_sequence: u64,
    pub(crate) last_open_id: u64,
    window: Vec<u8>,
}

impl Scan {
    pub(crate) fn segment(&mut self, mut segment: Segment) -> io::Result<()> {
        let (id, before) = (segment.id, segment.last_sequence);
        let mut last_sequence = before;
        let end = segment.whole().read(&mut self.window, |frame| {
            self.last_open_id = self.last_open_id.max(frame.open_id);
            match frame.kind {
                Kind::Open => {
                    self.open.insert(frame.open_id, (id, frame.payload.to_vec()));
                }
                Kind::Record => {
                    last_sequence = frame.sequence;
                    self.open.remove(&frame.open_id);
                    self.carried.extend(charges_of(frame.sequence, frame.payload));
                }
            }
            true
        })?;
        if end == SEGMENT_HEAD && !self.segments.is_empty() {
            // A spare that was never written to: its head's sequence may be older than what came since.
            return segment.remove();
        }
        if self.segments.is_empty() {
            self.first_sequence = before + 1;
        }
        self.last_sequence = self.last_sequence.max(last_sequence);
        segment.last_sequence = self.last_sequence;
        // Nothing more is written to it: a torn frame at its end stays the end.
        segment.seal(end);
        self.segments.push_back(segment);
        self.count_unfinished();
        Ok(())
    }

    fn count_unfinished(&mut self) {
        for segment in &mut self.segments {
            segment.unfinished = self
                .open
                .values()
                .filter(|(opened_in, _)| *opened_in == segment.id)
                .count();
        }
    }
}
