//! The Claude API, and Claude in Foundry, which speaks the same: nothing is changed on the way.

use airside_protocols::FrontDoor;

use crate::endpoint::{Asked, Endpoint};
use crate::vendor::{Unserved, Vendor};

/// The Claude API. A base URL is without the version.
#[derive(Debug)]
pub(crate) struct Anthropic;

impl Vendor for Anthropic {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        let path = match asked.door {
            FrontDoor::Messages => "/v1/messages",
            FrontDoor::CountTokens => "/v1/messages/count_tokens",
            door => return Err(Unserved::door("The Claude API", door)),
        };
        // What other vendors call the base ends with the version.
        let has_version = endpoint.prefix.ends_with("/v1");
        let path = if has_version {
            path.trim_start_matches("/v1")
        } else {
            path
        };
        Ok(endpoint.path_to(path, asked.query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_without_the_version_or_with_it() {
        let asked = Asked::of(FrontDoor::Messages, "m").with_query("beta=true");
        for (base, path) in [
            ("https://api.anthropic.test", "/v1/messages?beta=true"),
            (
                "https://r.services.ai.azure.test/anthropic/",
                "/anthropic/v1/messages?beta=true",
            ),
            ("https://x.test/api/v1", "/api/v1/messages?beta=true"),
        ] {
            assert_eq!(Anthropic.path(&Endpoint::parse(base).unwrap(), &asked).unwrap(), path);
        }
        let chat = Asked::of(FrontDoor::Chat, "m");
        assert!(
            Anthropic
                .path(&Endpoint::parse("https://x.test").unwrap(), &chat)
                .is_err()
        );
    }
}
