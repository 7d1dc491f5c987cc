//! Bodies of calls, where a project wants them: taken over when a call ends, relieved of secrets and written by a thread
//! of its own, so that no call waits for it. What there is no room for is dropped and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use airside_journal::{BodyStore, CallBodies, Redactor, Room};
use airside_snapshot::{BodyPolicy, Recording};

use crate::active::Active;

/// Calls whose bodies wait for the thread.
const MOST_WAITING: usize = 4_096;

/// How a project wants its bodies recorded.
#[derive(Debug)]
pub(crate) struct ActiveRecording {
    mode: &'static str,
    retention_days: u64,
    max_bytes: usize,
    /// A call whose bodies there is no room for is refused.
    pub(crate) is_audited: bool,
    /// `None` when its patterns cannot be used: then nothing is written.
    redactor: Option<Redactor>,
}

impl ActiveRecording {
    /// `None` where no bodies are wanted.
    pub(crate) fn new(recording: &Recording) -> Option<Self> {
        let (mode, redactor) = match recording.bodies {
            BodyPolicy::Off => return None,
            BodyPolicy::Redacted => {
                let shapes = Redactor::of_shapes(&recording.patterns, recording.emails);
                ("redacted", shapes.ok())
            }
            BodyPolicy::Full => ("full", Some(Redactor::of_own_secrets())),
        };
        Some(Self {
            mode,
            retention_days: recording.retention_days,
            max_bytes: usize::try_from(recording.max_bytes).unwrap_or(usize::MAX),
            is_audited: recording.audited,
            redactor,
        })
    }

    /// The most that one call can take.
    pub(crate) fn most_bytes(&self) -> u64 {
        2 * self.max_bytes as u64
    }
}

/// The bodies of one call, growing.
#[derive(Debug)]
pub(crate) struct BodyCopy {
    recording: Arc<ActiveRecording>,
    /// Knows the secrets that are in use.
    active: Arc<Active>,
    request: Vec<u8>,
    request_bytes: u64,
    answer: Vec<u8>,
    answer_bytes: u64,
}

impl BodyCopy {
    pub(crate) fn new(recording: &Arc<ActiveRecording>, active: &Arc<Active>, request: &[u8]) -> Self {
        let most = request.len().min(recording.max_bytes);
        Self {
            recording: Arc::clone(recording),
            active: Arc::clone(active),
            request: request.get(..most).unwrap_or_default().to_vec(),
            request_bytes: request.len() as u64,
            answer: Vec::new(),
            answer_bytes: 0,
        }
    }

    /// More of the answer went to the caller.
    pub(crate) fn answers(&mut self, bytes: &[u8]) {
        self.answer_bytes += bytes.len() as u64;
        let room = self.recording.max_bytes.saturating_sub(self.answer.len());
        let kept = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.answer.extend_from_slice(kept);
    }
}

/// One call's bodies on their way to the disk.
#[derive(Debug)]
struct Draft {
    room: Room,
    copy: Box<BodyCopy>,
    call_id: String,
    project: String,
    is_stream: bool,
}

/// Takes bodies over and writes them.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) store: Arc<BodyStore>,
    pub(crate) kept: AtomicU64,
    pub(crate) dropped: Arc<AtomicU64>,
    sender: Mutex<Option<SyncSender<Draft>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Start the thread that writes. `join_token` is never written.
    pub(crate) fn start(store: BodyStore, join_token: Option<String>) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        let (store, dropped) = (Arc::new(store), Arc::new(AtomicU64::new(0)));
        let theirs = (Arc::clone(&store), Arc::clone(&dropped));
        let thread = std::thread::Builder::new()
            .name("airside-bodies".into())
            .spawn(move || write_all(&receiver, &theirs.0, &theirs.1, join_token.as_deref()))?;
        Ok(Self {
            store,
            kept: AtomicU64::new(0),
            dropped,
            sender: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Take the bodies of a call over; says in the journal's word what becomes of them.
    pub(crate) fn take(&self, copy: Box<BodyCopy>, call_id: &str, project: &str, is_stream: bool) -> &'static str {
        if self.submit(copy, call_id, project, is_stream).is_some() {
            self.kept.fetch_add(1, Ordering::Relaxed);
            "kept"
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            "dropped"
        }
    }

    fn submit(&self, copy: Box<BodyCopy>, call_id: &str, project: &str, is_stream: bool) -> Option<()> {
        copy.recording.redactor.as_ref()?;
        let room = self.store.promise((copy.request.len() + copy.answer.len()) as u64)?;
        let draft = Draft {
            room,
            copy,
            call_id: call_id.to_owned(),
            project: project.to_owned(),
            is_stream,
        };
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sender.map(|sender| sender.try_send(draft)) {
            Some(Ok(())) => Some(()),
            Some(Err(refused)) => {
                let (std::sync::mpsc::TrySendError::Full(draft) | std::sync::mpsc::TrySendError::Disconnected(draft)) =
                    refused;
                self.store.give_back(draft.room);
                None
            }
            None => None,
        }
    }

    /// Write what waits and end the thread.
    pub(crate) fn finish(&self) {
        drop(self.sender.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has nothing more to write.
            let _ = thread.join();
        }
    }
}

fn write_all(drafts: &Receiver<Draft>, store: &BodyStore, dropped: &AtomicU64, join_token: Option<&str>) {
    for draft in drafts {
        let Draft { room, copy, .. } = draft;
        let Some(redactor) = &copy.recording.redactor else {
            store.give_back(room);
            continue;
        };
        let in_use = copy.active.secrets();
        let secrets = in_use.iter().map(String::as_str).chain(join_token);
        let secrets: Vec<&[u8]> = secrets.map(str::as_bytes).collect();
        let (request, in_request) = redactor.redact(&copy.request, &secrets, false);
        let (answer, in_answer) = redactor.redact(&copy.answer, &secrets, draft.is_stream);
        let bodies = CallBodies {
            call_id: draft.call_id,
            project: draft.project,
            retention_days: copy.recording.retention_days,
            mode: copy.recording.mode,
            request,
            request_bytes: copy.request_bytes,
            answer,
            answer_bytes: copy.answer_bytes,
            redactions: in_request + in_answer,
        };
        if store.write(room, &bodies).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
