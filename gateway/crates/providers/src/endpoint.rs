//! Where a provider is, and what it is asked.

use std::fmt;

use airside_protocols::FrontDoor;
use http::Uri;
use http::uri::{Authority, Scheme};

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
    /// The model is known to follow a schema.
    pub follows_schemas: bool,
}

impl<'a> Asked<'a> {
    /// A plain call: no stream, no query.
    #[must_use]
    pub const fn of(door: FrontDoor, model: &'a str) -> Self {
        Self {
            door,
            model,
            streams: false,
            query: None,
            follows_schemas: false,
        }
    }

    /// The same with the caller's query.
    #[must_use]
    pub const fn with_query(self, query: &'a str) -> Self {
        Self {
            query: Some(query),
            ..self
        }
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
    fn a_base_url_is_taken_apart() {
        let tls = Endpoint::parse("https://api.anthropic.test").unwrap();
        assert_eq!(
            (tls.is_tls, tls.port, tls.path_to("/x", Some("y=1")).as_str()),
            (true, 443, "/x?y=1")
        );
        let plain = Endpoint::parse("http://127.0.0.1:8000/team/v1/").unwrap();
        assert_eq!(
            (plain.is_tls, plain.port, plain.authority.as_str()),
            (false, 8000, "127.0.0.1:8000")
        );
        assert_eq!(plain.path_to("/x", None), "/team/v1/x");
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
