//! Spans of calls for a collector, by OTLP over HTTP with JSON, after the conventions for generative AI. Only where one is
//! configured; no call waits for it, and what it does not take is dropped and counted.

mod encode;
mod export;
mod trace;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use airside_journal::ModelCall;
use tokio::sync::mpsc::{Receiver, Sender, channel};

pub(crate) use self::export::export;
pub(crate) use self::trace::Trace;

/// Calls that wait to be exported.
const MOST_WAITING: usize = 4_096;

/// A call that is over, and its place in a trace.
#[derive(Debug)]
pub(crate) struct EndedCall {
    record: ModelCall,
    trace: Trace,
    /// The dialect of whoever answered.
    family: &'static str,
}

/// Where calls are handed to the exporter.
#[derive(Debug)]
pub(crate) struct Spans {
    sender: Option<Sender<EndedCall>>,
    /// The other end, until the exporter takes it.
    receiver: Mutex<Option<Receiver<EndedCall>>>,
    pub(crate) exported: AtomicU64,
    pub(crate) dropped: AtomicU64,
}

impl Spans {
    /// Nobody wants spans.
    pub(crate) const fn off() -> Self {
        Self {
            sender: None,
            receiver: Mutex::new(None),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// Somebody does.
    pub(crate) fn on() -> Self {
        let (sender, receiver) = channel(MOST_WAITING);
        Self {
            sender: Some(sender),
            receiver: Mutex::new(Some(receiver)),
            ..Self::off()
        }
    }

    /// What `export` is to read. There is one reader.
    pub(crate) fn receiver(&self) -> Option<Receiver<EndedCall>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// True where spans are wanted.
    pub(crate) const fn is_on(&self) -> bool {
        self.sender.is_some()
    }

    /// Hand a call over that is over.
    pub(crate) fn take(&self, record: &ModelCall, trace: Trace, family: &'static str) {
        let Some(sender) = &self.sender else { return };
        let call = EndedCall {
            record: record.clone(),
            trace,
            family,
        };
        if sender.try_send(call).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
