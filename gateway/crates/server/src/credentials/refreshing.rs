//! Keeping secrets fresh: one task for each, which reads it again before it ends.

use std::sync::{Arc, Weak};
use std::time::Duration;

use airside_snapshot::{Moment, SecretSource};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::live::{LiveSecret, State};
use super::obtained::Obtained;
use super::sources::{obtain, place};
use crate::control::Backoff;
use crate::gateway::Gateway;

/// A file is looked at so often.
const FILE_EVERY: Duration = Duration::from_secs(1);
/// A secret that does not say when it ends is read again after this.
const WITHOUT_END: Duration = Duration::from_mins(5);
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_hours(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// Read every secret that is wanted, until told to stop.
pub(crate) async fn keep_fresh(gateway: Arc<Gateway>, tasks: TaskTracker, stop: CancellationToken) {
    let Some(mut wanted) = gateway.wallet.to_be_kept() else {
        return;
    };
    loop {
        let secret = tokio::select! {
            () = stop.cancelled() => return,
            secret = wanted.recv() => secret,
        };
        let Some(secret) = secret else { return };
        tasks.spawn(keep_one(Arc::clone(&gateway), secret, stop.clone()));
    }
}

/// Read one secret again and again, as long as somebody may show it.
async fn keep_one(gateway: Arc<Gateway>, secret: Weak<LiveSecret>, stop: CancellationToken) {
    let mut backoff = Backoff::new(LONGEST_BACKOFF);
    let mut ends: Option<Moment> = None;
    while let Some(secret) = secret.upgrade() {
        let reading = obtain(&gateway, &secret.source);
        let read = tokio::select! {
            () = stop.cancelled() => return,
            read = reading => read,
        };
        let wait = match read.and_then(|obtained| Ok((obtained.shown(secret.kind)?, obtained))) {
            Ok((shown, obtained)) => {
                backoff.reset();
                ends = obtained.expires_at;
                secret.state.send_replace(State::Ready(Arc::new(shown)));
                until_next(&secret.source, &obtained, gateway.clock.now())
            }
            Err(why) => {
                note_failure(&gateway, &secret, ends, &why);
                until_retry(&secret.source, backoff.wait(chance(&gateway)))
            }
        };
        drop(secret);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn chance(gateway: &Gateway) -> u32 {
    u32::try_from(gateway.clock.now().micros.rem_euclid(1_000)).unwrap_or(0)
}

/// A secret that cannot be read again is shown as long as it lasts.
fn note_failure(gateway: &Gateway, secret: &LiveSecret, ends: Option<Moment>, why: &str) {
    let why: Arc<str> = format!("{}: {why}", place(&secret.source)).into();
    let known = secret.state.borrow().clone();
    let lasts = ends.is_none_or(|ends| gateway.clock.now() < ends);
    match known {
        // It is tried every half minute, and said once.
        State::Missing(before) if before == why => return,
        State::Ready(_) if lasts => {}
        _ => {
            secret.state.send_replace(State::Missing(Arc::clone(&why)));
        }
    }
    gateway.log.warn("credential_unavailable", json!({"detail": why}));
}

/// A file that is not there yet is looked for as often as one that is.
fn until_retry(source: &SecretSource, wait: Duration) -> Duration {
    match source {
        SecretSource::File { .. } => wait.min(FILE_EVERY),
        _ => wait,
    }
}

/// When it is read again: a file soon, others when three quarters of their time are over.
fn until_next(source: &SecretSource, obtained: &Obtained, now: Moment) -> Duration {
    if matches!(source, SecretSource::File { .. }) {
        return FILE_EVERY;
    }
    let Some(ends) = obtained.expires_at else {
        return WITHOUT_END;
    };
    let left = u64::try_from(ends.seconds().saturating_sub(now.seconds())).unwrap_or(0);
    Duration::from_secs(left / 4 * 3).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_again_well_before_its_end() {
        let now = Moment::from_seconds(1_000);
        let command = SecretSource::Command { argv: Vec::new() };
        let ends = |seconds| Obtained::text("s", Some(Moment::from_seconds(seconds)));
        assert_eq!(until_next(&command, &ends(1_400), now), Duration::from_mins(5));
        assert_eq!(until_next(&command, &ends(900), now), SHORTEST);
        assert_eq!(until_next(&command, &ends(1_000_000), now), LONGEST);
        assert_eq!(until_next(&command, &Obtained::text("s", None), now), WITHOUT_END);
        let file = SecretSource::File { path: String::new() };
        assert_eq!(until_next(&file, &ends(1_400), now), FILE_EVERY);
        assert_eq!(until_retry(&file, LONGEST_BACKOFF), FILE_EVERY);
        assert_eq!(until_retry(&command, LONGEST_BACKOFF), LONGEST_BACKOFF);
    }
}
