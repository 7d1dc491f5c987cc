//! What goes wrong at Bedrock, said as Claude's own API would.

use airside_protocols::{ErrorReply, Family, error_body};
use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::values::at;
use crate::vendor::{Decoder, Undecodable};

/// The largest error that is read.
const MOST_ERROR: usize = 256 << 10;

/// The status that an exception would have had outside a stream.
fn status_of(exception: &str) -> u16 {
    let name = exception.to_ascii_lowercase();
    match name.trim_end_matches("exception") {
        "throttling" | "servicequotaexceeded" => 429,
        "validation" => 400,
        "accessdenied" => 403,
        "resourcenotfound" => 404,
        "modeltimeout" => 504,
        "serviceunavailable" | "modelnotready" => 529,
        _ => 500,
    }
}

/// An event that ends a stream.
pub(super) fn stream_error(exception: &str, message: &str) -> Vec<u8> {
    let reply = ErrorReply {
        status: status_of(exception),
        code: exception,
        message,
        request_id: "",
    };
    let body = error_body(Family::Anthropic, reply);
    [b"event: error\ndata: ", body.as_slice(), b"\n\n"].concat()
}

/// Says a refusal as Claude's API would.
#[derive(Debug)]
pub(super) struct ErrorDecoder {
    status: u16,
    kind: String,
    body: Vec<u8>,
}

impl ErrorDecoder {
    pub(super) fn new(status: u16, headers: &mut HeaderMap) -> Self {
        let kind = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(':').next()).unwrap_or("bedrock_error");
        let kind = kind.to_owned();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self {
            status,
            kind,
            body: Vec::new(),
        }
    }
}

impl Decoder for ErrorDecoder {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.body.extend_from_slice(bytes);
        if self.body.len() > MOST_ERROR {
            return Err(Undecodable);
        }
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        let said: serde_json::Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let message = at(&said, "/message").as_str().or(at(&said, "/Message").as_str());
        let reply = ErrorReply {
            status: self.status,
            code: &self.kind,
            message: message.unwrap_or("Bedrock refused the call."),
            request_id: "",
        };
        Ok(error_body(Family::Anthropic, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_said_in_claudes_dialect() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amzn-errortype", "ValidationException:http://x".parse().unwrap());
        let mut decoder = ErrorDecoder::new(400, &mut headers);
        assert_eq!(decoder.push(br#"{"message":"prompt is too long"}"#), Ok(Vec::new()));
        let said: serde_json::Value = serde_json::from_slice(&decoder.end().unwrap()).unwrap();
        assert_eq!(
            (&said["type"], &said["error"]["type"]),
            (&"error".into(), &"invalid_request_error".into())
        );
        assert_eq!(said["error"]["message"], "prompt is too long");
        assert_eq!(said["error"]["code"], "ValidationException");
    }
}
