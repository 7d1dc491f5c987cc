//! The models a caller may use, in the shape of the vendor whose client asks.

use airside_protocols::{Family, percent_decoded};
use airside_snapshot::Moment;
use http::Response;
use http::request::Parts;
use serde_json::{Value, json};

use crate::authenticate::authenticate;
use crate::call::AnswerStream;
use crate::gateway::Gateway;
use crate::reply::{self, Refusal};

const PATHS: [&str; 2] = ["/v1/models", "/v1beta/models"];

/// What follows the list's own path, if the path is the list's or within it.
fn within(path: &str) -> Option<&str> {
    let rest = PATHS.iter().find_map(|list| path.strip_prefix(list))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// True if models are listed or described at this path.
pub(crate) fn is_list(path: &str) -> bool {
    within(path).is_some()
}

/// Answer `GET /v1/models` and `GET /v1/models/{id}`, also under Gemini's `/v1beta`. An `anthropic-version` header asks
/// for Anthropic's shape.
pub(crate) async fn answer(gateway: &Gateway, head: &Parts, family: Family, id: &str) -> Response<AnswerStream> {
    let caller = match authenticate(gateway, head, family, gateway.now_s()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(family, id),
    };
    let snapshot = &caller.active.compiled.snapshot;
    let names = snapshot
        .models
        .iter()
        .map(|model| model.name.as_str())
        .filter(|name| caller.principal.may_call(name));
    let shape = |name: &str| described(name, family, snapshot.compiled_at);
    match within(head.uri.path()).and_then(|rest| rest.strip_prefix('/')) {
        None => reply::json(
            200,
            list(&names.map(shape).collect::<Vec<_>>(), family)
                .to_string()
                .into_bytes(),
        ),
        Some(wanted) => {
            let wanted = percent_decoded(wanted);
            match names.into_iter().find(|name| *name == wanted) {
                Some(name) => reply::json(200, shape(name).to_string().into_bytes()),
                None => Refusal::new(
                    404,
                    "unknown_model",
                    format!("There is no model '{wanted}' for this key."),
                )
                .into_response(family, id),
            }
        }
    }
}

fn described(name: &str, family: Family, at: Moment) -> Value {
    match family {
        Family::Anthropic => {
            json!({"type": "model", "id": name, "display_name": name, "created_at": at.to_string()})
        }
        Family::OpenaiResponses | Family::OpenaiChat => {
            json!({"id": name, "object": "model", "created": at.seconds(), "owned_by": "airside"})
        }
        Family::Gemini => json!({
            "name": format!("models/{name}"), "displayName": name,
            "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        }),
    }
}

fn list(models: &[Value], family: Family) -> Value {
    match family {
        Family::Anthropic => {
            let end = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
            let (first_id, last_id) = (end(models.first()), end(models.last()));
            json!({"data": models, "has_more": false, "first_id": first_id, "last_id": last_id})
        }
        Family::OpenaiResponses | Family::OpenaiChat => json!({"object": "list", "data": models}),
        Family::Gemini => json!({"models": models}),
    }
}
