//! Claude's request as `InvokeModel` takes it: the model in the path, version and beta flags in the body.

use http::HeaderMap;

use crate::betas;
use crate::claude;
use crate::members::Members;
use crate::vendor::{Lost, Pieces, Request, Unserved, in_one};

const VERSION: &[u8] = b"\"bedrock-2023-05-31\"";
/// What Bedrock says in the path, and what the caller says in a header.
const NOT_IN_BODY: [&str; 3] = ["model", "stream", "anthropic_beta"];

pub(super) fn body(request: Request<'_>, caller: &HeaderMap) -> Result<Pieces, Unserved> {
    members(request, caller).map(|members| in_one(members.written()))
}

/// What `body` leaves out of the request, each once, in order of name.
pub(super) fn losses(request: Request<'_>, caller: &HeaderMap) -> Vec<Lost> {
    let members = Members::of(request.body);
    let lost = members.map(|mut members| claude::BEDROCK.take_out_of(&mut members, caller));
    lost.unwrap_or_default().into_iter().collect()
}

/// The members of the request, changed.
pub(super) fn members<'a>(request: Request<'a>, caller: &HeaderMap) -> Result<Members<'a>, Unserved> {
    let broken = || Unserved("The request is no JSON object.".to_owned());
    let mut members = Members::of(request.body).ok_or_else(broken)?;
    let place = members.value("inference_geo");
    let place: Option<String> = place.and_then(|raw| serde_json::from_slice(raw).ok());
    super::refuse_residence(place.as_deref())?;
    claude::BEDROCK.refuse_forced(&members)?;
    members.remove(&NOT_IN_BODY);
    claude::BEDROCK.take_out_of(&mut members, caller);
    let flags = betas::flags(caller, betas::BEDROCK);
    if !flags.is_empty() {
        members.put_first("anthropic_beta", serde_json::to_vec(&flags).unwrap_or_default());
    }
    members.put_first("anthropic_version", VERSION);
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_demand_on_where_data_lives_is_refused_and_never_dropped() {
        let answered = |place: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","inference_geo":{place}}}"#));
            let request = Request {
                body: &body,
                model_range: &(0..0),
            };
            super::body(request, &HeaderMap::new()).map(|body| String::from_utf8(body.concat()).unwrap())
        };
        for harmless in ["null", "\"global\"", "\"not_available\""] {
            assert_eq!(
                answered(harmless).unwrap(),
                r#"{"anthropic_version":"bedrock-2023-05-31"}"#
            );
        }
        let Unserved(why) = answered("\"eu\"").unwrap_err();
        assert!(why.contains("inference_geo") && why.contains("region"), "{why}");
    }

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
