//! The body of every response: some bytes that are there already, or a relay.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

use super::settle::Call;

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

/// A response body.
pub(crate) enum AnswerStream {
    /// Bytes, and the call that ends when they are taken.
    Whole {
        bytes: Option<Bytes>,
        call: Option<Box<Call>>,
    },
    /// What a provider sends, as it sends it.
    Chunks(Chunks),
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AnswerStream").finish_non_exhaustive()
    }
}

impl AnswerStream {
    /// Bytes that belong to no call.
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self::Whole {
            bytes: Some(bytes),
            call: None,
        }
    }

    /// The whole answer of a call, which ends with it.
    pub(crate) fn of_call(bytes: Bytes, call: Box<Call>) -> Self {
        Self::Whole {
            bytes: Some(bytes),
            call: Some(call),
        }
    }

    /// A relay.
    pub(crate) fn chunks(chunks: impl Stream<Item = Result<Frame<Bytes>, Aborted>> + Send + 'static) -> Self {
        Self::Chunks(Box::pin(chunks))
    }
}

impl Body for AnswerStream {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            Self::Whole { bytes, call } => {
                if let Some(mut call) = call.take() {
                    call.settle_answered();
                }
                Poll::Ready(
                    bytes
                        .take()
                        .filter(|bytes| !bytes.is_empty())
                        .map(|bytes| Ok(Frame::data(bytes))),
                )
            }
            Self::Chunks(chunks) => chunks.as_mut().poll_next(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { bytes, .. } => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Chunks(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { bytes, .. } => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Chunks(_) => SizeHint::default(),
        }
    }
}
