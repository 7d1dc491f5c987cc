//! Claude's requests as Google Cloud takes them: the model in the path, the version in the body.

use airside_protocols::{ErrorReply, Family, FrontDoor, error_body, top_level_text};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue};

use super::Name;
use crate::betas;
use crate::claude;
use crate::endpoint::Asked;
use crate::members::Members;
use crate::values::at;
use crate::vendor::{Decoder, Lost, Pieces, Request, Undecodable, Unserved, in_one};

const VERSION: &[u8] = b"\"vertex-2023-10-16\"";
/// The largest error that is read.
const MOST_ERROR: usize = 256 << 10;

/// `claude-x-20250929` as `claude-x@20250929`.
pub(super) fn versioned(model: &str) -> Name<'_> {
    let dated = model.rsplit_once('-').filter(|(_, date)| {
        date.len() == 8 && date.starts_with("20") && date.bytes().all(|byte| byte.is_ascii_digit())
    });
    dated.map_or(Name::Borrowed(model), |(name, date)| {
        Name::Owned(format!("{name}@{date}"))
    })
}

pub(super) fn body(asked: &Asked<'_>, request: Request<'_>) -> Result<Pieces, Unserved> {
    let broken = || Unserved("The request is no JSON object.".to_owned());
    let mut members = Members::of(request.body).ok_or_else(broken)?;
    if asked.door == FrontDoor::CountTokens {
        let model = serde_json::to_vec(&versioned(asked.model)).unwrap_or_default();
        members.put_first("model", model);
    } else {
        members.remove(&["model"]);
        members.put_first("anthropic_version", VERSION);
    }
    claude::VERTEX.refuse_forced(&members)?;
    claude::VERTEX.take_out_of(&mut members, &HeaderMap::new());
    Ok(in_one(members.written()))
}

/// What `body` and `headers` leave out of the request, each once, in order of name.
pub(super) fn losses(request: Request<'_>, caller: &HeaderMap) -> Vec<Lost> {
    let members = Members::of(request.body);
    let lost = members.map(|mut members| claude::VERTEX.take_out_of(&mut members, caller));
    lost.unwrap_or_default().into_iter().collect()
}

pub(super) fn headers(headers: &mut HeaderMap) {
    let flags = betas::flags(headers, betas::VERTEX).join(",");
    headers.remove(betas::HEADER);
    headers.remove("anthropic-version");
    if let Ok(value) = HeaderValue::from_str(&flags)
        && !value.is_empty()
    {
        headers.insert(betas::HEADER, value);
    }
}

/// Says a refusal of Google's own as Claude would.
#[derive(Debug)]
pub(super) struct ErrorDecoder {
    status: u16,
    body: Vec<u8>,
}

impl ErrorDecoder {
    pub(super) fn new(status: u16, headers: &mut HeaderMap) -> Self {
        headers.remove(CONTENT_LENGTH);
        Self {
            status,
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
        let body = std::mem::take(&mut self.body);
        if top_level_text(&body, "type").is_some_and(|kind| kind == "error") {
            return Ok(body);
        }
        let said: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        // A stream's refusal is an array of one.
        let error = said.get(0).unwrap_or(&said);
        let message = at(error, "/error/message")
            .as_str()
            .unwrap_or("Google Cloud refused the call.");
        let code = at(error, "/error/status").as_str().unwrap_or("vertex_error");
        let reply = ErrorReply {
            status: self.status,
            code,
            message,
            request_id: "",
        };
        Ok(error_body(Family::Anthropic, reply))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn adapted(door: FrontDoor, body: &'static [u8]) -> String {
        let body = Bytes::from_static(body);
        let request = Request {
            body: &body,
            model_range: &(0..0),
        };
        let asked = Asked::of(door, "claude-x-20250929");
        String::from_utf8(super::body(&asked, request).unwrap().concat()).unwrap()
    }

    #[test]
    fn the_version_takes_the_models_place() {
        let body =
            br#"{"model":"m","stream":true,"system":[{"cache_control":{"type":"ephemeral","scope":"global"}}],"x":1}"#;
        assert_eq!(
            adapted(FrontDoor::Messages, body),
            r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"system":[{"cache_control":{"type":"ephemeral"}}],"x":1}"#
        );
        assert_eq!(
            adapted(FrontDoor::CountTokens, br#"{"messages":[],"model":"m"}"#),
            r#"{"model":"claude-x@20250929","messages":[]}"#
        );
    }

    #[test]
    fn only_a_date_is_a_version() {
        assert_eq!(versioned("claude-opus-4-1"), "claude-opus-4-1");
        assert_eq!(versioned("claude-x-12345678"), "claude-x-12345678");
        assert_eq!(versioned("claude-x@20250929"), "claude-x@20250929");
    }

    #[test]
    fn googles_refusals_are_said_in_claudes_dialect() {
        let decoded = |body: &[u8]| {
            let mut decoder = ErrorDecoder::new(429, &mut HeaderMap::new());
            assert_eq!(decoder.push(body), Ok(Vec::new()));
            String::from_utf8(decoder.end().unwrap()).unwrap()
        };
        let google = decoded(br#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#);
        assert!(
            google.contains("rate_limit_error") && google.contains("Quota exceeded"),
            "{google}"
        );
        let own = r#"{"type":"error","error":{"type":"x","message":"y"}}"#;
        assert_eq!(decoded(own.as_bytes()), own);
    }
}
