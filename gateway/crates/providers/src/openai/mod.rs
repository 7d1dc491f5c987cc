//! The `OpenAI` API, and everything that is compatible with it: `OpenRouter`, vLLM, Ollama. Nothing is changed on the
//! way.

use airside_protocols::FrontDoor;

use crate::endpoint::{Asked, Endpoint};
use crate::vendor::{Unserved, Vendor};

/// The `OpenAI` API. A base URL ends with the version.
#[derive(Debug)]
pub(crate) struct Openai;

/// The path below the version.
pub(crate) const fn path_below_version(door: FrontDoor) -> Option<&'static str> {
    match door {
        FrontDoor::Responses => Some("/responses"),
        FrontDoor::Compact => Some("/responses/compact"),
        FrontDoor::Chat => Some("/chat/completions"),
        FrontDoor::Embeddings => Some("/embeddings"),
        _ => None,
    }
}

impl Vendor for Openai {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        let path = path_below_version(asked.door).ok_or_else(|| Unserved::door("The OpenAI API", asked.door))?;
        Ok(endpoint.path_to(path, asked.query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_ends_with_the_version() {
        let endpoint = Endpoint::parse("http://127.0.0.1:8000/team/v1/").unwrap();
        for (door, path) in [
            (FrontDoor::Responses, "/team/v1/responses"),
            (FrontDoor::Compact, "/team/v1/responses/compact"),
            (FrontDoor::Chat, "/team/v1/chat/completions"),
            (FrontDoor::Embeddings, "/team/v1/embeddings"),
        ] {
            assert_eq!(Openai.path(&endpoint, &Asked::of(door, "m")).unwrap(), path);
        }
        assert!(Openai.path(&endpoint, &Asked::of(FrontDoor::Messages, "m")).is_err());
    }
}
