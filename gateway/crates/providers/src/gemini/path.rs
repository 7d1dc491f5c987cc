//! Gemini's paths: the model and the method stand in them.

use std::borrow::Cow;

use airside_protocols::{FrontDoor, percent_decoded};

use crate::encode::encoded;
use crate::endpoint::{Asked, Endpoint};

/// The version of the API that has everything.
const VERSION: &str = "/v1beta";
/// Base URLs that name a version already.
const VERSIONS: [&str; 3] = ["/v1beta", "/v1", "/v1alpha"];

/// What of the caller's query stays here: its key, and what would change the shape of the answer.
const WITHHELD: [&str; 10] = [
    "key",
    "access_token",
    "oauth_token",
    "alt",
    "$alt",
    "fields",
    "$fields",
    "callback",
    "$callback",
    "prettyPrint",
];

/// The path and query of a call.
pub(crate) fn path(endpoint: &Endpoint, asked: &Asked<'_>) -> String {
    let has_version = VERSIONS.iter().any(|version| endpoint.prefix.ends_with(version));
    let version = if has_version { "" } else { VERSION };
    let path = format!("{version}/{}:{}", resource(asked.model), method(asked));
    endpoint.path_to(&path, query(asked).as_deref())
}

/// The query of a call: a stream is always asked for as events.
pub(crate) fn query(asked: &Asked<'_>) -> Option<String> {
    let framing = asked.streams.then_some("alt=sse");
    let passed = asked.query.unwrap_or_default().split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !name.is_empty() && !WITHHELD.contains(&percent_decoded(name).as_str())
    });
    let pairs: Vec<&str> = framing.into_iter().chain(passed).collect();
    (!pairs.is_empty()).then(|| pairs.join("&"))
}

/// What is done with the model.
pub(crate) const fn method(asked: &Asked<'_>) -> &'static str {
    match asked.door {
        FrontDoor::CountContent => "countTokens",
        _ if asked.streams => "streamGenerateContent",
        _ => "generateContent",
    }
}

/// `models/x`, unless the name says another collection, as `tunedModels/x` does.
pub(crate) fn name(model: &str) -> Cow<'_, str> {
    if is_whole(model) {
        Cow::Borrowed(model)
    } else {
        Cow::Owned(format!("models/{model}"))
    }
}

/// The name without its collection.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

fn is_whole(model: &str) -> bool {
    model.starts_with("models/") || model.starts_with("tunedModels/")
}

/// The name as it stands in a path.
fn resource(model: &str) -> String {
    let escaped = |text: &str, slash: bool| {
        encoded(text, |byte| {
            byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) || slash && byte == b'/'
        })
    };
    if is_whole(model) {
        escaped(model, true)
    } else {
        format!("models/{}", escaped(model, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(base_url: &str, model: &str, streams: bool, query: Option<&str>) -> String {
        let asked = Asked {
            door: FrontDoor::GenerateContent,
            model,
            streams,
            query,
            follows_schemas: false,
        };
        path(&Endpoint::parse(base_url).unwrap(), &asked)
    }

    #[test]
    fn the_model_and_the_method_stand_in_the_path() {
        let base = "https://generativelanguage.test";
        assert_eq!(
            at(base, "gemini-x", false, None),
            "/v1beta/models/gemini-x:generateContent"
        );
        assert_eq!(
            at(base, "gemini-x", true, None),
            "/v1beta/models/gemini-x:streamGenerateContent?alt=sse"
        );
        assert_eq!(
            at(base, "tunedModels/a b", false, None),
            "/v1beta/tunedModels/a%20b:generateContent"
        );
        assert_eq!(
            at(base, "a/b:c?d", false, None),
            "/v1beta/models/a%2Fb%3Ac%3Fd:generateContent"
        );
        assert_eq!(
            at("https://x.test/team/v1/", "m", false, None),
            "/team/v1/models/m:generateContent"
        );
    }

    #[test]
    fn the_callers_key_and_its_framing_stay_here() {
        let query = Some("alt=json&key=air_1&%6bey=2&x=1&$fields=candidates&&y");
        assert_eq!(
            at("https://x.test", "m", true, query),
            "/v1beta/models/m:streamGenerateContent?alt=sse&x=1&y"
        );
    }
}
