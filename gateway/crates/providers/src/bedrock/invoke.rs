//! Claude's request as `InvokeModel` takes it: the model in the path, version and beta flags in the body.

use http::HeaderMap;

use crate::betas;
use crate::members::{Members, without_billing, without_cache_scope};
use crate::vendor::{Pieces, Request, Unserved, in_one};

const VERSION: &[u8] = b"\"bedrock-2023-05-31\"";
/// What Bedrock says in the path, or does not know and refuses. None of it changes the answer.
const NOT_IN_BODY: [&str; 5] = ["model", "stream", "anthropic_beta", "service_tier", "inference_geo"];

pub(super) fn body(request: Request<'_>, caller: &HeaderMap) -> Result<Pieces, Unserved> {
    members(request, caller).map(|members| in_one(members.written()))
}

/// The members of the request, changed.
pub(super) fn members<'a>(request: Request<'a>, caller: &HeaderMap) -> Result<Members<'a>, Unserved> {
    let broken = || Unserved("The request is no JSON object.".to_owned());
    let mut members = Members::of(request.body).ok_or_else(broken)?;
    members.remove(&NOT_IN_BODY);
    let flags = betas::flags(caller, betas::BEDROCK);
    if !flags.is_empty() {
        members.put_first("anthropic_beta", serde_json::to_vec(&flags).unwrap_or_default());
    }
    members.put_first("anthropic_version", VERSION);
    members.change("system", without_billing);
    if members.mentions(b"\"scope\"") {
        for name in ["system", "messages", "tools", "cache_control"] {
            members.change(name, without_cache_scope);
        }
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn flags_move_into_the_body_and_the_model_out_of_it() {
        let body = Bytes::from_static(
            br#"{"model":"m","max_tokens":5,"system":[{"type":"text","text":"x-anthropic-billing-header: a"},
{"type":"text","text":"s","cache_control":{"scope":"global","type":"ephemeral"}}],"stream":true,"thinking":{"a":1.0}}"#,
        );
        let mut headers = HeaderMap::new();
        headers.insert(
            "anthropic-beta",
            "context-1m-2025-08-07,files-api-2025-04-14".parse().unwrap(),
        );
        let request = Request {
            body: &body,
            model_range: &(9..12),
        };
        let adapted = String::from_utf8(super::body(request, &headers).unwrap().concat()).unwrap();
        assert_eq!(
            adapted,
            r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["context-1m-2025-08-07"],"max_tokens":5,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"thinking":{"a":1.0}}"#
        );
    }
}
