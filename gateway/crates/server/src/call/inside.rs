//! A failure that a provider says inside a success, before any content: it means what it would have meant as a status.

use std::time::Duration;

use airside_journal::AttemptOutcome;
use airside_protocols::StreamReader;
use airside_providers::{Failure, Kind, StatusMeaning, is_too_long, meaning_of_status};
use airside_translation::failure_as_error;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::ask::{Answered, Attempted, is_theirs_to_say};
use super::hold::{Failed, Start};
use super::lane::Lane;
use super::setback::{LastWord, Setback};
use super::settle::Call;

/// What the provider sent with its success.
pub(super) struct Inside {
    pub(super) said: Bytes,
    /// It is events, not a document.
    pub(super) is_stream: bool,
    /// As they are for the caller.
    pub(super) headers: HeaderMap,
}

impl Inside {
    /// A verdict on the request is the answer; everything else is an attempt that failed.
    pub(super) fn judge(self, call: &mut Call, lane: &Lane, idle: Duration) -> Attempted {
        let event = self
            .is_stream
            .then(|| StreamReader::failing_event(call.family, &self.said).unwrap_or_default());
        let telling = event.as_deref().unwrap_or(&self.said);
        let (status, error) = failure_as_error(call.family, telling, &call.record.call_id);
        let is_too_long = is_too_long(call.family, status, &error);
        let meaning = meaning_of_status(status, None);
        let word = self.told(call, lane, status, error);
        match meaning {
            StatusMeaning::Failed(failure) => {
                let failure = as_failed_inside(failure);
                let word = Some(word).filter(|_| is_theirs_to_say(failure.kind));
                Err(Setback::new(Failed { failure, said: None }, word))
            }
            StatusMeaning::Verdict | StatusMeaning::Answer if is_too_long && call.thread.has_wider => {
                Err(Setback::too_long(word))
            }
            StatusMeaning::Verdict | StatusMeaning::Answer => {
                call.end_attempt(AttemptOutcome::Refused, None, None);
                let head = (word.status, word.headers);
                Ok(Answered::committed(call, head, Start::Whole(word.body), idle))
            }
        }
    }

    /// As the caller hears it: in its own dialect's words if it is not the provider's, else as it came. A document says
    /// by its status what it is, too.
    fn told(self, call: &Call, lane: &Lane, status: u16, error: Vec<u8>) -> LastWord {
        let Self {
            said,
            is_stream,
            mut headers,
        } = self;
        if lane.is_translated() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let (status, body) = lane.error(status, error.into(), &call.record.call_id);
            return LastWord { status, headers, body };
        }
        let status = if is_stream { 200 } else { status };
        LastWord {
            status,
            headers,
            body: said,
        }
    }
}

/// What is wrong with the provider itself has its own name where it came inside a success.
fn as_failed_inside(failure: Failure) -> Failure {
    match failure.kind {
        Kind::ServerError | Kind::Timeout => Failure::at_provider(Kind::FailedInStream),
        _ => failure,
    }
}
