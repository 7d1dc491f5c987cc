//! What the path of a request says: which front door it is for and, in Gemini's dialect, which model and how to answer.

use crate::family::FrontDoor;

/// Where Gemini's clients put the model: the version comes first, and clients differ in it.
const GEMINI_PREFIXES: [&str; 3] = ["/v1beta/", "/v1/", "/v1alpha/"];

/// A path that leads to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Which front door.
    pub door: FrontDoor,
    /// The model, where the path names it. Elsewhere the body does.
    pub model: Option<String>,
    /// The path asks for a stream. Elsewhere the body does.
    pub streams: bool,
}

impl Address {
    /// Read a path; `None` when it is no front door's.
    #[must_use]
    pub fn of(path: &str) -> Option<Self> {
        let door = match path {
            "/v1/messages" => FrontDoor::Messages,
            "/v1/messages/count_tokens" => FrontDoor::CountTokens,
            "/v1/responses" => FrontDoor::Responses,
            "/v1/responses/compact" => FrontDoor::Compact,
            "/v1/chat/completions" => FrontDoor::Chat,
            "/v1/embeddings" => FrontDoor::Embeddings,
            _ => return Self::of_gemini(path),
        };
        Some(Self {
            door,
            model: None,
            streams: false,
        })
    }

    fn of_gemini(path: &str) -> Option<Self> {
        let rest = GEMINI_PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
        let (model, method) = rest.strip_prefix("models/")?.rsplit_once(':')?;
        let (door, streams) = match method {
            "generateContent" => (FrontDoor::GenerateContent, false),
            "streamGenerateContent" => (FrontDoor::GenerateContent, true),
            "countTokens" => (FrontDoor::CountContent, false),
            _ => return None,
        };
        let model = percent_decoded(model);
        let model = model.strip_prefix("models/").unwrap_or(&model).to_owned();
        (!model.is_empty()).then_some(Self {
            door,
            model: Some(model),
            streams,
        })
    }
}

/// Undo `%2F` and the like; what is no escape stays.
#[must_use]
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let escaped = tail
            .get(..2)
            .filter(|digits| *byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit))
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

    fn gemini(path: &str) -> Option<(FrontDoor, String, bool)> {
        let address = Address::of(path)?;
        Some((address.door, address.model?, address.streams))
    }

    #[test]
    fn the_path_of_a_gemini_call_names_its_model() {
        use FrontDoor::{CountContent, GenerateContent};
        for (path, door, model, streams) in [
            ("/v1beta/models/m:generateContent", GenerateContent, "m", false),
            ("/v1/models/m:streamGenerateContent", GenerateContent, "m", true),
            ("/v1beta/models/m:countTokens", CountContent, "m", false),
            ("/v1beta/models/models%2Fm:generateContent", GenerateContent, "m", false),
            (
                "/v1beta/models/a%2Fb%3A1:generateContent",
                GenerateContent,
                "a/b:1",
                false,
            ),
            ("/v1beta/models/a:b:generateContent", GenerateContent, "a:b", false),
        ] {
            assert_eq!(gemini(path), Some((door, model.to_owned(), streams)), "{path}");
        }
    }

    #[test]
    fn other_paths_are_no_front_doors() {
        for path in [
            "/v1beta/models",
            "/v1beta/models/m",
            "/v1beta/models/:generateContent",
            "/v1beta/models/m:embedContent",
            "/v1beta/m:generateContent",
            "/v2/models/m:generateContent",
            "/v1/models/m",
            "/v1/responses/compact/",
        ] {
            assert_eq!(Address::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_without_a_model_leaves_it_to_the_body() {
        let address = Address::of("/v1/responses/compact").unwrap();
        assert_eq!(
            (address.door, address.model, address.streams),
            (FrontDoor::Compact, None, false)
        );
    }

    #[test]
    fn an_escaped_slash_is_a_slash() {
        assert_eq!(percent_decoded("vendor%2Fmodel%zz%+1"), "vendor/model%zz%+1");
    }
}
