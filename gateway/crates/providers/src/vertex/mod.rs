//! Google Cloud: Claude as a partner's model, Gemini as Google's own.

mod claude;

use std::borrow::Cow;

use airside_protocols::{Family, FrontDoor};
use airside_snapshot::Provider;
use http::HeaderMap;

use crate::encode::encoded;
use crate::endpoint::{Asked, Endpoint};
use crate::gemini;
use crate::vendor::{Decoder, Lost, Pieces, Request, Unserved, Vendor};

/// Google Cloud, in one of its two dialects.
#[derive(Debug)]
pub(crate) struct Vertex {
    protocol: Family,
    project: String,
    location: String,
}

impl Vertex {
    pub(crate) fn new(provider: &Provider) -> Result<Self, String> {
        let project = provider.project.clone().filter(|project| !project.is_empty());
        Ok(Self {
            protocol: provider.protocol,
            project: project.ok_or("Google Cloud needs a project")?,
            location: provider.region.clone().unwrap_or_else(|| "global".to_owned()),
        })
    }

    /// `projects/p/locations/l/publishers/x/models/m`.
    fn resource(&self, publisher: &str, model: &str) -> String {
        let model = encoded(model, |byte| byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte));
        let (project, location) = (&self.project, &self.location);
        format!("projects/{project}/locations/{location}/publishers/{publisher}/models/{model}")
    }
}

/// The version, unless the base URL has one.
fn version(endpoint: &Endpoint) -> &'static str {
    let has_one = endpoint.prefix.ends_with("/v1") || endpoint.prefix.ends_with("/v1beta1");
    if has_one { "" } else { "/v1" }
}

impl Vendor for Vertex {
    fn path(&self, endpoint: &Endpoint, asked: &Asked<'_>) -> Result<String, Unserved> {
        let version = version(endpoint);
        match (self.protocol, asked.door) {
            (Family::Anthropic, FrontDoor::Messages) => {
                let model = claude::versioned(asked.model);
                let method = if asked.streams {
                    "streamRawPredict"
                } else {
                    "rawPredict"
                };
                let resource = self.resource("anthropic", &model);
                Ok(endpoint.path_to(&format!("{version}/{resource}:{method}"), None))
            }
            (Family::Anthropic, FrontDoor::CountTokens) => {
                let resource = self.resource("anthropic", "count-tokens");
                Ok(endpoint.path_to(&format!("{version}/{resource}:rawPredict"), None))
            }
            (Family::Gemini, FrontDoor::GenerateContent | FrontDoor::CountContent) => {
                let resource = self.resource("google", gemini::bare(asked.model));
                let path = format!("{version}/{resource}:{}", gemini::method(asked));
                Ok(endpoint.path_to(&path, gemini::query(asked).as_deref()))
            }
            (_, door) => Err(Unserved::door("Google Cloud", door)),
        }
    }

    fn body(&self, asked: &Asked<'_>, request: Request<'_>, _: &HeaderMap) -> Result<Pieces, Unserved> {
        if self.protocol == Family::Anthropic {
            return claude::body(asked, request);
        }
        Ok(request.with_model(&self.resource("google", gemini::bare(asked.model))))
    }

    fn losses(&self, _: &Asked<'_>, request: Request<'_>, caller: &HeaderMap) -> Vec<Lost> {
        if self.protocol == Family::Anthropic {
            return claude::losses(request, caller);
        }
        Vec::new()
    }

    fn headers(&self, _: &Asked<'_>, headers: &mut HeaderMap) {
        if self.protocol == Family::Anthropic {
            claude::headers(headers);
        }
    }

    fn decoder(&self, _: &Asked<'_>, status: u16, headers: &mut HeaderMap) -> Option<Box<dyn Decoder>> {
        // Google's own refusals are not in Claude's dialect.
        (self.protocol == Family::Anthropic && status >= 400)
            .then(|| -> Box<dyn Decoder> { Box::new(claude::ErrorDecoder::new(status, headers)) })
    }
}

/// The name, borrowed where nothing changes.
type Name<'a> = Cow<'a, str>;

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn vertex(protocol: Family) -> Vertex {
        Vertex {
            protocol,
            project: "p".to_owned(),
            location: "europe-west1".to_owned(),
        }
    }

    fn path(protocol: Family, door: FrontDoor, model: &str, streams: bool) -> String {
        let endpoint = Endpoint::parse("https://europe-west1-aiplatform.googleapis.test").unwrap();
        let asked = Asked {
            streams,
            ..Asked::of(door, model)
        };
        vertex(protocol).path(&endpoint, &asked).unwrap()
    }

    #[test]
    fn claude_is_a_partners_model() {
        let start = "/v1/projects/p/locations/europe-west1/publishers/anthropic/models";
        for (door, model, streams, end) in [
            (
                FrontDoor::Messages,
                "claude-x-20250929",
                false,
                "claude-x@20250929:rawPredict",
            ),
            (FrontDoor::Messages, "claude-y", true, "claude-y:streamRawPredict"),
            (FrontDoor::CountTokens, "claude-y", false, "count-tokens:rawPredict"),
        ] {
            assert_eq!(path(Family::Anthropic, door, model, streams), format!("{start}/{end}"));
        }
    }

    #[test]
    fn gemini_is_googles_own() {
        assert_eq!(
            path(Family::Gemini, FrontDoor::GenerateContent, "models/gemini-x", true),
            "/v1/projects/p/locations/europe-west1/publishers/google/models/gemini-x:streamGenerateContent?alt=sse"
        );
        let request = Bytes::from_static(br#"{"model":"models/a"}"#);
        let asked = Asked::of(FrontDoor::CountContent, "gemini-x");
        let request = Request {
            body: &request,
            model_range: &(9..19),
        };
        let body = vertex(Family::Gemini)
            .body(&asked, request, &HeaderMap::new())
            .unwrap()
            .concat();
        assert_eq!(
            body,
            br#"{"model":"projects/p/locations/europe-west1/publishers/google/models/gemini-x"}"#
        );
    }

    #[test]
    fn what_google_cloud_does_not_have_is_said() {
        let endpoint = Endpoint::parse("https://x.test").unwrap();
        assert!(
            vertex(Family::Gemini)
                .path(&endpoint, &Asked::of(FrontDoor::Chat, "m"))
                .is_err()
        );
    }
}
