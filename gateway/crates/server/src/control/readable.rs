//! The journal of a gateway without a control plane as lines of JSON, for people to read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use airside_journal::Batch;
use serde::Deserialize;

/// At this size it is set aside, and the one before it forgotten.
const MOST_BYTES: u64 = 64 << 20;
/// The last record is looked for in so much of its end; no record is nearly as long.
const LONGEST_END: u64 = 1 << 20;

/// One file, and the one before it.
#[derive(Debug)]
pub(super) struct ReadableJournal {
    file: PathBuf,
    /// The last record in it.
    through: u64,
}

impl ReadableJournal {
    /// Open it, and take off what was being written when the process before was killed. `newest` is the last record
    /// there is: a file that tells of later ones is of a journal that was removed.
    pub(super) fn open(file: PathBuf, newest: u64) -> io::Result<Self> {
        let mut through = last_record(&file)?;
        if through == 0 {
            through = last_record(&set_aside(&file))?;
        }
        let through = if through > newest { 0 } else { through };
        Ok(Self { file, through })
    }

    /// Write the records of a batch that it does not have yet.
    pub(super) fn append(&mut self, batch: &mut Batch) -> io::Result<()> {
        let lines = batch.lines_after(self.through);
        if lines.is_empty() {
            return Ok(());
        }
        if fs::metadata(&self.file).is_ok_and(|metadata| metadata.len() > MOST_BYTES) {
            fs::rename(&self.file, set_aside(&self.file))?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)?;
        let length = file.metadata()?.len();
        if let Err(error) = file.write_all(lines) {
            // A disk that is full takes a part, and is given all of it again later.
            file.set_len(length)?;
            return Err(error);
        }
        self.through = self.through.max(batch.last);
        Ok(())
    }
}

fn set_aside(file: &Path) -> PathBuf {
    file.with_extension("1.jsonl")
}

/// The number of the last record in a file, which then ends with it; 0 without one.
fn last_record(path: &Path) -> io::Result<u64> {
    let mut file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    let (start, end) = end_of(&mut file)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < end.len() && (whole > 0 || start == 0) {
        file.set_len(start + whole as u64)?;
    }
    let lines = end.get(..whole).unwrap_or_default().trim_ascii_end();
    let last = lines.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let numbered = serde_json::from_slice::<Numbered>(last);
    Ok(numbered.map_or(0, |record| record.sequence))
}

/// What is read of a record.
#[derive(Deserialize)]
struct Numbered {
    sequence: u64,
}

/// Where the last part of a file begins, and its bytes.
fn end_of(file: &mut File) -> io::Result<(u64, Vec<u8>)> {
    let start = file.metadata()?.len().saturating_sub(LONGEST_END);
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut end)?;
    Ok((start, end))
}
