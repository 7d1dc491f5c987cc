//! An answer in a format of its vendor's own, decoded as it comes.

use std::task::{Context, Poll, ready};

use airside_providers::Decoder;
use bytes::Bytes;

use super::exchange::{AnswerBody, BodyFault};
use crate::alarm::Alarm;

/// A body and what makes it one of the family's.
#[derive(Debug)]
pub(crate) struct DecodedBody {
    raw: AnswerBody,
    /// Gone when it has said its last.
    decoder: Option<Box<dyn Decoder>>,
}

impl DecodedBody {
    pub(super) fn new(raw: AnswerBody, decoder: Box<dyn Decoder>) -> Self {
        Self {
            raw,
            decoder: Some(decoder),
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.decoder.is_none()
    }

    pub(super) fn alarm(&mut self) -> Option<&mut Alarm> {
        self.raw.alarm()
    }

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        while let Some(decoder) = &mut self.decoder {
            let chunk = match ready!(self.raw.poll_chunk(cx)) {
                Some(Err(fault)) => return Poll::Ready(Some(Err(fault))),
                chunk => chunk.and_then(Result::ok),
            };
            let is_over = chunk.is_none() || self.raw.is_over();
            let said = chunk.map_or_else(|| Ok(Vec::new()), |chunk| decoder.push(&chunk));
            let Ok(mut said) = said else {
                return Poll::Ready(Some(Err(BodyFault)));
            };
            if is_over {
                let Ok(last) = decoder.end() else {
                    return Poll::Ready(Some(Err(BodyFault)));
                };
                said.extend_from_slice(&last);
                self.decoder = None;
            }
            if !said.is_empty() {
                return Poll::Ready(Some(Ok(said.into())));
            }
        }
        Poll::Ready(None)
    }
}
