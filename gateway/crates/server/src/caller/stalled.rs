//! A connection that is given up when its other end takes nothing.
//!
//! Without this a caller that stops reading, and neither hangs up nor dies, would keep its call, the provider's
//! connection and a place among the calls under way for as long as it likes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::wire::Wire;

impl Stalled<Wire> {
    /// Take the stream out.
    pub(super) fn handed_over(&mut self) -> Self {
        Self::after(self.longest, std::mem::replace(&mut self.stream, Wire::Gone))
    }
}

/// A stream whose writes fail once nothing was taken for so long.
#[derive(Debug)]
pub(crate) struct Stalled<S> {
    stream: S,
    longest: Duration,
    /// Runs while bytes wait to be taken; most connections never need one.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Stalled<S> {
    pub(crate) const fn after(longest: Duration, stream: S) -> Self {
        Self {
            stream,
            longest,
            waiting: None,
        }
    }

    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    /// What a write came to, if not to waiting for too long.
    fn judged<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let longest = self.longest;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(longest)));
        waiting.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stalled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stalled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.judged(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.judged(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.judged(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    const LONGEST: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn an_end_that_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(16);
        let mut stream = Stalled::after(LONGEST, ours);
        let began = std::time::Instant::now();
        let failed = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert!(began.elapsed() >= LONGEST);
    }

    #[tokio::test]
    async fn one_that_takes_a_little_now_and_then_is_not() {
        let (ours, mut theirs) = duplex(16);
        let reader = async {
            for _ in 0..4 {
                tokio::time::sleep(LONGEST / 2).await;
                theirs.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let mut stream = Stalled::after(LONGEST, ours);
        let (written, ()) = tokio::join!(stream.write_all(&[0; 64]), reader);
        written.unwrap();
    }
}
