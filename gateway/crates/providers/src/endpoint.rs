//! Where a provider's front doors are.

use std::fmt;

use airside_protocols::FrontDoor;
use http::Uri;
use http::uri::{Authority, Scheme};

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
    /// A base URL is what the vendor's own SDK takes: Anthropic's is without `/v1`, `OpenAI`'s with it.
    #[must_use]
    pub fn path_of(&self, front_door: FrontDoor, query: Option<&str>) -> String {
        let door = match front_door {
            FrontDoor::Messages => "/v1/messages",
            FrontDoor::CountTokens => "/v1/messages/count_tokens",
            FrontDoor::Responses => "/responses",
            FrontDoor::Chat => "/chat/completions",
        };
        self.path_to(door, query)
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

    #[test]
    fn a_base_url_is_what_the_vendors_sdk_takes() {
        let anthropic = Endpoint::parse("https://api.anthropic.test").unwrap();
        assert_eq!(
            anthropic.path_of(FrontDoor::Messages, Some("beta=true")),
            "/v1/messages?beta=true"
        );
        assert_eq!((anthropic.is_tls, anthropic.port), (true, 443));
        let openai = Endpoint::parse("http://127.0.0.1:8000/team/v1/").unwrap();
        assert_eq!(openai.path_of(FrontDoor::Responses, None), "/team/v1/responses");
        assert_eq!(openai.path_of(FrontDoor::Chat, None), "/team/v1/chat/completions");
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
