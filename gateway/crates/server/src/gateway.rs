//! What all calls share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use airside_journal::Spool;
use airside_metering::{KnownInputs, Ledger};
use airside_routing::{Health, SessionMemory, Speeds};
use arc_swap::ArcSwapOption;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::active::Active;
use crate::caller::Dates;
use crate::clock::Clock;
use crate::cohort::Cohort;
use crate::control::{Desk, FlushDesk, RateDesk};
use crate::credentials::Wallet;
use crate::identifiers::Identifiers;
use crate::issued::Issued;
use crate::known::{Known, Marker};
use crate::leaving::Leaving;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::options::JoinToken;
use crate::recorder::Recorder;
use crate::seat::Seat;
use crate::spans::Spans;
use crate::upstream::{Connector, Pool};

/// The state of one gateway process.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) id: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) metrics: Metrics,
    pub(crate) identifiers: Identifiers,
    active: ArcSwapOption<Active>,
    version: watch::Sender<u64>,
    /// Stands for the secrets that callers show.
    pub(crate) marker: Marker,
    /// Tokens whose signature was checked.
    pub(crate) known_tokens: Known,
    /// Whose the answers are that providers keep.
    pub(crate) issued: Issued,
    pub(crate) health: Health,
    pub(crate) speeds: Speeds,
    pub(crate) sessions: SessionMemory,
    pub(crate) ledger: Ledger,
    /// How large conversations are.
    pub(crate) known: KnownInputs,
    pub(crate) rates: RateDesk,
    pub(crate) desk: Desk,
    pub(crate) flush: FlushDesk,
    pub(crate) spool: Spool,
    pub(crate) recorder: Recorder,
    pub(crate) spans: Spans,
    pub(crate) data: PathBuf,
    pub(crate) connector: Connector,
    /// Secrets that change.
    pub(crate) wallet: Wallet,
    /// What the control plane shows to ask something of the gateway.
    pub(crate) join_token: Option<JoinToken>,
    pub(crate) notes: Notes,
    /// Copies of calls under way.
    pub(crate) shadows: AtomicU64,
    /// Calls under way.
    pub(crate) in_flight: AtomicU64,
    /// Sockets open.
    pub(crate) sockets: AtomicU64,
    /// What they remember, all together.
    pub(crate) transcript_bytes: Arc<AtomicU64>,
}

/// What `/readyz` tells beside what it can see for itself.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    /// The last snapshot that was refused, and why.
    pub(crate) refused_snapshot: std::sync::Mutex<Option<String>>,
    /// A record could not be written.
    pub(crate) journal_failed: AtomicBool,
    /// Another gateway has taken over: calls are taken on the connections that are left, one on each.
    pub(crate) is_leaving: AtomicBool,
    /// No more calls are taken.
    pub(crate) is_draining: AtomicBool,
    /// Where it listens, once it does.
    pub(crate) port: AtomicU16,
}

/// What the parts are that only the start of the process can make.
pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) ledger: Ledger,
    pub(crate) desk: Desk,
    pub(crate) flush: FlushDesk,
    pub(crate) spool: Spool,
    pub(crate) recorder: Recorder,
    pub(crate) spans: Spans,
    pub(crate) data: PathBuf,
    pub(crate) connector: Connector,
    pub(crate) join_token: Option<JoinToken>,
}

impl Gateway {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            id: parts.id,
            clock: parts.clock,
            log: parts.log,
            metrics: Metrics::default(),
            identifiers: Identifiers::default(),
            active: ArcSwapOption::empty(),
            version: watch::Sender::new(0),
            marker: Marker::default(),
            known_tokens: Known::default(),
            issued: Issued::default(),
            health: Health::default(),
            speeds: Speeds::default(),
            sessions: SessionMemory::default(),
            ledger: parts.ledger,
            known: KnownInputs::default(),
            rates: RateDesk::default(),
            desk: parts.desk,
            flush: parts.flush,
            spool: parts.spool,
            recorder: parts.recorder,
            spans: parts.spans,
            data: parts.data,
            connector: parts.connector,
            wallet: Wallet::default(),
            join_token: parts.join_token,
            notes: Notes::default(),
            shadows: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            sockets: AtomicU64::new(0),
            transcript_bytes: Arc::default(),
        }
    }

    /// The snapshot in force. A call takes it once.
    pub(crate) fn active(&self) -> Option<Arc<Active>> {
        self.active.load_full()
    }

    /// Put a snapshot into force. Calls under way keep theirs.
    pub(crate) fn activate(&self, active: Arc<Active>) {
        let version = active.compiled.snapshot.version;
        self.active.store(Some(active));
        self.note_refused_snapshot(None);
        self.version.send_replace(version);
    }

    /// The version in force, and its changes.
    pub(crate) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn note_refused_snapshot(&self, why: Option<String>) {
        let mut note = self
            .notes
            .refused_snapshot
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *note = why;
    }

    /// Seconds since 1970.
    pub(crate) fn now_s(&self) -> i64 {
        self.clock.now().seconds()
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.notes.is_leaving.load(Ordering::Acquire)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.notes.is_draining.load(Ordering::Acquire)
    }
}

/// What the calls of one worker thread share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) tasks: TaskTracker,
    pub(crate) seat: Seat,
    pub(crate) cohort: Cohort,
    /// Whether its connections take nothing new.
    pub(crate) leaving: Leaving,
    pub(crate) dates: Dates,
}
