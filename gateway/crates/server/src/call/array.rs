//! Gemini's other way to stream: one JSON array, for callers who did not ask for `alt=sse`.
//!
//! Providers are always asked for events, so that there is one way to hold, count and relay them; here they take the
//! shape the caller knows.

use airside_protocols::{Address, ArrayFraming, FrontDoor};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;

use super::stream::AnswerStream;

/// True if a stream at this address is to be an array.
pub(crate) fn wants_array(address: &Address, query: Option<&str>) -> bool {
    let wants_events = || {
        let mut pairs = query.unwrap_or_default().split('&');
        pairs.any(|pair| pair == "alt=sse" || pair == "$alt=sse")
    };
    address.door == FrontDoor::GenerateContent && address.streams && !wants_events()
}

/// A relayed stream of events as an array. An array that could not be finished is left open, so that nobody takes it
/// for whole.
pub(crate) fn as_array(answer: AnswerStream) -> AnswerStream {
    let AnswerStream::Chunks(chunks) = answer else {
        return answer;
    };
    let start = Some((chunks, ArrayFraming::default()));
    AnswerStream::chunks(unfold(start, |state| async move {
        let (mut chunks, mut framing) = state?;
        loop {
            match chunks.next().await {
                Some(Ok(block)) => {
                    let elements = framing.elements(&block);
                    if !elements.is_empty() {
                        return Some((Ok(Bytes::from(elements)), Some((chunks, framing))));
                    }
                }
                Some(Err(aborted)) => return Some((Err(aborted), None)),
                None => return Some((Ok(Bytes::from_static(framing.end())), None)),
            }
        }
    }))
}
