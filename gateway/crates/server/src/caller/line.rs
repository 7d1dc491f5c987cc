//! What is read from a caller, and what of it is read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncWrite as _, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::outbox::Outbox;
use super::request_head::{BadHead, HeadReader, RequestHead};
use super::stalled::Stalled;
use super::wire::{HandedOver, Wire};
use crate::alarm::Alarm;
use crate::http1::{Framing, reserve};

/// Read at once, at least; more where the request before was larger.
const LEAST_STEP: usize = 8 << 10;
const MOST_STEP: usize = 2 << 20;
/// Room set aside for a body before the first byte is there to fill it.
const MOST_AHEAD: usize = 1 << 20;
const CONTINUE: Bytes = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");

/// The body of a request cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenBody;

/// A connection's wire, and where its reader is.
#[derive(Debug)]
pub(super) struct Line {
    wire: Stalled<Wire>,
    /// Read, and not taken yet.
    unread: BytesMut,
    heads: HeadReader,
    /// Of the body of the request under way.
    framing: Framing,
    /// What the caller waits for before it sends the body, and was not told yet.
    go_ahead: Bytes,
    /// How much is read at once, and how much the request under way was so far.
    step: usize,
    came: usize,
    /// For what is waited for from the caller.
    pub(super) alarm: Alarm,
    /// How long the body of the request under way was waited for.
    pub(super) waited: Duration,
}

impl Line {
    pub(super) fn new(wire: Stalled<Wire>) -> Self {
        Self {
            wire,
            unread: BytesMut::new(),
            heads: HeadReader::default(),
            framing: Framing::OVER,
            go_ahead: Bytes::new(),
            step: LEAST_STEP,
            came: 0,
            alarm: Alarm::default(),
            waited: Duration::ZERO,
        }
    }

    /// The head of the next request; `None` when the caller has hung up.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RequestHead, BadHead>>> {
        loop {
            match self.heads.take(&mut self.unread) {
                Ok(None) => {}
                Ok(Some(mut head)) => {
                    self.framing = std::mem::replace(&mut head.framing, Framing::OVER);
                    self.waited = Duration::ZERO;
                    self.go_ahead = if head.asks_first { CONTINUE } else { Bytes::new() };
                    return Poll::Ready(Some(Ok(head)));
                }
                Err(bad) => return Poll::Ready(Some(Err(bad))),
            }
            if !ready!(self.poll_fill(cx, self.step)).is_ok_and(|count| count > 0) {
                return Poll::Ready(None);
            }
        }
    }

    /// True while nothing of another request has come.
    pub(super) fn is_idle(&self) -> bool {
        self.unread.is_empty() && self.heads.is_at_start()
    }

    /// What was read and not taken yet.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The length of the body, if its head names it.
    pub(super) const fn announced(&self) -> Option<u64> {
        match &self.framing {
            Framing::Length(length) => Some(*length),
            _ => None,
        }
    }

    /// True while the caller waits to be told that its body is wanted.
    pub(super) fn asks_first(&self) -> bool {
        self.go_ahead.len() == CONTINUE.len()
    }

    /// True when nothing of the request is still to come.
    pub(super) fn is_read(&mut self) -> bool {
        if !self.framing.is_over() && !self.unread.is_empty() {
            // What is here already need not be waited for.
            let _ = self.framing.take(&mut self.unread);
        }
        self.framing.is_over()
    }

    /// A body of a named length, whole: in one piece, and in the memory it was read into.
    pub(super) fn poll_whole(
        &mut self,
        cx: &mut Context<'_>,
        length: usize,
    ) -> Poll<Result<Option<Bytes>, BrokenBody>> {
        if self.unread.len() < length {
            ready!(self.poll_go_ahead(cx))?;
            let wanted = (length - self.unread.len()).min(MOST_AHEAD);
            ready!(self.poll_more(cx, wanted))?;
            if self.unread.len() < length {
                return Poll::Ready(Ok(None));
            }
        }
        Poll::Ready(self.framing.take(&mut self.unread).map(Some).map_err(|_| BrokenBody))
    }

    /// The next bytes of the body; `None` at its end.
    pub(super) fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BrokenBody>> {
        loop {
            if self.framing.is_over() {
                return Poll::Ready(Ok(None));
            }
            if !self.unread.is_empty() {
                let taken = self.framing.take(&mut self.unread).map_err(|_| BrokenBody)?;
                if !taken.is_empty() {
                    return Poll::Ready(Ok(Some(taken)));
                }
                continue;
            }
            ready!(self.poll_go_ahead(cx))?;
            let wanted = self.framing.wanted(self.step, MOST_AHEAD);
            ready!(self.poll_more(cx, wanted))?;
        }
    }

    /// Ready once the caller is gone, as far as can be seen without taking more than it has sent.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // The body's reader sees it; behind a request that waits nothing can be seen.
        if !self.framing.is_over() {
            return Poll::Pending;
        }
        while self.unread.is_empty() {
            if !ready!(self.poll_fill(cx, LEAST_STEP)).is_ok_and(|count| count > 0) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Write what is to be sent.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, outbox: &mut Outbox) -> Poll<io::Result<()>> {
        // What was said in part is said to its end; what was not said at all needs no saying any more.
        if !self.asks_first() {
            ready!(self.poll_go_ahead(cx)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        }
        outbox.poll_send(&mut self.wire, cx)
    }

    /// The request is answered: the next read is of the next one.
    pub(super) fn turn(&mut self) {
        let came = std::mem::take(&mut self.came).saturating_sub(self.unread.len());
        self.step = came.next_power_of_two().clamp(LEAST_STEP, MOST_STEP);
        self.forget_room();
    }

    /// Say that nothing more is sent.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }

    /// Read and forget. Ready with how much it was.
    pub(super) fn poll_forget(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut into = ReadBuf::new(room);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.wire), cx, &mut into))?;
        Poll::Ready(Ok(into.filled().len()))
    }

    /// Hand the connection over to another protocol.
    pub(super) fn hand_over(&mut self) -> HandedOver {
        HandedOver {
            wire: self.wire.handed_over(),
            unread: self.unread.split().freeze(),
        }
    }

    fn poll_go_ahead(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BrokenBody>> {
        while !self.go_ahead.is_empty() {
            match ready!(Pin::new(&mut self.wire).poll_write(cx, &self.go_ahead)) {
                Ok(count) if count > 0 => self.go_ahead.advance(count),
                _ => return Poll::Ready(Err(BrokenBody)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_more(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<Result<(), BrokenBody>> {
        let count = ready!(self.poll_fill(cx, wanted));
        Poll::Ready(if count.is_ok_and(|count| count > 0) {
            Ok(())
        } else {
            Err(BrokenBody)
        })
    }

    /// Read more. A connection on which nothing comes holds no memory to read into.
    fn poll_fill(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if self.wire.stream().poll_read_ready(cx)?.is_pending() {
            self.forget_room();
            return Poll::Pending;
        }
        reserve(&mut self.unread, wanted);
        let filled = poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.unread);
        match &filled {
            Poll::Ready(Ok(count)) => self.came += count,
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.forget_room(),
        }
        filled
    }

    fn forget_room(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }
}
