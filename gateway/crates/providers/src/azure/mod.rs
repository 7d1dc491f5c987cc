//! Azure `OpenAI`: below `/openai/v1` it is the `OpenAI` API; elsewhere the deployment stands in the path, and a version
//! in the query. Claude in Foundry is Anthropic's API and has no need of this.

use airside_protocols::FrontDoor;
use airside_snapshot::Provider;

use crate::encode::path_segment;
use crate::endpoint::{Asked, Endpoint};
use crate::openai::path_below_version;
use crate::vendor::{Unserved, Vendor};

/// The last version with a date that is generally available; newer things live below `/openai/v1`.
const VERSION: &str = "2024-10-21";

/// Azure `OpenAI`.
#[derive(Debug)]
pub(crate) struct Azure {
    api_version: Option<String>,
}

impl Azure {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self {
            api_version: provider.api_version.clone(),
        }
    }
}

impl Vendor for Azure {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        let path = path_below_version(asked.door).ok_or_else(|| Unserved::door("Azure OpenAI", asked.door))?;
        let version = |version: &str| format!("api-version={version}");
        if endpoint.prefix.ends_with("/v1") {
            let query = self.api_version.as_deref().map(version);
            return Ok(endpoint.path_to(path, query.as_deref()));
        }
        let resource = endpoint.prefix.ends_with("/openai");
        let start = if resource { "" } else { "/openai" };
        let whole = match asked.door {
            // The Responses API names its deployment in the body.
            FrontDoor::Responses | FrontDoor::Compact => format!("{start}{path}"),
            _ => format!("{start}/deployments/{}{path}", path_segment(asked.model)),
        };
        let query = version(self.api_version.as_deref().unwrap_or(VERSION));
        Ok(endpoint.path_to(&whole, Some(&query)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(base: &str, api_version: Option<&str>, door: FrontDoor) -> String {
        let azure = Azure {
            api_version: api_version.map(str::to_owned),
        };
        azure
            .path(&Endpoint::parse(base).unwrap(), &Asked::of(door, "my gpt"))
            .unwrap()
    }

    #[test]
    fn a_deployment_stands_in_the_path_and_a_version_in_the_query() {
        let base = "https://r.openai.azure.test";
        assert_eq!(
            path(base, Some("2025-04-01-preview"), FrontDoor::Chat),
            "/openai/deployments/my%20gpt/chat/completions?api-version=2025-04-01-preview"
        );
        assert_eq!(
            path("https://r.openai.azure.test/openai", None, FrontDoor::Embeddings),
            "/openai/deployments/my%20gpt/embeddings?api-version=2024-10-21"
        );
        assert_eq!(
            path(base, None, FrontDoor::Responses),
            "/openai/responses?api-version=2024-10-21"
        );
    }

    #[test]
    fn below_v1_it_is_the_openai_api() {
        let base = "https://r.openai.azure.test/openai/v1";
        assert_eq!(path(base, None, FrontDoor::Responses), "/openai/v1/responses");
        assert_eq!(
            path(base, Some("preview"), FrontDoor::Chat),
            "/openai/v1/chat/completions?api-version=preview"
        );
    }
}
