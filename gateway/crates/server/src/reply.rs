//! The gateway's own words to a caller: errors in the dialect of the front door, and small JSON documents.

use std::time::Duration;

use airside_protocols::{ErrorReply, Family, error_body};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};

use crate::call::{AnswerStream, Told};

/// Tells the vendors' own clients that asking again is in vain.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// A refusal: what is said, and how.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
    /// Said beside it.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// Marks a response as the gateway's own words, by their code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RefusalCode(pub(crate) &'static str);

impl Refusal {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// The response that says it.
    pub(crate) fn into_response(self, family: Family, call_id: &str) -> Response<AnswerStream> {
        let reply = ErrorReply {
            status: self.status,
            code: self.code,
            message: &self.message,
            request_id: call_id,
        };
        let mut response = json(self.status, error_body(family, reply));
        response.extensions_mut().insert(RefusalCode(self.code));
        let headers = response.headers_mut();
        headers.extend(self.headers);
        if let Some(wait) = self.retry_after {
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)),
            );
        } else if self.status < 500 && self.status != 429 {
            headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
        }
        response.map(|body| body.telling(Told::id(call_id)))
    }
}

/// A JSON document.
pub(crate) fn json(status: u16, body: Vec<u8>) -> Response<AnswerStream> {
    text(status, "application/json", body)
}

/// A document of this type.
pub(crate) fn text(status: u16, content_type: &'static str, body: Vec<u8>) -> Response<AnswerStream> {
    let mut response = Response::new(AnswerStream::whole(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
