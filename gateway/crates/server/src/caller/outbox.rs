//! Bytes that wait to be sent: what is short is copied together, what is long is sent from where it lies.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::AsyncWrite;

use crate::http1::reserve;

/// Bytes up to here are copied: one piece is sent quicker than two.
const MOST_COPIED: usize = 8 << 10;
/// Pieces sent by one system call.
const MOST_SLICES: usize = 16;

/// What is to be sent, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sealed: VecDeque<Bytes>,
    /// Behind those.
    open: BytesMut,
    bytes: usize,
}

impl Outbox {
    /// How much waits.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Append a copy.
    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        self.open.extend_from_slice(bytes);
    }

    /// Append these.
    pub(super) fn push(&mut self, bytes: Bytes) {
        if bytes.len() <= MOST_COPIED {
            return self.copy(&bytes);
        }
        self.bytes += bytes.len();
        self.seal();
        self.sealed.push_back(bytes);
    }

    /// Set room aside for a head of so many bytes and, if it is short enough to be copied, the body behind it.
    pub(super) fn reserve_with(&mut self, head_bytes: usize, body_bytes: Option<u64>) {
        let body = body_bytes.and_then(|bytes| usize::try_from(bytes).ok());
        let body = body.filter(|bytes| *bytes <= MOST_COPIED).unwrap_or(0);
        reserve(&mut self.open, head_bytes + body);
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            self.sealed.push_back(self.open.split().freeze());
        }
    }

    /// Send all of it.
    pub(super) fn poll_send(
        &mut self,
        mut stream: impl AsyncWrite + Unpin,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while self.bytes > 0 {
            let sent = if self.sealed.is_empty() {
                Pin::new(&mut stream).poll_write(cx, &self.open)
            } else {
                self.seal();
                let mut slices = [IoSlice::new(&[]); MOST_SLICES];
                let count = self.sealed.len().min(MOST_SLICES);
                for (slice, piece) in slices.iter_mut().zip(&self.sealed) {
                    *slice = IoSlice::new(piece);
                }
                Pin::new(&mut stream).poll_write_vectored(cx, slices.get(..count).unwrap_or_default())
            };
            match ready!(sent)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.sent(count),
            }
        }
        // What waits for more to send holds no memory for it.
        self.open = BytesMut::new();
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(piece) = self.sealed.front_mut() {
            let mine = count.min(piece.len());
            piece.advance(mine);
            count -= mine;
            if !piece.is_empty() {
                return;
            }
            self.sealed.pop_front();
        }
        self.open.advance(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt as _, duplex};

    proptest! {
        #[test]
        fn all_is_sent_in_order_however_little_is_taken_at_once(
            lengths in prop::collection::vec(prop::sample::select(vec![0, 1, 100, MOST_COPIED, MOST_COPIED + 1, 20_000]), 0..40),
            room in prop::sample::select(vec![1_usize << 10, 1 << 14, 1 << 20]), sends_at in 1_usize..10,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (sent, received) = runtime.block_on(async {
                let (mut ours, mut theirs) = duplex(room);
                let mut sent = Vec::new();
                let send = async {
                    let mut outbox = Outbox::default();
                    for (number, length) in lengths.iter().enumerate() {
                        let bytes = vec![u8::try_from(number % 26).unwrap(); *length];
                        sent.extend_from_slice(&bytes);
                        outbox.push(bytes.into());
                        if number % sends_at == 0 {
                            poll_fn(|cx| outbox.poll_send(&mut ours, cx)).await.unwrap();
                        }
                    }
                    poll_fn(|cx| outbox.poll_send(&mut ours, cx)).await.unwrap();
                    assert_eq!(outbox.bytes(), 0);
                    drop(ours);
                };
                let mut received = Vec::new();
                let ((), read) = tokio::join!(send, theirs.read_to_end(&mut received));
                read.unwrap();
                (sent, received)
            });
            prop_assert_eq!(sent, received);
        }
    }
}
