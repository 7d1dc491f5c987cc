//! Connections kept between calls, per worker, so that taking one never waits for another thread.

use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::client::conn::http2;

use super::body::OutBody;
use super::http1::Http1;

/// Kept at most, to one origin.
const MOST_IDLE: usize = 512;
/// A connection is closed when it was idle in so many rounds of `reap`: the clock is looked at once a round and not
/// twice a call.
const MOST_ROUNDS: u64 = 4;

/// A connection that many calls share.
pub(crate) type Http2 = http2::SendRequest<OutBody>;

#[derive(Debug)]
struct Idle {
    connection: Box<Http1>,
    round: u64,
}

#[derive(Debug, Default)]
struct Kept {
    idle: HashMap<Arc<str>, Vec<Idle>>,
    shared: HashMap<Arc<str>, Http2>,
    /// How often it was reaped.
    round: u64,
}

/// One worker's connections.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    kept: Mutex<Kept>,
}

impl Pool {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection to this origin that was used last and still lives.
    pub(crate) fn take(&self, origin: &str) -> Option<Box<Http1>> {
        loop {
            let mut idle = self.kept().idle.get_mut(origin)?.pop()?;
            // The provider may have closed it meanwhile: one look at the socket tells.
            if idle.connection.is_quiet() {
                return Some(idle.connection);
            }
        }
    }

    /// Keep a connection for the next call, if it can take one.
    pub(crate) fn put(&self, origin: &Arc<str>, mut connection: Box<Http1>) {
        if !connection.can_follow() {
            return;
        }
        let kept = &mut *self.kept();
        let round = kept.round;
        let idle = match kept.idle.get_mut(origin) {
            Some(idle) => idle,
            None => kept.idle.entry(Arc::clone(origin)).or_default(),
        };
        if idle.len() < MOST_IDLE {
            idle.push(Idle { connection, round });
        }
    }

    /// The shared connection to this origin, if there is a live one.
    pub(crate) fn shared(&self, origin: &str) -> Option<Http2> {
        let mut kept = self.kept();
        let sender = kept.shared.get(origin)?;
        if sender.is_closed() {
            kept.shared.remove(origin);
            return None;
        }
        Some(sender.clone())
    }

    /// Share a connection with later calls.
    pub(crate) fn share(&self, origin: &Arc<str>, connection: Http2) {
        self.kept().shared.insert(Arc::clone(origin), connection);
    }

    /// Close what was idle for too long. Done every `REAP_EVERY`.
    pub(crate) fn reap(&self) {
        let kept = &mut *self.kept();
        kept.round += 1;
        for idle in kept.idle.values_mut() {
            idle.retain(|idle| kept.round - idle.round <= MOST_ROUNDS);
        }
        kept.idle.retain(|_, idle| !idle.is_empty());
        kept.shared.retain(|_, sender| !sender.is_closed());
    }
}
