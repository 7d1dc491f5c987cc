//! A request body of a few pieces that share the caller's memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Up to three pieces, sent in order. Cloning it copies no bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutBody {
    pieces: [Bytes; 3],
    next: usize,
}

impl OutBody {
    pub(crate) const fn new(pieces: [Bytes; 3]) -> Self {
        Self { pieces, next: 0 }
    }

    pub(crate) fn whole(body: Bytes) -> Self {
        Self::new([body, Bytes::new(), Bytes::new()])
    }

    /// How long it is.
    pub(crate) fn bytes(&self) -> usize {
        self.pieces.iter().map(Bytes::len).sum()
    }

    /// The pieces, in order.
    pub(crate) fn into_pieces(self) -> [Bytes; 3] {
        self.pieces
    }

    fn rest(&self) -> &[Bytes] {
        self.pieces.get(self.next..).unwrap_or_default()
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        while let Some(piece) = self.rest().first().cloned() {
            self.next += 1;
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.rest().iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest().iter().map(|piece| piece.len() as u64).sum())
    }
}
