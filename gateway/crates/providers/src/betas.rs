//! Anthropic's beta flags where they are called something else or nothing at all.
//!
//! To Anthropic itself they go as they come. Elsewhere an unknown flag is passed on as well: only what is known to be
//! refused is left out, because a flag and the field it is for travel as a pair.

use http::HeaderMap;

/// The header they come in.
pub(crate) const HEADER: &str = "anthropic-beta";

/// What a flag is called; `None` where it is refused.
pub(crate) type Names = &'static [(&'static str, Option<&'static str>)];

/// From the vendors' own lists of features, as of autumn 2026.
pub(crate) const BEDROCK: Names = &[
    ("advanced-tool-use-2025-11-20", Some("tool-search-tool-2025-10-19")),
    ("advisor-tool-2026-03-01", None),
    ("code-execution-2025-08-25", None),
    ("fast-mode-2026-02-01", None),
    ("files-api-2025-04-14", None),
    ("mcp-client-2025-04-04", None),
    ("mcp-client-2025-11-20", None),
    ("oauth-2025-04-20", None),
    ("prompt-caching-scope-2026-01-05", None),
    ("skills-2025-10-02", None),
    ("web-fetch-2025-09-10", None),
    ("web-search-2025-03-05", None),
];

/// The same for Google Cloud.
pub(crate) const VERTEX: Names = &[
    ("advanced-tool-use-2025-11-20", Some("tool-search-tool-2025-10-19")),
    ("advisor-tool-2026-03-01", None),
    ("code-execution-2025-08-25", None),
    ("fast-mode-2026-02-01", None),
    ("files-api-2025-04-14", None),
    ("mcp-client-2025-04-04", None),
    ("mcp-client-2025-11-20", None),
    ("oauth-2025-04-20", None),
    ("prompt-caching-scope-2026-01-05", None),
    ("skills-2025-10-02", None),
    ("structured-outputs-2025-11-13", None),
    ("web-fetch-2025-09-10", None),
];

/// The flags of a call under the names that this vendor knows, each once.
pub(crate) fn flags(headers: &HeaderMap, names: Names) -> Vec<&str> {
    let mut flags = Vec::new();
    for name in given(headers).filter_map(|flag| called(flag, names)) {
        if !flags.contains(&name) {
            flags.push(name);
        }
    }
    flags
}

/// True if this vendor refuses a flag of the call.
pub(crate) fn are_lost(headers: &HeaderMap, names: Names) -> bool {
    given(headers).any(|flag| called(flag, names).is_none())
}

fn given(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(HEADER).iter().filter_map(|value| value.to_str().ok());
    let flags = values.flat_map(|value| value.split(',')).map(str::trim);
    flags.filter(|flag| !flag.is_empty())
}

fn called(flag: &str, names: Names) -> Option<&str> {
    let known = names.iter().find(|(name, _)| *name == flag);
    known.map_or(Some(flag), |(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_flags_are_renamed_or_left_out_and_unknown_ones_stay() {
        let mut headers = HeaderMap::new();
        headers.append(HEADER, "advanced-tool-use-2025-11-20, of-tomorrow".parse().unwrap());
        headers.append(
            HEADER,
            "files-api-2025-04-14,,tool-search-tool-2025-10-19".parse().unwrap(),
        );
        assert_eq!(flags(&headers, BEDROCK), ["tool-search-tool-2025-10-19", "of-tomorrow"]);
        assert!(are_lost(&headers, BEDROCK));
        headers.insert(HEADER, "advanced-tool-use-2025-11-20,,of-tomorrow".parse().unwrap());
        assert!(!are_lost(&headers, BEDROCK));
    }
}
