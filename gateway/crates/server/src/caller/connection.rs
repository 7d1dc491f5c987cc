//! A caller's connection as those see it who answer its requests.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::line::{BrokenBody, Line};
use super::stalled::Stalled;
use super::wire::{HandedOver, Wire};
use crate::alarm::Wait;

/// For a caller to take something of what waits for it. Longer than any pause of one that means to read on.
const LONGEST_STALL: Duration = Duration::from_mins(5);

/// Less of a body that is coming is not shown.
const WORTH_A_LOOK: usize = 32 << 10;

/// What goes on with a connection on which HTTP is over.
type Heir = Box<dyn FnOnce(HandedOver) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFault {
    /// Nothing came for too long.
    Silent,
    /// It broke off, or its framing is broken.
    Broken,
}

impl From<BrokenBody> for BodyFault {
    fn from(_: BrokenBody) -> Self {
        Self::Broken
    }
}

/// A caller's connection. It is used by its own task only.
pub(crate) struct Connection {
    line: Mutex<Line>,
    heir: Mutex<Option<Heir>>,
    /// The gateway stops: what is under way is finished, and nothing new begun.
    pub(crate) gently: CancellationToken,
}

impl fmt::Debug for Connection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Connection {
    pub(super) fn new(wire: Wire, gently: CancellationToken) -> Self {
        Self {
            line: Mutex::new(Line::new(Stalled::after(LONGEST_STALL, wire))),
            heir: Mutex::default(),
            gently,
        }
    }

    pub(super) fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who goes on with it behind an answer of status 101.
    pub(crate) fn becomes<F: Future<Output = ()> + Send + 'static>(
        &self,
        heir: impl FnOnce(HandedOver) -> F + Send + 'static,
    ) {
        let heir: Heir = Box::new(|over| Box::pin(heir(over)));
        *self.heir.lock().unwrap_or_else(PoisonError::into_inner) = Some(heir);
    }

    pub(super) fn heir(&self) -> Option<Heir> {
        self.heir.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The length of the body, if its head names it.
    pub(crate) fn announced(&self) -> Option<u64> {
        self.line().announced()
    }

    /// The whole body, of which the length is named; given up when nothing comes for so long. What has come is shown now
    /// and then while more comes.
    pub(crate) async fn whole_body(
        &self,
        length: usize,
        silence: Duration,
        mut see: impl FnMut(&[u8]),
    ) -> Result<Bytes, BodyFault> {
        let mut seen = 0;
        loop {
            let whole = self.within(silence, |line, cx| line.poll_whole(cx, length)).await?;
            if let Some(whole) = whole {
                return Ok(whole);
            }
            let line = self.line();
            if line.unread().len() >= seen + WORTH_A_LOOK {
                seen = line.unread().len();
                see(line.unread());
            }
        }
    }

    /// The next bytes of the body, `None` at its end; given up when nothing comes for so long.
    pub(crate) async fn next_of_body(&self, silence: Duration) -> Result<Option<Bytes>, BodyFault> {
        self.within(silence, Line::poll_body).await
    }

    /// True while the caller waits to be told that its body is wanted.
    pub(crate) fn asks_first(&self) -> bool {
        self.line().asks_first()
    }

    /// How long the body was waited for since its head was read.
    pub(crate) fn waited(&self) -> Duration {
        self.line().waited
    }

    async fn within<T>(
        &self,
        silence: Duration,
        mut poll: impl FnMut(&mut Line, &mut Context<'_>) -> Poll<Result<T, BrokenBody>>,
    ) -> Result<T, BodyFault> {
        let mut wait = Wait::of(silence);
        poll_fn(|cx| {
            let line = &mut *self.line();
            match poll(line, cx) {
                Poll::Ready(done) => {
                    line.waited += wait.lasted();
                    Poll::Ready(done.map_err(BodyFault::from))
                }
                Poll::Pending => wait.poll(&mut line.alarm, cx).map(|()| Err(BodyFault::Silent)),
            }
        })
        .await
    }
}
