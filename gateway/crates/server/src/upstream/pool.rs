//! Connections kept between calls, per worker, so that taking one never waits for another thread.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;

use super::body::OutBody;
use super::connect::Wire;

/// Kept at most, to one origin.
const MOST_IDLE: usize = 512;
const LONGEST_IDLE: Duration = Duration::from_secs(50);

/// A connection that carries one call at a time, and is driven by it.
pub(crate) struct Http1 {
    pub(crate) sender: http1::SendRequest<OutBody>,
    pub(crate) driver: http1::Connection<TokioIo<Wire>, OutBody>,
}

impl fmt::Debug for Http1 {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Http1").finish_non_exhaustive()
    }
}

/// A connection that many calls share.
pub(crate) type Http2 = http2::SendRequest<OutBody>;

impl Http1 {
    /// Let the connection do what it can. True while it lives.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.driver).poll(cx).is_pending()
    }
}

#[derive(Debug)]
struct Idle {
    connection: Box<Http1>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Kept {
    idle: HashMap<Arc<str>, Vec<Idle>>,
    shared: HashMap<Arc<str>, Http2>,
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
    pub(crate) fn take(&self, origin: &str, cx: &mut Context<'_>) -> Option<Box<Http1>> {
        loop {
            let mut idle = self.kept().idle.get_mut(origin)?.pop()?;
            // The provider may have closed it meanwhile: one look at the socket tells.
            if idle.since.elapsed() < LONGEST_IDLE && idle.connection.drive(cx) && idle.connection.sender.is_ready() {
                return Some(idle.connection);
            }
        }
    }

    /// Keep a connection for the next call, if it can take one.
    pub(crate) fn put(&self, origin: &Arc<str>, mut connection: Box<Http1>, cx: &mut Context<'_>) {
        let is_ready = connection.drive(cx) && matches!(connection.sender.poll_ready(cx), Poll::Ready(Ok(())));
        if !is_ready {
            return;
        }
        let mut kept = self.kept();
        let idle = match kept.idle.get_mut(origin) {
            Some(idle) => idle,
            None => kept.idle.entry(Arc::clone(origin)).or_default(),
        };
        if idle.len() < MOST_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
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

    /// Close what was idle for too long.
    pub(crate) fn reap(&self) {
        let mut kept = self.kept();
        for idle in kept.idle.values_mut() {
            idle.retain(|idle| idle.since.elapsed() < LONGEST_IDLE);
        }
        kept.idle.retain(|_, idle| !idle.is_empty());
        kept.shared.retain(|_, sender| !sender.is_closed());
    }
}
