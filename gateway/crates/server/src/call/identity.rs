//! What a caller says of itself in its headers: which harness, which session, which subagent. Claims, not facts; they are
//! recorded and counted, and nothing is allowed because of them.

use airside_journal::{CallerIdentity, word};
use http::header::{HeaderMap, HeaderValue};

/// Longest text taken over from a header.
const MOST_HEADER_BYTES: usize = 200;
/// Longest name or version taken from a product token.
const MOST_TOKEN_BYTES: usize = 40;

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

/// One thing that several headers may say: the one of the lowest rank, and that rank.
type Claim<'a> = Option<(u8, &'a HeaderValue)>;

/// What is claimed, and a little more that headers say of a call, found in one pass: looking up a dozen names would cost
/// four times as much.
#[derive(Debug, Default)]
pub(crate) struct Claims<'a> {
    session: Claim<'a>,
    subagent: Claim<'a>,
    parent: Claim<'a>,
    user_agent: Claim<'a>,
    originator: Claim<'a>,
    trace: Claim<'a>,
    takes_trailers: bool,
    is_claude: bool,
}

impl<'a> Claims<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut claims = Self::default();
        for (name, value) in headers {
            claims.note(name.as_str(), value);
        }
        claims
    }

    fn note(&mut self, name: &str, value: &'a HeaderValue) {
        self.is_claude |= name.starts_with("x-claude-code-");
        let (claim, rank) = match name {
            "x-claude-code-session-id" => (&mut self.session, 0),
            "session-id" => (&mut self.session, 1),
            "session_id" => (&mut self.session, 2),
            "thread-id" => (&mut self.session, 3),
            "conversation_id" => (&mut self.session, 4),
            "x-session-id" => (&mut self.session, 5),
            "x-session-affinity" => (&mut self.session, 6),
            "x-claude-code-agent-id" => (&mut self.subagent, 0),
            "x-openai-subagent" => (&mut self.subagent, 1),
            "x-claude-code-parent-agent-id" => (&mut self.parent, 0),
            "x-parent-session-id" => (&mut self.parent, 1),
            "user-agent" => (&mut self.user_agent, 0),
            "originator" => (&mut self.originator, 0),
            "traceparent" => (&mut self.trace, 0),
            "te" => {
                self.takes_trailers |= names_trailers(value);
                return;
            }
            _ => return,
        };
        // Of a header that is there twice the first counts.
        if claim.is_none_or(|(known, _)| rank < known) {
            *claim = Some((rank, value));
        }
    }

    /// What the harness says of itself. The headers are those of Claude Code, Codex and `OpenCode`.
    pub(crate) fn identity(&self) -> CallerIdentity {
        let (harness, harness_version) = program(self).unzip();
        CallerIdentity {
            harness,
            harness_version: harness_version.flatten(),
            harness_session: text(self.session).map(shortened),
            subagent: text(self.subagent).map(shortened),
            parent: text(self.parent).map(shortened),
            user_agent: text(self.user_agent).map(shortened),
        }
    }

    /// The id of the trace that the call belongs to, from its W3C `traceparent`.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let id = text(self.trace)?.split('-').nth(1)?;
        let is_hex = |sign: u8| sign.is_ascii_digit() || (b'a'..=b'f').contains(&sign);
        let is_valid = id.len() == 32 && id.bytes().all(is_hex) && id.bytes().any(|sign| sign != b'0');
        is_valid.then(|| word(id))
    }

    /// True for a caller that takes what is known only at the end of a stream (RFC 9110, 6.5.1 and 10.1.4).
    pub(crate) const fn takes_trailers(&self) -> bool {
        self.takes_trailers
    }
}

fn names_trailers(codings: &HeaderValue) -> bool {
    let mut codings = codings.to_str().unwrap_or_default().split(',');
    codings.any(|coding| {
        coding
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("trailers")
    })
}

fn text(claim: Claim<'_>) -> Option<&str> {
    claim.and_then(|(_, value)| value.to_str().ok())
}

/// The client and its version, from the first product of its user agent; from `originator` or `x-app` where that is
/// missing, as in a harness's own side calls.
fn program(claims: &Claims<'_>) -> Option<(String, Option<String>)> {
    if let Some(agent) = text(claims.user_agent) {
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
    if let Some(name) = text(claims.originator).and_then(token) {
        return Some((name, None));
    }
    claims.is_claude.then(|| ("claude-code".to_owned(), None))
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

/// Header text is ASCII here, so any byte is a boundary; `floor_char_boundary` keeps it right regardless.
pub(crate) fn shortened(text: &str) -> String {
    text.get(..text.floor_char_boundary(MOST_HEADER_BYTES))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(&'static str, &str)]) -> CallerIdentity {
        Claims::of(&map(pairs)).identity()
    }

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn trailers_are_for_those_who_ask() {
        let asks = |values: &[(&'static str, &str)]| Claims::of(&map(values)).takes_trailers();
        assert!(asks(&[("te", "trailers")]) && asks(&[("te", "gzip;q=0.5, Trailers")]));
        assert!(asks(&[("te", "trailers"), ("te", "gzip")]) && asks(&[("te", "gzip"), ("te", "trailers;q=1")]));
        assert!(!asks(&[("te", "gzip")]) && !asks(&[("te", "")]) && !asks(&[]));
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
    fn of_several_names_of_a_session_the_first_in_our_order_counts() {
        let told = told(&[
            ("x-session-affinity", "last"),
            ("session_id", "third"),
            ("session-id", "second"),
            ("session-id", "again"),
            ("thread-id", "fourth"),
        ]);
        assert_eq!(told.harness_session.as_deref(), Some("second"));
    }

    #[test]
    fn only_a_well_formed_trace_is_one() {
        let of = |text: &str| Claims::of(&map(&[("traceparent", text)])).trace_id();
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
