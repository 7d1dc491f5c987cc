//! What a caller says of itself in its headers: which harness, which session, which subagent. Claims, not facts; they are
//! recorded and counted, and nothing is allowed because of them.

use airside_journal::{CallerIdentity, word};
use http::header::{HeaderMap, HeaderName, USER_AGENT};

/// Longest text taken over from a header.
const MOST_HEADER_BYTES: usize = 200;
/// Longest name or version taken from a product token.
const MOST_TOKEN_BYTES: usize = 40;

const SESSION_HEADERS: [HeaderName; 7] = [
    HeaderName::from_static("x-claude-code-session-id"),
    HeaderName::from_static("session-id"),
    HeaderName::from_static("session_id"),
    HeaderName::from_static("thread-id"),
    HeaderName::from_static("conversation_id"),
    HeaderName::from_static("x-session-id"),
    HeaderName::from_static("x-session-affinity"),
];
const SUBAGENT_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-claude-code-agent-id"),
    HeaderName::from_static("x-openai-subagent"),
];
const PARENT_HEADERS: [HeaderName; 2] = [
    HeaderName::from_static("x-claude-code-parent-agent-id"),
    HeaderName::from_static("x-parent-session-id"),
];
const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Product tokens of the clients we know, in lower case, and what they are called here. Each stands for all that begin
/// with it.
const PRODUCTS: [(&str, &str); 9] = [
    ("claude-cli", "claude-code"),
    ("claude-code", "claude-code"),
    ("codex", "codex"),
    ("opencode", "opencode"),
    ("geminicli", "gemini-cli"),
    ("anthropic", "anthropic-sdk"),
    ("openai", "openai-sdk"),
    ("asyncopenai", "openai-sdk"),
    ("google-genai-sdk", "google-genai-sdk"),
];

/// What the harness says of itself. The headers are those of Claude Code, Codex and `OpenCode`.
pub(crate) fn identity(headers: &HeaderMap) -> CallerIdentity {
    let first = |names: &[HeaderName]| {
        let value = names.iter().find_map(|name| headers.get(name))?;
        Some(shortened(value.to_str().ok()?))
    };
    let (harness, harness_version) = program(headers).unzip();
    CallerIdentity {
        harness,
        harness_version: harness_version.flatten(),
        harness_session: first(&SESSION_HEADERS),
        subagent: first(&SUBAGENT_HEADERS),
        parent: first(&PARENT_HEADERS),
        user_agent: first(&[USER_AGENT]),
    }
}

/// The client and its version, from the first product of its user agent; from `originator` or `x-app` where that is
/// missing, as in a harness's own side calls.
fn program(headers: &HeaderMap) -> Option<(String, Option<String>)> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(agent) = text(&USER_AGENT) {
        let product = agent.split([' ', '(', ';']).next().unwrap_or_default();
        let (name, version) = product
            .split_once('/')
            .map_or((product, None), |(name, rest)| (name, Some(rest)));
        if let Some(name) = token(name) {
            // OpenAI/Python 2.8.0: the version stands behind the language.
            let version =
                version.filter(|version| version.starts_with(|sign: char| sign.is_ascii_digit() || sign == 'v'));
            let behind = || {
                agent
                    .split(' ')
                    .nth(1)
                    .filter(|word| word.starts_with(|sign: char| sign.is_ascii_digit()))
            };
            let version = version.or_else(behind).and_then(|version| version.split('/').next());
            return Some((name, version.and_then(token)));
        }
    }
    if let Some(name) = text(&ORIGINATOR).and_then(token) {
        return Some((name, None));
    }
    let is_claude = headers.keys().any(|name| name.as_str().starts_with("x-claude-code-"));
    is_claude.then(|| ("claude-code".to_owned(), None))
}

/// A name or a version if it is one: short, and of the signs such words are made of.
fn token(text: &str) -> Option<String> {
    let is_word = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '-' | '_' | '.' | '+');
    if text.is_empty() || text.len() > MOST_TOKEN_BYTES || !text.chars().all(is_word) {
        return None;
    }
    let name = text.to_ascii_lowercase();
    let known = PRODUCTS.iter().find(|(product, _)| name.starts_with(product));
    Some(known.map_or(name, |(_, ours)| (*ours).to_owned()))
}

/// The id of the trace a caller's call belongs to, from its W3C `traceparent`.
pub(crate) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let parent = headers.get(TRACEPARENT)?.to_str().ok()?;
    let id = parent.split('-').nth(1)?;
    let is_hex = |sign: u8| sign.is_ascii_digit() || (b'a'..=b'f').contains(&sign);
    let is_valid = id.len() == 32 && id.bytes().all(is_hex) && id.bytes().any(|sign| sign != b'0');
    is_valid.then(|| word(id))
}

/// Header text is ASCII here, so any byte is a boundary; `floor_char_boundary` keeps it right regardless.
pub(crate) fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MOST_HEADER_BYTES))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn told(pairs: &[(&'static str, &str)]) -> CallerIdentity {
        let pairs = pairs.iter();
        identity(
            &pairs
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
                .collect(),
        )
    }

    #[test]
    fn clients_are_known_by_their_user_agents() {
        for (agent, harness, version) in [
            ("claude-cli/2.1.330 (external, sdk-cli)", "claude-code", "2.1.330"),
            ("codex_exec/0.169.0 (Debian 12; x86_64) xterm", "codex", "0.169.0"),
            (
                "opencode/1.18.33 ai-sdk/anthropic/2.0 runtime/bun",
                "opencode",
                "1.18.33",
            ),
            ("GeminiCLI/0.9.0/gemini-2.5-pro (linux; x64)", "gemini-cli", "0.9.0"),
            ("Anthropic/Python 0.75.0", "anthropic-sdk", "0.75.0"),
            ("AsyncOpenAI/Python 2.8.1", "openai-sdk", "2.8.1"),
            ("google-genai-sdk/1.52.0 gl-python/3.11", "google-genai-sdk", "1.52.0"),
            ("curl/8.5.0", "curl", "8.5.0"),
        ] {
            let told = told(&[("user-agent", agent)]);
            assert_eq!(
                (told.harness.as_deref(), told.harness_version.as_deref()),
                (Some(harness), Some(version)),
                "{agent}"
            );
        }
    }

    #[test]
    fn other_headers_tell_where_the_user_agent_does_not() {
        assert_eq!(
            told(&[("originator", "codex_vscode")]).harness.as_deref(),
            Some("codex")
        );
        assert_eq!(
            told(&[("x-claude-code-session-id", "s")]).harness.as_deref(),
            Some("claude-code")
        );
        assert_eq!(told(&[("user-agent", "")]).harness, None);
    }

    #[test]
    fn nonsense_is_no_name() {
        for agent in ["<script>/1", "a\"b/1.0", &"x".repeat(41), "/1.0", "é/1"] {
            assert_eq!(told(&[("user-agent", agent)]).harness, None, "{agent}");
        }
        assert_eq!(told(&[("user-agent", "tool/1.0<b>")]).harness_version, None);
    }

    #[test]
    fn the_tree_of_subagents_is_in_the_headers() {
        let told = told(&[
            ("x-claude-code-session-id", "s1"),
            ("x-claude-code-agent-id", "a2"),
            ("x-claude-code-parent-agent-id", "a1"),
        ]);
        let tree = (
            told.harness_session.as_deref(),
            told.subagent.as_deref(),
            told.parent.as_deref(),
        );
        assert_eq!(tree, (Some("s1"), Some("a2"), Some("a1")));
    }

    #[test]
    fn only_a_well_formed_trace_is_one() {
        let of = |text: &str| {
            trace_id(
                &[(TRACEPARENT, HeaderValue::from_str(text).unwrap())]
                    .into_iter()
                    .collect(),
            )
        };
        let id = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(of(&format!("00-{id}-b7ad6b7169203331-01")).as_deref(), Some(id));
        for bad in [
            "",
            "00",
            "00-xyz-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
