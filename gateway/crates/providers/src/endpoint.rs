//! Where a provider's front doors are.

use std::borrow::Cow;
use std::fmt;

use airside_protocols::{Family, FrontDoor};
use http::Uri;
use http::uri::{Authority, Scheme};

use crate::gemini;

/// What is asked of a provider, as far as the way there goes.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// In which dialect and for what.
    pub door: FrontDoor,
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The answer is to come as a stream.
    pub streams: bool,
    /// The caller's query.
    pub query: Option<&'a str>,
}

/// How a body names the model that the provider calls so.
#[must_use]
pub fn name_in_body(door: FrontDoor, model: &str) -> Cow<'_, str> {
    let is_bare = !model.starts_with("models/") && !model.starts_with("tunedModels/");
    if door.family() == Family::Gemini && is_bare {
        Cow::Owned(format!("models/{model}"))
    } else {
        Cow::Borrowed(model)
    }
}

/// A base URL taken apart once, when the snapshot is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// True for `https`.
    pub is_tls: bool,
    /// The host, without brackets.
    pub host: String,
    /// The port, the scheme's own if the URL names none.
    pub port: u16,
    /// What the `host` header says.
    pub authority: String,
    /// The path before the front door's own, without a trailing slash.
    pub prefix: String,
}

/// A base URL that leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointProblem(pub String);

impl fmt::Display for EndpointProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}' is no http or https URL", self.0)
    }
}

impl std::error::Error for EndpointProblem {}

impl Endpoint {
    /// Take a base URL apart.
    ///
    /// # Errors
    /// `EndpointProblem` when it has no host or another scheme.
    pub fn parse(base_url: &str) -> Result<Self, EndpointProblem> {
        let problem = || EndpointProblem(base_url.to_owned());
        let uri: Uri = base_url.parse().map_err(|_| problem())?;
        let is_tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(problem()),
        };
        let authority: &Authority = uri.authority().ok_or_else(problem)?;
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self {
            is_tls,
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The path and query of a front door at this provider.
    ///
    /// A base URL is what the vendor's own SDK takes: Anthropic's and Gemini's are without a version, `OpenAI`'s has it.
    #[must_use]
    pub fn path_of(&self, asked: &Asked<'_>) -> String {
        let door = match asked.door {
            FrontDoor::Messages => "/v1/messages",
            FrontDoor::CountTokens => "/v1/messages/count_tokens",
            FrontDoor::Responses => "/responses",
            FrontDoor::Compact => "/responses/compact",
            FrontDoor::Chat => "/chat/completions",
            FrontDoor::Embeddings => "/embeddings",
            FrontDoor::GenerateContent | FrontDoor::CountContent => return gemini::path(self, asked),
        };
        self.path_to(door, asked.query)
    }

    /// Any path below the base URL.
    #[must_use]
    pub fn path_to(&self, path: &str, query: Option<&str>) -> String {
        let mut whole =
            String::with_capacity(self.prefix.len() + path.len() + query.map_or(0, |query| query.len() + 1));
        whole.push_str(&self.prefix);
        whole.push_str(path);
        if let Some(query) = query {
            whole.push('?');
            whole.push_str(query);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(door: FrontDoor, query: Option<&str>) -> Asked<'_> {
        Asked {
            door,
            model: "m",
            streams: false,
            query,
        }
    }

    #[test]
    fn a_base_url_is_what_the_vendors_sdk_takes() {
        let anthropic = Endpoint::parse("https://api.anthropic.test").unwrap();
        assert_eq!(
            anthropic.path_of(&asked(FrontDoor::Messages, Some("beta=true"))),
            "/v1/messages?beta=true"
        );
        assert_eq!((anthropic.is_tls, anthropic.port), (true, 443));
        let openai = Endpoint::parse("http://127.0.0.1:8000/team/v1/").unwrap();
        assert_eq!(openai.path_of(&asked(FrontDoor::Responses, None)), "/team/v1/responses");
        assert_eq!(
            openai.path_of(&asked(FrontDoor::Chat, None)),
            "/team/v1/chat/completions"
        );
        assert_eq!(
            (openai.is_tls, openai.port, openai.authority.as_str()),
            (false, 8000, "127.0.0.1:8000")
        );
        let six = Endpoint::parse("http://[::1]:9").unwrap();
        assert_eq!((six.host.as_str(), six.authority.as_str()), ("::1", "[::1]:9"));
    }

    #[test]
    fn other_urls_are_refused() {
        for url in ["", "api.test", "ftp://api.test", "/v1"] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }
}
