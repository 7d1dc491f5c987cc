//! The models a caller may use, in the shape of the vendor whose client asks.

use airside_protocols::Family;
use airside_snapshot::Moment;
use http::Response;
use http::request::Parts;
use serde_json::{Value, json};

use crate::authenticate::authenticate;
use crate::call::AnswerStream;
use crate::gateway::Gateway;
use crate::reply::{self, Refusal};

/// Answer `GET /v1/models` and `GET /v1/models/{id}`. An `anthropic-version` header asks for Anthropic's shape.
pub(crate) async fn answer(gateway: &Gateway, head: &Parts, family: Family, id: &str) -> Response<AnswerStream> {
    let caller = match authenticate(gateway, &head.headers, family).await {
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
    match head.uri.path().strip_prefix("/v1/models/") {
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

/// Undo `%2F` and the like; what is no escape stays.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|_| *byte == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(decoded) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(decoded);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*byte);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_slash_is_a_slash() {
        assert_eq!(percent_decoded("vendor%2Fmodel%zz"), "vendor/model%zz");
    }
}
