//! Gemini's other way to stream: one JSON array, for callers who did not ask for `alt=sse`.
//!
//! Providers are always asked for events, so that there is one way to hold, count and relay them; here they take the
//! shape the caller knows.

use airside_protocols::{Address, ArrayFraming, FrontDoor};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::unfold;
use http_body::Frame;

use super::stream::{AnswerStream, Chunks, Frames};

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
    let AnswerStream {
        told,
        frames: Frames::Chunks(chunks),
    } = answer
    else {
        return answer;
    };
    let start = State::Open(chunks, ArrayFraming::default());
    AnswerStream::chunks(unfold(start, |state| async move {
        let (mut chunks, mut framing) = match state {
            State::Open(chunks, framing) => (chunks, framing),
            State::Last(frame) => return Some((Ok(frame), State::Over)),
            State::Over => return None,
        };
        loop {
            let end = || Ok(Frame::data(Bytes::from_static(framing.end())));
            match chunks.next().await.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(block))) => {
                    let elements = framing.elements(&block);
                    if !elements.is_empty() {
                        let frame = Frame::data(Bytes::from(elements));
                        return Some((Ok(frame), State::Open(chunks, framing)));
                    }
                }
                Some(Ok(Err(trailers))) => return Some((end(), State::Last(trailers))),
                Some(Err(aborted)) => return Some((Err(aborted), State::Over)),
                None => return Some((end(), State::Over)),
            }
        }
    }))
    .telling(told)
}

/// Where an array stands.
enum State {
    Open(Chunks, ArrayFraming),
    /// It is closed; this follows it.
    Last(Frame<Bytes>),
    Over,
}
