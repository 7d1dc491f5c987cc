//! The body of every response: some bytes that are there already, or a relay.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

use super::told::Told;

/// The answer cannot be finished: the caller's connection is closed, so that it is not taken for whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the provider broke off in the middle of its answer")
    }
}

impl std::error::Error for Aborted {}

/// What a relay gives, frame by frame.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Frame<Bytes>, Aborted>> + Send>>;

/// A response body, and what its head says beside its headers.
#[derive(Debug)]
pub(crate) struct AnswerStream {
    pub(crate) told: Told,
    pub(crate) frames: Frames,
}

/// Where the bytes of a body come from.
pub(crate) enum Frames {
    /// Bytes that are there.
    Whole(Bytes),
    /// What a provider sends, as it sends it.
    Chunks(Chunks),
}

impl fmt::Debug for Frames {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Frames").finish_non_exhaustive()
    }
}

impl From<Frames> for AnswerStream {
    fn from(frames: Frames) -> Self {
        Self {
            told: Told::default(),
            frames,
        }
    }
}

impl AnswerStream {
    /// Bytes that are there.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Frames::Whole(bytes).into()
    }

    /// A relay.
    pub(crate) fn chunks(chunks: impl Stream<Item = Result<Frame<Bytes>, Aborted>> + Send + 'static) -> Self {
        Frames::Chunks(Box::pin(chunks)).into()
    }

    /// The same, with this in its head.
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told, ..self }
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match &mut self.get_mut().frames {
            Frames::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Frames::Chunks(chunks) => chunks.as_mut().poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.frames {
            Frames::Whole(bytes) => bytes.is_empty(),
            Frames::Chunks(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.frames {
            Frames::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Frames::Chunks(_) => SizeHint::default(),
        }
    }
}
