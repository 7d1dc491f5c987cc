//! Spans on their way to the collector, in batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::EndedCall;
use super::encode::export_request;
use crate::control::{Backoff, ControlClient};
use crate::gateway::Gateway;

const PATH: &str = "/v1/traces";
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(500);
const MOST_AT_ONCE: usize = 256;
/// How often a batch is offered before it is dropped.
const MOST_TRIES: u32 = 3;

/// Send spans to the collector until told to stop, and then what still waits.
pub(crate) async fn export(
    gateway: Arc<Gateway>,
    client: ControlClient,
    mut calls: Receiver<EndedCall>,
    stop: CancellationToken,
) {
    let mut batch = Vec::with_capacity(MOST_AT_ONCE);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
        while let Ok(call) = calls.try_recv() {
            batch.push(call);
            if batch.len() == MOST_AT_ONCE {
                send(&gateway, &client, &mut batch, &stop).await;
            }
        }
        send(&gateway, &client, &mut batch, &stop).await;
    }
}

async fn send(gateway: &Arc<Gateway>, client: &ControlClient, batch: &mut Vec<EndedCall>, stop: &CancellationToken) {
    if batch.is_empty() {
        return;
    }
    let count = batch.len() as u64;
    let request = export_request(&gateway.id, batch);
    batch.clear();
    let mut backoff = Backoff::new(Duration::from_secs(5));
    for tried in 1..=MOST_TRIES {
        match client.post(gateway, PATH, request.clone(), PATIENCE).await {
            Ok(_) => {
                gateway.spans.exported.fetch_add(count, Ordering::Relaxed);
                return;
            }
            Err(fault) if tried == MOST_TRIES || stop.is_cancelled() => {
                let fields = json!({"count": count, "detail": fault.to_string()});
                gateway.log.warn("spans_not_exported", fields);
                break;
            }
            Err(_) => tokio::time::sleep(backoff.wait(u32::try_from(count).unwrap_or(0))).await,
        }
    }
    gateway.spans.dropped.fetch_add(count, Ordering::Relaxed);
}
