//! Structured logs: one JSON object a line, on standard error, never a prompt, an answer or a secret.
//!
//! Lines are collected and written by a thread of their own every tenth of a second, so that a reader who is slow or
//! gone never holds up a call. What does not fit while it waits is counted and dropped; the journal is the record.

use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value};

const MOST_WAITING: usize = 4 << 20;
const PAUSE: Duration = Duration::from_millis(100);

/// How much somebody should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody should look now.
    Error,
    /// Somebody should look this week.
    Warn,
    /// It happened.
    Info,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    dropped: u64,
    is_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Log {
    level: Level,
    clock: Arc<dyn crate::clock::Clock>,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Log {
    /// Start the thread that writes.
    pub(crate) fn start(level: Level, clock: Arc<dyn crate::clock::Clock>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("airside-log".into())
            .spawn(move || write_lines(&theirs))?;
        Ok(Self {
            level,
            clock,
            shared,
            writer: Mutex::new(Some(writer)),
        })
    }

    pub(crate) fn error(&self, event: &str, fields: Value) {
        self.line(Level::Error, event, fields);
    }

    pub(crate) fn warn(&self, event: &str, fields: Value) {
        self.line(Level::Warn, event, fields);
    }

    pub(crate) fn info(&self, event: &str, fields: Value) {
        self.line(Level::Info, event, fields);
    }

    /// True if lines of this level are wanted at all.
    pub(crate) fn wants(&self, level: Level) -> bool {
        level <= self.level
    }

    fn line(&self, level: Level, event: &str, fields: Value) {
        if !self.wants(level) {
            return;
        }
        let mut line = Map::new();
        line.insert("event".into(), event.into());
        line.insert("level".into(), level.name().into());
        line.insert("at".into(), self.clock.now().to_string().into());
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        self.push(Value::Object(line).to_string().into_bytes());
    }

    /// Add one finished object as a line.
    pub(crate) fn push(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        let mut waiting = self.shared.waiting();
        if waiting.lines.len() + line.len() > MOST_WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.lines.extend_from_slice(&line);
    }

    /// Write what waits and end the thread.
    pub(crate) fn finish(&self) {
        self.shared.waiting().is_over = true;
        self.shared.wake.notify_all();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that panicked has nothing more to write.
            let _ = writer.join();
        }
    }
}

fn write_lines(shared: &Shared) {
    let mut lines = Vec::new();
    loop {
        let mut waiting = shared.waiting();
        if waiting.lines.is_empty() && !waiting.is_over {
            let woken = shared
                .wake
                .wait_timeout(waiting, PAUSE)
                .unwrap_or_else(PoisonError::into_inner);
            waiting = woken.0;
        }
        std::mem::swap(&mut lines, &mut waiting.lines);
        let (dropped, is_over) = (std::mem::take(&mut waiting.dropped), waiting.is_over);
        drop(waiting);
        if dropped > 0 {
            let note = format!("{{\"event\":\"log_lines_dropped\",\"level\":\"warn\",\"count\":{dropped}}}\n");
            lines.extend_from_slice(note.as_bytes());
        }
        // Nobody can be told that standard error is gone.
        let _ = std::io::stderr().write_all(&lines);
        lines.clear();
        if is_over {
            return;
        }
    }
}
