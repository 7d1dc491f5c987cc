//! Snapshots on their way in: by long poll, from disk, or from a file.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use airside_snapshot::{Compiled, SnapshotProblem};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::client::{Backoff, ControlClient};
use crate::active::Active;
use crate::gateway::Gateway;
use crate::options::{JoinToken, environment};
use crate::vault;

const PATH: &str = "/internal/v1/snapshot";
const WAIT_S: u64 = 25;
/// Beyond what the control plane was asked to wait.
const PATIENCE: Duration = Duration::from_secs(WAIT_S + 10);
const LOOK_AT_FILE_EVERY: Duration = Duration::from_millis(250);
const LAST_GOOD: &str = "last-good.snapshot";

/// Put this text into force. The one in force stays when it is refused.
fn take(gateway: &Gateway, text: &[u8], with_environment: bool) -> Result<(), SnapshotProblem> {
    let lookup = |name: &str| if with_environment { environment(name) } else { None };
    let active = Compiled::from_json(text).and_then(|compiled| Active::new(compiled, lookup, &gateway.wallet));
    match active {
        Ok(active) => {
            let snapshot = &active.compiled.snapshot;
            let fields = json!({"version": snapshot.version, "models": snapshot.models.len(), "providers": snapshot.providers.len()});
            warn_about_missing_credentials(gateway, &active);
            gateway.activate(Arc::new(active));
            gateway.log.info("snapshot_taken", fields);
            Ok(())
        }
        Err(problem) => {
            gateway.note_refused_snapshot(Some(problem.to_string()));
            gateway
                .log
                .error("snapshot_refused", json!({"detail": problem.to_string()}));
            Err(problem)
        }
    }
}

fn warn_about_missing_credentials(gateway: &Gateway, active: &Active) {
    for provider in &active.providers {
        let missing = provider.keys.iter().filter_map(|key| Some((key, key.why_missing()?)));
        for (key, why) in missing {
            let fields = json!({"provider": provider.name, "key": key.id, "detail": why});
            gateway.log.warn("credential_missing", fields);
        }
    }
}

/// Serve from the last snapshot that was good, if there is one that this token opens.
pub(crate) fn last_good(gateway: &Gateway, token: &JoinToken) {
    let path = gateway.data.join(LAST_GOOD);
    let Ok(sealed) = std::fs::read(&path) else { return };
    match vault::unseal(&token.0, &gateway.id, &sealed) {
        // A refusal is in the log and in `/readyz`; the control plane will send another.
        Some(text) => drop(take(gateway, &text, false)),
        None => gateway
            .log
            .warn("last_good_unreadable", json!({"path": path.display().to_string()})),
    }
}

/// Follow the control plane until told to stop.
pub(crate) async fn follow_control(
    gateway: Arc<Gateway>,
    client: Arc<ControlClient>,
    token: JoinToken,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_secs(2));
    let mut seen = gateway.active().map_or(0, |active| active.compiled.snapshot.version);
    let mut is_away = false;
    loop {
        let port = gateway.notes.port.load(Ordering::Relaxed);
        let query = format!("after={seen}&wait_s={WAIT_S}&gateway_id={}&port={port}", gateway.id);
        let polled = tokio::select! {
            () = stop.cancelled() => return,
            polled = client.get(&gateway, PATH, &query, PATIENCE) => polled,
        };
        let wait = match polled {
            Ok(text) => {
                if std::mem::replace(&mut is_away, false) {
                    gateway.log.info("control_plane_back", json!({}));
                }
                backoff.reset();
                match text {
                    Some(text) => took(&gateway, &token, &text, &mut seen),
                    None => Duration::ZERO,
                }
            }
            Err(fault) => {
                if !std::mem::replace(&mut is_away, true) {
                    gateway
                        .log
                        .warn("control_plane_away", json!({"detail": fault.to_string()}));
                }
                backoff.wait(u32::try_from(gateway.clock.now().micros.rem_euclid(1000)).unwrap_or(0))
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Take a snapshot that came by poll and keep it. Returns how long to wait before the next poll.
fn took(gateway: &Gateway, token: &JoinToken, text: &[u8], seen: &mut u64) -> Duration {
    if take(gateway, text, false).is_err() {
        // The same would come again at once: the version is only known to a reader who can read it.
        return Duration::from_secs(2);
    }
    *seen = gateway
        .active()
        .map_or(*seen, |active| active.compiled.snapshot.version);
    let sealed = vault::seal(&token.0, &gateway.id, text);
    let kept = sealed.and_then(|sealed| vault::write_private(&gateway.data.join(LAST_GOOD), &sealed));
    if let Err(error) = kept {
        gateway
            .log
            .warn("last_good_not_kept", json!({"detail": error.to_string()}));
    }
    Duration::ZERO
}

/// Read a snapshot file once.
///
/// # Errors
/// A sentence that names the file.
fn take_file(gateway: &Gateway, path: &Path) -> Result<(), String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot read '{}': {error}", path.display()))?;
    take(gateway, &text, true).map_err(|problem| format!("'{}': {problem}", path.display()))
}

/// What tells one state of a file from another.
fn mark_of(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Serve from a file, and read it again when it changes or on SIGHUP.
///
/// # Errors
/// When it cannot be served from at the start.
pub(crate) fn follow_file(
    gateway: Arc<Gateway>,
    path: &Path,
    stop: CancellationToken,
) -> Result<impl Future<Output = ()> + Send + 'static, String> {
    let mut mark = mark_of(path);
    take_file(&gateway, path)?;
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())
        .map_err(|error| format!("cannot listen for SIGHUP: {error}"))?;
    let path = path.to_owned();
    Ok(async move {
        loop {
            let is_told = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK_AT_FILE_EVERY) => false,
            };
            let now = mark_of(&path);
            if is_told || (now.is_some() && now != mark) {
                mark = now;
                if let Err(detail) = take_file(&gateway, &path) {
                    gateway.note_refused_snapshot(Some(detail.clone()));
                    gateway.log.error("snapshot_file_refused", json!({"detail": detail}));
                }
            }
        }
    })
}
