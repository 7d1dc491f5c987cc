//! The journal on its way out: batches in order, again and again until they are acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use airside_journal::{Batch, JournalReceipt};
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::client::{Backoff, ControlClient, ControlFault};
use super::local::LocalBooks;
use crate::background::in_background;
use crate::gateway::Gateway;

const PATH: &str = "/internal/v1/journal";
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at the journal. Nobody is woken for a record, so that a call costs no switch of threads.
const PAUSE: Duration = Duration::from_millis(100);
/// The same, where taking the journal over means writing two files to the device.
const LOCAL_PAUSE: Duration = Duration::from_millis(250);
pub(super) const MOST_RECORDS: usize = 500;
pub(super) const MOST_BYTES: usize = 1 << 20;
/// Taken over at once by a gateway without a control plane: little enough to stay in a processor's cache.
const MOST_LOCAL_RECORDS: usize = 250;
const MOST_LOCAL_BYTES: usize = 256 << 10;
/// So many later, and at the end, its totals go through to the device.
const MOST_UNKEPT: usize = 4_000;
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Scopes that nobody spent in for so long are forgotten.
const FORGET_AFTER_S: i64 = 900;

/// Where somebody can wait for the journal to be delivered.
#[derive(Debug)]
pub(crate) struct FlushDesk {
    acknowledged: watch::Sender<u64>,
    wake: Notify,
}

impl Default for FlushDesk {
    fn default() -> Self {
        Self {
            acknowledged: watch::Sender::new(0),
            wake: Notify::new(),
        }
    }
}

impl FlushDesk {
    /// Wait until everything up to this record is acknowledged. Returns how far it came.
    pub(crate) async fn wait_for(&self, sequence: u64, patience: Duration) -> u64 {
        let mut acknowledged = self.acknowledged.subscribe();
        self.wake.notify_one();
        let _ = tokio::time::timeout(patience, acknowledged.wait_for(|through| *through >= sequence)).await;
        *self.acknowledged.borrow()
    }
}

/// What keeps a spool in order between deliveries.
struct Upkeep {
    synced_at: Instant,
    synced_through: u64,
    marked_at_s: i64,
    marked_through: AtomicU64,
}

impl Upkeep {
    fn new(now_s: i64) -> Self {
        Self {
            synced_at: Instant::now(),
            synced_through: 0,
            marked_at_s: now_s,
            marked_through: AtomicU64::new(0),
        }
    }

    async fn run(&mut self, gateway: &Arc<Gateway>) {
        let state = gateway.spool.state();
        let theirs = Arc::clone(gateway);
        // A disk without room for a spare is met by the next call that needs it, and refused there.
        let _ = in_background(move || theirs.spool.prepare()).await;
        // What the control plane has needs no device of ours.
        let is_waiting = state.sequence > self.synced_through && state.sequence > state.acknowledged;
        if self.synced_at.elapsed() >= SYNC_EVERY && is_waiting {
            let theirs = Arc::clone(gateway);
            let synced = in_background(move || theirs.spool.sync()).await;
            if let Ok(Err(fault)) = synced {
                gateway
                    .log
                    .error("journal_sync_failed", json!({"detail": fault.to_string()}));
            }
            self.synced_at = Instant::now();
            self.synced_through = state.sequence;
        }
        self.forget_idle_scopes(gateway);
    }

    /// What was charged before the mark must be acknowledged before a scope may be forgotten.
    fn forget_idle_scopes(&mut self, gateway: &Gateway) {
        let now_s = gateway.now_s();
        if now_s - self.marked_at_s < FORGET_AFTER_S {
            return;
        }
        let state = gateway.spool.state();
        if state.acknowledged >= self.marked_through.load(Ordering::Relaxed) {
            gateway.ledger.forget_idle(self.marked_at_s);
        }
        self.marked_at_s = now_s;
        self.marked_through.store(state.sequence, Ordering::Relaxed);
    }
}

async fn pause(gateway: &Gateway, length: Duration, stop: &CancellationToken) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = gateway.flush.wake.notified() => {}
        () = tokio::time::sleep(length) => {}
    }
}

/// Send the journal to the control plane until told to stop.
pub(crate) async fn deliver(gateway: Arc<Gateway>, client: Arc<ControlClient>, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_secs(5));
    let mut upkeep = Upkeep::new(gateway.now_s());
    let mut length = PAUSE;
    upkeep.run(&gateway).await;
    while !stop.is_cancelled() {
        pause(&gateway, length, &stop).await;
        length = match send_all(&gateway, &client).await {
            Ok(()) => {
                backoff.reset();
                PAUSE
            }
            Err(detail) => {
                gateway.spool.rewind();
                gateway.log.warn("journal_not_delivered", json!({"detail": detail}));
                backoff.wait(u32::try_from(gateway.clock.now().micros.rem_euclid(1000)).unwrap_or(0))
            }
        };
        upkeep.run(&gateway).await;
    }
    // What could not be sent now is sent after the next start.
    let _ = send_all(&gateway, &client).await;
}

async fn send_all(gateway: &Gateway, client: &ControlClient) -> Result<(), String> {
    loop {
        let batch = gateway
            .spool
            .next_batch(MOST_RECORDS, MOST_BYTES)
            .map_err(|fault| fault.to_string())?;
        if batch.last == 0 {
            return Ok(());
        }
        let through = send_batch(gateway, client, &gateway.id, &batch).await?;
        gateway.spool.acknowledge(through).map_err(|fault| fault.to_string())?;
        if through < batch.last {
            return Err(format!("record {} was sent and only {through} is stored", batch.last));
        }
        gateway
            .flush
            .acknowledged
            .send_replace(gateway.spool.state().acknowledged);
        if !is_worth_another(&batch) {
            return Ok(());
        }
    }
}

/// What came while a batch was delivered waits for the next look, so that steady traffic goes out in large batches and
/// not in one after the other of a few records.
fn is_worth_another(batch: &Batch) -> bool {
    batch.count() >= MOST_RECORDS / 2 || batch.records.len() >= MOST_BYTES / 2
}

/// Send records under this gateway's id; up to which one the control plane has them now.
pub(super) async fn send_batch(
    gateway: &Gateway,
    client: &ControlClient,
    id: &str,
    batch: &Batch,
) -> Result<u64, String> {
    let mut body = Vec::with_capacity(batch.records.len() + 128);
    body.extend_from_slice(b"{\"gateway_id\":");
    body.extend_from_slice(serde_json::to_string(id).unwrap_or_default().as_bytes());
    body.extend_from_slice(b",\"records\":[");
    body.extend_from_slice(&batch.records);
    body.extend_from_slice(b"]}");
    let answer = client.post(gateway, PATH, body, PATIENCE).await.map_err(|fault| {
        if let ControlFault::Refused { .. } = &fault {
            // Nothing is dropped: it is tried again, and somebody must look.
            gateway.log.error(
                "journal_refused",
                json!({"last": batch.last, "detail": fault.to_string()}),
            );
        }
        fault.to_string()
    })?;
    let receipt: JournalReceipt = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    gateway.rates.share_among(receipt.gateways);
    Ok(receipt.acknowledged)
}

/// Without a control plane: take the journal over into this gateway's own books until told to stop.
pub(crate) async fn keep_locally(gateway: Arc<Gateway>, books: Arc<LocalBooks>, stop: CancellationToken) {
    let mut upkeep = Upkeep::new(gateway.now_s());
    loop {
        upkeep.run(&gateway).await;
        pause(&gateway, LOCAL_PAUSE, &stop).await;
        let theirs = (Arc::clone(&gateway), Arc::clone(&books));
        let taken = in_background(move || take_over_all(&theirs.0, &theirs.1)).await;
        if let Ok(Err(detail)) = taken {
            gateway.spool.rewind();
            gateway.log.error("journal_not_kept", json!({"detail": detail}));
        }
        if stop.is_cancelled() {
            return;
        }
    }
}

fn take_over_all(gateway: &Gateway, books: &LocalBooks) -> Result<(), String> {
    let (mut unkept, mut through) = (0, 0);
    loop {
        let mut batch = gateway
            .spool
            .next_batch(MOST_LOCAL_RECORDS, MOST_LOCAL_BYTES)
            .map_err(|fault| fault.to_string())?;
        books.take_over(&mut batch).map_err(|error| error.to_string())?;
        through = through.max(batch.last);
        unkept += batch.count();
        let is_last = batch.count() < MOST_LOCAL_RECORDS / 2 && batch.records.len() < MOST_LOCAL_BYTES / 2;
        gateway.spool.give_back(batch);
        if unkept >= MOST_UNKEPT || is_last && unkept > 0 {
            books.keep().map_err(|error| error.to_string())?;
            gateway.spool.acknowledge(through).map_err(|fault| fault.to_string())?;
            gateway.flush.acknowledged.send_replace(through);
            unkept = 0;
        }
        if is_last {
            return Ok(());
        }
    }
}
