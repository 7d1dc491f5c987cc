//! Bodies of calls on their way out: after the records, again and again until the control plane has them. Where there is
//! none they stay, for as many days as their project wants.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::{Backoff, ControlClient};
use crate::background::in_background;
use crate::gateway::Gateway;

const PATH: &str = "/internal/v1/bodies";
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(250);
const MOST_BYTES: usize = 4 << 20;
const SWEEP_EVERY: Duration = Duration::from_hours(1);

/// Send bodies to the control plane until told to stop.
pub(crate) async fn deliver_bodies(gateway: Arc<Gateway>, client: Arc<ControlClient>, stop: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_secs(10));
    let (mut length, mut dropped) = (PAUSE, 0);
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(length) => {}
        }
        let all_dropped = gateway.recorder.dropped.load(Ordering::Relaxed);
        if all_dropped > dropped {
            gateway
                .log
                .warn("bodies_dropped", json!({"count": all_dropped - dropped}));
            dropped = all_dropped;
        }
        length = match send_all(&gateway, &client).await {
            Ok(()) => {
                backoff.reset();
                PAUSE
            }
            Err(detail) => {
                gateway.log.warn("bodies_not_delivered", json!({"detail": detail}));
                backoff.wait(u32::try_from(gateway.clock.now().micros.rem_euclid(1000)).unwrap_or(0))
            }
        };
    }
}

async fn send_all(gateway: &Arc<Gateway>, client: &ControlClient) -> Result<(), String> {
    loop {
        let store = Arc::clone(&gateway.recorder.store);
        let read = in_background(move || store.oldest(MOST_BYTES)).await;
        let batch = read
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        if batch.is_empty() {
            return Ok(());
        }
        let bodies: Vec<&[u8]> = batch.iter().map(|(_, text)| text.as_slice()).collect();
        let id = serde_json::to_string(&gateway.id).unwrap_or_default();
        let message = [
            b"{\"gateway_id\":",
            id.as_bytes(),
            b",\"bodies\":[",
            &bodies.join(&b','),
            b"]}",
        ]
        .concat();
        let sent = client.post(gateway, PATH, message, PATIENCE).await;
        sent.map_err(|fault| fault.to_string())?;
        let store = Arc::clone(&gateway.recorder.store);
        let removing = move || batch.iter().try_for_each(|(path, _)| store.remove(path));
        let removed = in_background(removing).await;
        removed
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
    }
}

/// Without a control plane: remove what was kept long enough, until told to stop.
pub(crate) async fn sweep_bodies(gateway: Arc<Gateway>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let store = Arc::clone(&gateway.recorder.store);
        let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(gateway.now_s()).unwrap_or_default());
        let swept = in_background(move || store.sweep(now)).await;
        match swept.map_err(std::io::Error::from).flatten() {
            Ok(0) => {}
            Ok(count) => gateway.log.info("bodies_swept", json!({"count": count})),
            Err(error) => gateway
                .log
                .warn("bodies_not_swept", json!({"detail": error.to_string()})),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(SWEEP_EVERY) => {}
        }
    }
}
