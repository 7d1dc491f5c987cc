//! What an answer says beside its tokens that changes what it costs: the tools the provider ran, and the service tier.
//!
//! Anthropic and most who follow `OpenAI`'s Chat count tool uses in `usage`; Responses and Gemini show them among what
//! they say. The counts of a stream are cumulative, so the highest one seen is the count.

use airside_protocols::{Family, ServiceTier, ToolUses, top_level_member, top_level_text};
use memchr::memmem;
use serde::Deserialize;

/// What was read so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Extras {
    pub(crate) tool_uses: ToolUses,
    /// As the answer says; `None` until it does.
    pub(crate) service_tier: Option<ServiceTier>,
}

impl Extras {
    /// Read a whole answer, or the payload of an event that may carry counts; `usage` is its member of that name, or
    /// of Gemini's name for it.
    pub(crate) fn read(&mut self, family: Family, body: &[u8], usage: Option<&[u8]>) {
        if matches!(family, Family::OpenaiChat | Family::OpenaiResponses) {
            self.read_tier(top_level_text_if_there(body, "service_tier"));
        }
        match family {
            Family::Anthropic | Family::OpenaiChat => self.read_usage(usage),
            Family::OpenaiResponses => {
                self.read_usage(usage);
                self.read_output(body);
            }
            Family::Gemini => self.read_gemini(body, usage),
        }
    }

    fn read_tier(&mut self, name: Option<String>) {
        self.service_tier = name.and_then(|name| ServiceTier::named(&name)).or(self.service_tier);
    }

    fn note(&mut self, web_searches: u64, file_searches: u64) {
        self.tool_uses.web_searches = self.tool_uses.web_searches.max(web_searches);
        self.tool_uses.file_searches = self.tool_uses.file_searches.max(file_searches);
    }

    fn read_usage(&mut self, usage: Option<&[u8]>) {
        let usage = usage.filter(|usage| has_any(usage, &["service_tier", "speed", "search"]));
        let Some(usage) = usage.and_then(|usage| serde_json::from_slice::<Usage>(usage).ok()) else {
            return;
        };
        self.read_tier(usage.service_tier);
        self.read_tier(usage.speed.filter(|speed| speed == "fast"));
        let counted = usage.server_tool_use.unwrap_or_default().web_search_requests;
        self.note(counted.max(usage.num_search_queries).unwrap_or(0), 0);
    }

    fn read_output(&mut self, body: &[u8]) {
        let Some(items) = parsed::<Vec<Item>>(body, "output", &["web_search_call", "file_search_call"]) else {
            return;
        };
        // Opening a page that a search found, and looking for words in it, is part of that search.
        let searched = |item: &&Item| {
            let action = item.action.as_ref().and_then(|action| action.kind.as_deref());
            item.kind.as_deref() == Some("web_search_call") && action.is_none_or(|action| action == "search")
        };
        let web = items.iter().filter(searched).count();
        let files = items
            .iter()
            .filter(|item| item.kind.as_deref() == Some("file_search_call"));
        self.note(web as u64, files.count() as u64);
    }

    fn read_gemini(&mut self, body: &[u8], usage: Option<&[u8]>) {
        let usage = usage.filter(|usage| has_any(usage, &["serviceTier", "trafficType"]));
        if let Some(usage) = usage.and_then(|usage| serde_json::from_slice::<GeminiUsage>(usage).ok()) {
            self.read_tier(usage.service_tier.or(usage.traffic_type));
        }
        if let Some(candidates) = parsed::<Vec<Candidate>>(body, "candidates", &["webSearchQueries"]) {
            let queries = candidates
                .into_iter()
                .filter_map(|candidate| candidate.grounding_metadata);
            self.note(
                queries.map(|grounding| grounding.web_search_queries.len() as u64).sum(),
                0,
            );
        }
    }
}

/// A top-level member, read only if one of these words is anywhere in the body: most answers have none.
fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8], key: &str, words: &[&str]) -> Option<T> {
    if !has_any(body, words) {
        return None;
    }
    serde_json::from_slice(body.get(top_level_member(body, key)?)?).ok()
}

fn has_any(text: &[u8], words: &[&str]) -> bool {
    words.iter().any(|word| memmem::find(text, word.as_bytes()).is_some())
}

fn top_level_text_if_there(body: &[u8], key: &str) -> Option<String> {
    memmem::find(body, key.as_bytes())?;
    top_level_text(body, key).map(std::borrow::Cow::into_owned)
}

#[derive(Debug, Deserialize)]
struct Usage {
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    speed: Option<String>,
    #[serde(default)]
    server_tool_use: Option<ServerToolUse>,
    /// Perplexity's word for it.
    #[serde(default)]
    num_search_queries: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct ServerToolUse {
    #[serde(default)]
    web_search_requests: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Item {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    action: Option<Action>,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default, rename = "type")]
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiUsage {
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    traffic_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    grounding_metadata: Option<Grounding>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Grounding {
    #[serde(default)]
    web_search_queries: Vec<serde::de::IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(family: Family, body: &str) -> (u64, u64, Option<ServiceTier>) {
        let mut extras = Extras::default();
        let body = body.as_bytes();
        extras.read(family, body, crate::usage::usage_member(family, body));
        let uses = extras.tool_uses;
        (uses.web_searches, uses.file_searches, extras.service_tier)
    }

    #[test]
    fn each_dialect_has_its_own_place_for_searches() {
        let anthropic =
            r#"{"usage":{"input_tokens":1,"server_tool_use":{"web_search_requests":3},"service_tier":"standard"}}"#;
        assert_eq!(read(Family::Anthropic, anthropic), (3, 0, Some(ServiceTier::Standard)));
        let responses = r#"{"service_tier":"priority","output":[{"type":"web_search_call","action":{"type":"search"}},
            {"type":"web_search_call","action":{"type":"open_page"}},{"type":"web_search_call"},{"type":"file_search_call"},
            {"type":"message","content":[]}]}"#;
        assert_eq!(
            read(Family::OpenaiResponses, responses),
            (2, 1, Some(ServiceTier::Priority))
        );
        let chat = r#"{"service_tier":"flex","usage":{"server_tool_use":{"web_search_requests":1}}}"#;
        assert_eq!(read(Family::OpenaiChat, chat), (1, 0, Some(ServiceTier::Flex)));
        let gemini = r#"{"candidates":[{"groundingMetadata":{"webSearchQueries":["a","b"]}}],
            "usageMetadata":{"trafficType":"ON_DEMAND_PRIORITY"}}"#;
        assert_eq!(read(Family::Gemini, gemini), (2, 0, Some(ServiceTier::Priority)));
    }

    #[test]
    fn anthropics_fast_mode_is_a_tier() {
        let body = r#"{"usage":{"speed":"fast","service_tier":"standard"}}"#;
        assert_eq!(read(Family::Anthropic, body).2, Some(ServiceTier::Fast));
        let body = r#"{"usage":{"speed":"standard","service_tier":"batch"}}"#;
        assert_eq!(read(Family::Anthropic, body).2, Some(ServiceTier::Batch));
    }

    #[test]
    fn what_a_model_writes_is_no_service_tier() {
        let body = r#"{"output":[{"type":"message","content":[{"text":"\"service_tier\":\"priority\""}]}],"service_tier":null}"#;
        assert_eq!(read(Family::OpenaiResponses, body), (0, 0, None));
    }

    #[test]
    fn counts_of_a_stream_never_add_up() {
        let mut extras = Extras::default();
        for count in [1, 2, 2] {
            let body = format!(r#"{{"usage":{{"server_tool_use":{{"web_search_requests":{count}}}}}}}"#);
            let body = body.as_bytes();
            extras.read(
                Family::Anthropic,
                body,
                crate::usage::usage_member(Family::Anthropic, body),
            );
        }
        assert_eq!(extras.tool_uses.web_searches, 2);
    }
}
