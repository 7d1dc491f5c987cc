//! A gateway without a control plane keeps its own books over restarts: a running total of every scope and window, and
//! the journal as lines of JSON for people to read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use airside_journal::Batch;
use airside_metering::{Charge, Ledger, Window};
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::readable::ReadableJournal;
use crate::vault::write_private;

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
    totals: Mutex<Totals>,
    readable: Mutex<ReadableJournal>,
}

impl LocalBooks {
    /// Open the books in this directory, whose journal's last record is `newest`.
    pub(crate) fn open(data: &Path, newest: u64) -> io::Result<Self> {
        let ledger_file = data.join("ledger.json");
        let mut totals: Totals = match fs::read(&ledger_file) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                io::Error::other(format!(
                    "{} is damaged ({error}); remove it to start its budgets afresh",
                    ledger_file.display()
                ))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Totals::default(),
            Err(error) => return Err(error),
        };
        // A journal that was removed begins anew, and its records are not those that were counted.
        if totals.through > newest {
            totals.through = 0;
        }
        let readable = ReadableJournal::open(data.join("journal.jsonl"), newest)?;
        Ok(Self {
            ledger_file,
            totals: Mutex::new(totals),
            readable: Mutex::new(readable),
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

    /// Take over the records of a batch, in memory and for people to read: each once, however often it comes.
    pub(crate) fn take_over(&self, batch: &mut Batch) -> io::Result<()> {
        let mut totals = self.totals();
        let mut spending = Spending::default();
        let through = totals.through;
        for (sequence, record) in batch.each().filter(|(sequence, _)| *sequence > through) {
            spending.add(record).ok_or_else(|| damaged(sequence))?;
        }
        let charges = spending.charges().map_err(io::Error::other)?;
        self.readable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .append(batch)?;
        for fresh in charges {
            let mut spent = totals.spent.iter_mut();
            let known = spent.find(|known| known.scope == fresh.scope && known.window_start == fresh.window_start);
            match known {
                Some(charge) => charge.nanousd = charge.nanousd.saturating_add(fresh.nanousd),
                None => totals.spent.push(fresh),
            }
        }
        totals.through = totals.through.max(batch.last);
        Ok(())
    }

    /// Put what was taken over where it lasts. Nothing that is not kept may be forgotten by the journal.
    pub(crate) fn keep(&self) -> io::Result<()> {
        let totals = serde_json::to_vec(&*self.totals()).map_err(io::Error::other)?;
        write_private(&self.ledger_file, &totals)
    }
}

static CHARGES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"charges\":["));
static AMOUNT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"nanousd\":"));

/// What some records charge, added up as they are written: the few spellings that differ are read once each.
#[derive(Default)]
struct Spending<'a> {
    /// A charge up to its amount, and the sum of the amounts.
    sums: Vec<(&'a [u8], u64)>,
}

impl<'a> Spending<'a> {
    /// Add a record. `None` when its charges are not as `ModelCall` writes them. Its keys can be searched for: in a
    /// text their quotes would be escaped.
    fn add(&mut self, record: &'a [u8]) -> Option<()> {
        let Some(at) = CHARGES.find(record) else {
            return Some(());
        };
        let mut rest = record.get(at + CHARGES.needle().len()..)?;
        while !rest.starts_with(b"]") {
            let (charge, after) = rest.split_at_checked(AMOUNT.find(rest)? + AMOUNT.needle().len())?;
            let digits = after.iter().position(|byte| *byte == b'}')?;
            let nanousd = std::str::from_utf8(after.get(..digits)?).ok()?.parse::<u64>().ok()?;
            match self.sums.iter_mut().find(|(known, _)| *known == charge) {
                Some((_, sum)) => *sum = sum.saturating_add(nanousd),
                None => self.sums.push((charge, nanousd)),
            }
            rest = after.get(digits + 1..)?;
            rest = rest.strip_prefix(b",").unwrap_or(rest);
        }
        Some(())
    }

    fn charges(self) -> serde_json::Result<Vec<Charge>> {
        let read = |(charge, sum): (&[u8], u64)| {
            let text = [charge, sum.to_string().as_bytes(), b"}"].concat();
            serde_json::from_slice(&text)
        };
        self.sums.into_iter().map(read).collect()
    }
}

fn damaged(sequence: u64) -> io::Error {
    io::Error::other(format!("the charges of record {sequence} are damaged"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use airside_journal::{ModelCall, Spool, SpoolOptions};
    use serde_json::Value;

    use super::*;

    /// What a gateway keeps in its data directory, which is removed behind the test.
    struct Kept {
        data: PathBuf,
    }

    impl Kept {
        fn new(test: &str) -> Self {
            let data = std::env::temp_dir().join(format!("airside-books-{test}-{}", std::process::id()));
            fs::create_dir_all(&data).unwrap();
            Self { data }
        }

        /// The books and the journal as a process finds them that starts.
        fn open(&self) -> (LocalBooks, Spool) {
            let (spool, _) = Spool::open(&self.data.join("journal"), SpoolOptions::of_size(1 << 20)).unwrap();
            let books = LocalBooks::open(&self.data, spool.state().sequence).unwrap();
            (books, spool)
        }

        /// The numbers of the records for people to read.
        fn readable(&self) -> Vec<u64> {
            let text = fs::read_to_string(self.data.join("journal.jsonl")).unwrap();
            let lines = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].as_u64());
            lines.map(Option::unwrap).collect()
        }
    }

    impl Drop for Kept {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.data).unwrap();
        }
    }

    fn charged(nanousd: u64) -> ModelCall {
        let charge = Charge {
            scope: "agent:a".into(),
            window_start: 0,
            nanousd,
        };
        ModelCall {
            charges: vec![charge],
            ..ModelCall::accepted("call_1".into(), "now".into(), "p".into(), "openai-chat")
        }
    }

    fn take_over_all(books: &LocalBooks, spool: &Spool) {
        let mut batch = spool.next_batch(100, 1 << 20).unwrap();
        books.take_over(&mut batch).unwrap();
    }

    fn spent(books: &LocalBooks) -> Vec<u64> {
        let totals = books.totals();
        totals.spent.iter().map(|charge| charge.nanousd).collect()
    }

    #[test]
    fn a_process_that_is_killed_before_it_keeps_its_books_leaves_each_record_readable_once() {
        let kept = Kept::new("killed");
        let (books, spool) = kept.open();
        for nanousd in [1, 10, 100] {
            spool.record(&charged(nanousd)).unwrap();
        }
        take_over_all(&books, &spool);
        drop((books, spool));
        let mut torn = fs::OpenOptions::new()
            .append(true)
            .open(kept.data.join("journal.jsonl"))
            .unwrap();
        torn.write_all(br#"{"sequence":4,"call_id":"ca"#).unwrap();

        let (books, spool) = kept.open();
        spool.record(&charged(1_000)).unwrap();
        take_over_all(&books, &spool);
        assert_eq!(kept.readable(), [1, 2, 3, 4]);
        assert_eq!(spent(&books), [1_111]);
    }

    #[test]
    fn a_journal_that_was_removed_begins_anew_and_its_money_is_counted_on() {
        let kept = Kept::new("removed");
        let (books, spool) = kept.open();
        for nanousd in [1, 10] {
            spool.record(&charged(nanousd)).unwrap();
        }
        take_over_all(&books, &spool);
        books.keep().unwrap();
        drop((books, spool));
        fs::remove_dir_all(kept.data.join("journal")).unwrap();

        let (books, spool) = kept.open();
        spool.record(&charged(100)).unwrap();
        take_over_all(&books, &spool);
        assert_eq!(kept.readable(), [1, 2, 1]);
        assert_eq!(spent(&books), [111]);
    }

    fn record(project: &str, charges: &[(&str, i64, u64)]) -> Vec<u8> {
        let charges = charges.iter().map(|(scope, window_start, nanousd)| Charge {
            scope: (*scope).into(),
            window_start: *window_start,
            nanousd: *nanousd,
        });
        let call = ModelCall {
            charges: charges.collect(),
            ..ModelCall::accepted("call_1".into(), "now".into(), project.into(), "openai-chat")
        };
        let mut out = Vec::new();
        call.write_json(&mut out);
        out
    }

    /// As a reader of the whole record would add them up.
    fn by_serde(records: &[Vec<u8>]) -> Vec<Charge> {
        let mut sums: Vec<Charge> = Vec::new();
        for record in records {
            let record: Value = serde_json::from_slice(record).unwrap();
            for charge in Vec::<Charge>::deserialize(&record["charges"]).unwrap() {
                match sums
                    .iter_mut()
                    .find(|sum| sum.scope == charge.scope && sum.window_start == charge.window_start)
                {
                    Some(sum) => sum.nanousd += charge.nanousd,
                    None => sums.push(charge),
                }
            }
        }
        sums
    }

    #[test]
    fn charges_are_added_up_by_scope_and_window() {
        let hostile = "\"charges\":[{]}\"nanousd\":9}";
        let records = [
            record("p", &[]),
            record(hostile, &[("agent:a/day", 86_400, 10), (hostile, 0, 0)]),
            record(
                "p",
                &[
                    ("agent:a/day", 172_800, u64::from(u32::MAX)),
                    ("agent:a/day", 86_400, 1),
                ],
            ),
            record("p", &[(hostile, 0, 5), ("session:ä]", 0, 7)]),
        ];
        let mut spending = Spending::default();
        for record in &records {
            spending.add(record).unwrap();
        }
        assert_eq!(spending.charges().unwrap(), by_serde(&records));
    }

    #[test]
    fn charges_that_are_cut_short_are_no_charges() {
        let whole = record("p", &[("agent:a/day", 86_400, 10)]);
        let start = CHARGES.find(&whole).unwrap() + CHARGES.needle().len();
        let end = start
            + whole
                .get(start..)
                .unwrap()
                .iter()
                .position(|byte| *byte == b']')
                .unwrap();
        for cut in start..end {
            assert_eq!(Spending::default().add(&whole[..cut]), None, "{cut}");
        }
    }
}
