//! Counting tokens at Bedrock: the request that would be sent, wrapped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use serde_json::json;

use super::{converse_request, invoke};
use crate::values::at;
use crate::vendor::{Decoder, Pieces, Request, Undecodable, Unserved, in_one};

/// What inference profiles put before a model's id; counting knows only the model.
const GEOGRAPHIES: [&str; 8] = ["us.", "eu.", "apac.", "global.", "jp.", "au.", "ca.", "us-gov."];
const MOST_ANSWER: usize = 64 << 10;

/// The model of an inference profile.
pub(super) fn foundation_model(id: &str) -> &str {
    GEOGRAPHIES
        .iter()
        .find_map(|geography| id.strip_prefix(geography))
        .unwrap_or(id)
}

pub(super) fn invoke_body(request: Request<'_>, caller: &HeaderMap) -> Result<Pieces, Unserved> {
    let mut members = invoke::members(request, caller)?;
    if !members.has("max_tokens") {
        // A count needs none, the request that is counted does.
        members.put_first("max_tokens", &b"1"[..]);
    }
    let body = STANDARD.encode(members.written());
    Ok(whole(&json!({"input": {"invokeModel": {"body": body}}})))
}

pub(super) fn converse_body(request: Request<'_>, follows_schemas: bool) -> Result<Pieces, Unserved> {
    let mut converse = converse_request::value(request, follows_schemas)?;
    if let Some(fields) = converse.as_object_mut() {
        // Only what is counted may be there.
        fields.retain(|name, _| matches!(name.as_str(), "messages" | "system" | "toolConfig"));
    }
    Ok(whole(&json!({"input": {"converse": converse}})))
}

fn whole(value: &serde_json::Value) -> Pieces {
    in_one(value.to_string())
}

/// `{"inputTokens": 3}` as `{"input_tokens": 3}`.
#[derive(Debug, Default)]
pub(super) struct CountDecoder {
    body: Vec<u8>,
}

impl Decoder for CountDecoder {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.body.extend_from_slice(bytes);
        if self.body.len() > MOST_ANSWER {
            return Err(Undecodable);
        }
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        let said: serde_json::Value = serde_json::from_slice(&self.body).map_err(|_| Undecodable)?;
        let tokens = at(&said, "/inputTokens").as_u64().ok_or(Undecodable)?;
        Ok(json!({"input_tokens": tokens}).to_string().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn the_request_is_counted_as_it_would_be_sent() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
        let request = Request {
            body: &body,
            model_range: &(0..0),
        };
        let wrapped = invoke_body(request, &HeaderMap::new()).unwrap().concat();
        let wrapped: serde_json::Value = serde_json::from_slice(&wrapped).unwrap();
        let inner = STANDARD
            .decode(wrapped["input"]["invokeModel"]["body"].as_str().unwrap())
            .unwrap();
        assert_eq!(
            String::from_utf8(inner).unwrap(),
            r#"{"max_tokens":1,"anthropic_version":"bedrock-2023-05-31","messages":[]}"#
        );
        let mut decoder = CountDecoder::default();
        assert_eq!(decoder.push(b"{\"inputTokens\":7}"), Ok(Vec::new()));
        assert_eq!(decoder.end().unwrap(), b"{\"input_tokens\":7}");
    }
}
