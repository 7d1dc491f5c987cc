//! A gateway without a control plane keeps its own books over restarts: a running total of every scope and window, and
//! the journal as lines of JSON for people to read.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use airside_journal::Batch;
use airside_metering::{Charge, Ledger, Window};
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::vault::write_private;

/// At this size the readable journal is set aside, and the one before it forgotten.
const MOST_READABLE: u64 = 64 << 20;

/// What was charged, up to a record.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Totals {
    through: u64,
    spent: Vec<Charge>,
}

/// The books of a gateway that runs from a file.
#[derive(Debug)]
pub(crate) struct LocalBooks {
    ledger_file: PathBuf,
    journal_file: PathBuf,
    totals: Mutex<Totals>,
}

impl LocalBooks {
    /// Open the books in this directory.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let ledger_file = data.join("ledger.json");
        let totals = match fs::read(&ledger_file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                io::Error::other(format!(
                    "{} is damaged ({error}); remove it to start its budgets afresh",
                    ledger_file.display()
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Totals::default(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            ledger_file,
            journal_file: data.join("journal.jsonl"),
            totals: Mutex::new(totals),
        })
    }

    fn totals(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was charged to a scope in a window, by this process and all before it.
    pub(crate) fn settled(&self, ledger: &Ledger, scope: &str, window: Window) -> u64 {
        let totals = self.totals();
        let spent = totals
            .spent
            .iter()
            .filter(|charge| &*charge.scope == scope && charge.window_start == window.start);
        let spent = spent.fold(0_u64, |sum, charge| sum.saturating_add(charge.nanousd));
        spent.saturating_add(ledger.carried_after(scope, window.start, totals.through))
    }

    /// Take over the records of a batch. Money is counted once, however often a batch comes.
    pub(crate) fn take_over(&self, batch: &Batch) -> io::Result<()> {
        let mut totals = self.totals();
        let mut spent: HashMap<_, u64> = HashMap::new();
        let mut lines = Vec::with_capacity(batch.records.len() + 512);
        for (sequence, record) in batch.each() {
            if sequence <= totals.through {
                continue;
            }
            lines.extend_from_slice(record);
            lines.push(b'\n');
            for charge in charges_of(record).map_err(io::Error::other)? {
                *spent.entry((charge.scope, charge.window_start)).or_default() += charge.nanousd;
            }
        }
        self.append_lines(&lines)?;
        for ((scope, window_start), nanousd) in spent {
            let known = totals
                .spent
                .iter_mut()
                .find(|charge| charge.scope == scope && charge.window_start == window_start);
            match known {
                Some(charge) => charge.nanousd = charge.nanousd.saturating_add(nanousd),
                None => totals.spent.push(Charge {
                    scope,
                    window_start,
                    nanousd,
                }),
            }
        }
        totals.through = totals.through.max(batch.last);
        write_private(
            &self.ledger_file,
            &serde_json::to_vec(&*totals).map_err(io::Error::other)?,
        )
    }

    fn append_lines(&self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if fs::metadata(&self.journal_file).is_ok_and(|metadata| metadata.len() > MOST_READABLE) {
            fs::rename(&self.journal_file, self.journal_file.with_extension("1.jsonl"))?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.journal_file)?;
        file.write_all(lines)
    }
}

/// The charges of a record. Its keys can be searched for: in a text their quotes would be escaped.
fn charges_of(record: &[u8]) -> serde_json::Result<Vec<Charge>> {
    let Some(at) = memmem::rfind(record, b"\"charges\":") else {
        return Ok(Vec::new());
    };
    let rest = record.get(at + "\"charges\":".len()..).unwrap_or_default();
    let mut charges = serde_json::Deserializer::from_slice(rest);
    Vec::<Charge>::deserialize(&mut charges)
}
