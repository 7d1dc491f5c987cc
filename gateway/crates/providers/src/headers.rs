//! Which headers pass, in both directions. Both lists are open: what is not named here goes through.

use http::header::{self, HeaderMap, HeaderName};

/// The caller's headers as a provider may see them: without credentials, without what belongs to one connection,
/// without what the gateway sets itself.
#[must_use]
pub fn request_headers(caller: &HeaderMap) -> HeaderMap {
    let named = connection_options(caller);
    // What stays here makes room for what is added later.
    let mut headers = HeaderMap::with_capacity(caller.len() + 1);
    for (name, value) in caller {
        if !is_withheld_from_provider(name.as_str()) && !named.contains(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

/// A provider's headers as the caller may see them: without what belongs to one connection, without cookies, without
/// anything that echoes the credential.
#[must_use]
pub fn answer_headers(mut headers: HeaderMap, secret: Option<&str>) -> HeaderMap {
    withhold(&mut headers);
    match secret {
        Some(secret)
            if headers
                .values()
                .any(|value| contains(value.as_bytes(), secret.as_bytes())) =>
        {
            without(secret, headers)
        }
        _ => headers,
    }
}

/// Take away what the caller may not see by its name, and what `connection` names.
fn withhold(headers: &mut HeaderMap) {
    let withheld = headers.keys().filter(|name| is_withheld_from_caller(name.as_str()));
    let withheld: Vec<HeaderName> = withheld.cloned().collect();
    // `connection` is withheld itself.
    let named = if withheld.contains(&header::CONNECTION) {
        connection_options(headers)
    } else {
        Vec::new()
    };
    for name in withheld.iter().chain(&named) {
        headers.remove(name);
    }
}

/// How an answer is read; that a word stands in these, which serves a local server for a key, is no echo.
const MEDIA_TYPES: [&[u8]; 3] = [
    b"text/event-stream",
    b"application/json",
    b"application/vnd.amazon.eventstream",
];

fn echoes(name: &HeaderName, value: &[u8], secret: &str) -> bool {
    let media_type = MEDIA_TYPES.iter().find(|known| value.starts_with(known));
    let rest = match media_type {
        Some(known) if name == header::CONTENT_TYPE => value.get(known.len()..).unwrap_or_default(),
        _ => value,
    };
    contains(rest, secret.as_bytes())
}

/// The headers whose values do not hold this.
fn without(secret: &str, mut headers: HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(headers.capacity());
    let mut last = None;
    for (name, value) in headers.drain() {
        // Of a header that is there several times only the first is named.
        last = name.or(last);
        if let Some(name) = last.as_ref().filter(|name| !echoes(name, value.as_bytes(), secret)) {
            kept.append(name, value);
        }
    }
    kept
}

fn contains(text: &[u8], secret: &[u8]) -> bool {
    !secret.is_empty() && text.len() >= secret.len() && memchr::memmem::find(text, secret).is_some()
}

/// The headers that `connection` declares to be for this connection only (RFC 9110, 7.6.1).
fn connection_options(headers: &HeaderMap) -> Vec<HeaderName> {
    let values = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|option| !option.eq_ignore_ascii_case("keep-alive") && !option.eq_ignore_ascii_case("close"))
        .filter_map(|option| HeaderName::from_bytes(option.as_bytes()).ok())
        .collect()
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "transfer-encoding" | "te" | "trailer" | "upgrade" | "keep-alive" | "http2-settings"
    ) || name.starts_with("proxy-")
}

fn is_api_key(name: &str) -> bool {
    matches!(
        name,
        "x-api-key" | "api-key" | "x-goog-api-key" | "x-amz-security-token"
    )
}

fn is_withheld_from_provider(name: &str) -> bool {
    matches!(
        name,
        "authorization"
            | "cookie"
            | "host"
            | "content-length"
            | "expect"
            // The tap reads the answer, so it must come as it is.
            | "accept-encoding"
            | "forwarded"
            | "x-real-ip"
    ) || name.starts_with("x-forwarded-")
        || name.starts_with("x-airside-")
        || is_api_key(name)
        || is_hop_by_hop(name)
}

fn is_withheld_from_caller(name: &str) -> bool {
    matches!(name, "set-cookie" | "authorization")
        || name.starts_with("x-airside-")
        || is_api_key(name)
        || is_hop_by_hop(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn map(pairs: &[(&str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        pairs.collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_callers_credentials_and_connection_stay_here() {
        let caller = map(&[
            ("authorization", "Bearer a"),
            ("x-api-key", "b"),
            ("api-key", "b"),
            ("cookie", "c"),
            ("host", "d"),
            ("content-length", "3"),
            ("expect", "100-continue"),
            ("connection", "x-odd, keep-alive"),
            ("x-odd", "1"),
            ("keep-alive", "1"),
            ("transfer-encoding", "chunked"),
            ("te", "trailers"),
            ("upgrade", "x"),
            ("proxy-authorization", "e"),
            ("x-forwarded-for", "f"),
            ("x-airside-task", "g"),
            ("accept-encoding", "gzip"),
            ("anthropic-beta", "one,two"),
            ("anthropic-version", "2023-06-01"),
            ("user-agent", "u"),
            ("x-claude-code-session-id", "s"),
            ("openai-organization", "o"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(
            names(&request_headers(&caller)),
            [
                "anthropic-beta",
                "anthropic-version",
                "content-type",
                "openai-organization",
                "user-agent",
                "x-claude-code-session-id",
            ]
        );
    }

    #[test]
    fn an_echoed_credential_never_reaches_the_caller() {
        let provider = map(&[
            ("x-echo", "your key was sk-canary!"),
            ("x-goog-api-key", "k"),
            ("set-cookie", "a=b"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
            ("request-id", "r"),
            ("retry-after", "3"),
            ("anthropic-ratelimit-tokens-remaining", "9"),
        ]);
        let seen = answer_headers(provider, Some("sk-canary"));
        assert_eq!(
            names(&seen),
            ["anthropic-ratelimit-tokens-remaining", "request-id", "retry-after"]
        );
    }

    #[test]
    fn a_word_that_stands_for_a_key_does_not_hide_what_an_answer_is() {
        for word in ["x", "event", "stream"] {
            let provider = map(&[("content-type", "text/event-stream"), ("x-echo", word)]);
            assert_eq!(names(&answer_headers(provider, Some(word))), ["content-type"], "{word}");
        }
        let provider = map(&[("content-type", "text/event-stream; a=sk-canary")]);
        assert!(answer_headers(provider, Some("sk-canary")).is_empty());
    }

    /// The same, each header put where it belongs one by one.
    fn one_by_one(headers: &HeaderMap, is_withheld: impl Fn(&str, &HeaderValue) -> bool) -> HeaderMap {
        let named = connection_options(headers);
        let stays = |(name, value): &(&HeaderName, &HeaderValue)| {
            !is_withheld(name.as_str(), value) && !named.iter().any(|option| option == *name)
        };
        let kept = headers.iter().filter(stays);
        let mut one_by_one = HeaderMap::new();
        for (name, value) in kept {
            one_by_one.append(name, value.clone());
        }
        one_by_one
    }

    proptest! {
        #[test]
        fn what_is_withheld_leaves_the_rest_as_it_is(pairs in prop::collection::vec(
            (
                prop::sample::select(&["connection", "x-odd", "x-hop", "host", "te", "set-cookie", "x-api-key", "accept", "via", "proxy-x"][..]),
                prop::sample::select(&["x-hop", "keep-alive, x-odd", "close", "1", "a sk-canary", "host"][..]),
            ),
            0..12,
        )) {
            let headers = map(&pairs);
            let theirs = one_by_one(&headers, |name, _| is_withheld_from_provider(name));
            prop_assert_eq!(request_headers(&headers), theirs);
            let has_secret = |value: &HeaderValue| contains(value.as_bytes(), b"sk-canary");
            let ours = one_by_one(&headers, |name, value| is_withheld_from_caller(name) || has_secret(value));
            prop_assert_eq!(answer_headers(headers, Some("sk-canary")), ours);
        }
    }

    #[test]
    fn of_a_header_that_is_there_twice_each_value_is_looked_at() {
        for withheld in ["", "sk-canary"] {
            let provider = map(&[
                ("via", "1.1 a"),
                ("via", "1.1 sk-canary"),
                ("request-id", "r"),
                ("via", "1.1 b"),
            ]);
            let seen = answer_headers(provider, Some(withheld));
            let via: Vec<&HeaderValue> = seen.get_all(header::VIA).iter().collect();
            let kept = ["1.1 a", "1.1 sk-canary", "1.1 b"];
            let kept = kept
                .into_iter()
                .filter(|value| withheld.is_empty() || !value.contains(withheld));
            assert!(via.into_iter().eq(kept.collect::<Vec<_>>()), "{withheld}");
            assert_eq!(names(&seen), ["request-id", "via"]);
        }
    }
}
