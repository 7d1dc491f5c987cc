//! What an answer says beside its tokens that changes what it costs: the tools the provider ran, and the service tier.
//!
//! Anthropic and most who follow `OpenAI`'s Chat count tool uses in `usage`; Responses and Gemini show them among what
//! they say. The counts of a stream are cumulative, so the highest one seen is the count.

use std::borrow::Cow;
use std::sync::LazyLock;

use airside_protocols::{Family, ServiceTier, ToolUses, string_text};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::usage::Spoken;

/// What was read so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Extras {
    pub(crate) tool_uses: ToolUses,
    /// As the answer says; `None` until it does.
    pub(crate) service_tier: Option<ServiceTier>,
}

impl Extras {
    /// Read a whole answer, or the payload of an event that may carry counts; `beside` is what its `usage` says beside
    /// them.
    pub(crate) fn read(&mut self, family: Family, answer: &Spoken<'_>, beside: &Beside<'_>) {
        if matches!(family, Family::OpenaiChat | Family::OpenaiResponses) {
            self.read_tier(answer.service_tier.and_then(text).as_deref());
        }
        if family == Family::Gemini {
            self.read_gemini(answer, beside);
            return;
        }
        self.read_usage(beside);
        if family == Family::OpenaiResponses {
            self.read_output(answer);
        }
    }

    fn read_tier(&mut self, name: Option<&str>) {
        self.service_tier = name.and_then(ServiceTier::named).or(self.service_tier);
    }

    fn note(&mut self, web_searches: u64, file_searches: u64) {
        self.tool_uses.web_searches = self.tool_uses.web_searches.max(web_searches);
        self.tool_uses.file_searches = self.tool_uses.file_searches.max(file_searches);
    }

    fn read_usage(&mut self, beside: &Beside<'_>) {
        let Some(usage) = beside.usage() else { return };
        self.read_tier(usage.service_tier.as_deref());
        self.read_tier(usage.speed.as_deref().filter(|speed| *speed == "fast"));
        self.note(usage.web_searches.max(usage.queries).unwrap_or(0), 0);
    }

    fn read_output(&mut self, answer: &Spoken<'_>) {
        let Some(items) = parsed::<Vec<Item>>(answer, &*SEARCH_CALLS) else {
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

    fn read_gemini(&mut self, answer: &Spoken<'_>, beside: &Beside<'_>) {
        if let Some((service_tier, traffic_type)) = beside.gemini() {
            self.read_tier(service_tier.or(traffic_type).as_deref());
        }
        if let Some(candidates) = parsed::<Vec<Candidate>>(answer, &*SEARCH_QUERIES) {
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

/// Words without which an answer has none of what is read from `said`.
static SEARCH_CALLS: LazyLock<[Finder<'static>; 2]> =
    LazyLock::new(|| [Finder::new("web_search_call"), Finder::new("file_search_call")]);
static SEARCH_QUERIES: LazyLock<[Finder<'static>; 1]> = LazyLock::new(|| [Finder::new("webSearchQueries")]);

/// What was said, read only if one of these words is anywhere in the answer: most have none.
fn parsed<'a, T: Deserialize<'a>>(answer: &Spoken<'a>, words: &[Finder<'_>]) -> Option<T> {
    let said = answer.said?;
    let is_there = words.iter().any(|word| word.find(answer.body).is_some());
    is_there.then(|| serde_json::from_slice(said).ok()).flatten()
}

/// The text of a JSON string.
fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    string_text(std::str::from_utf8(raw).ok()?)
}

const OF_USAGE: [&str; 4] = ["service_tier", "speed", "server_tool_use", "num_search_queries"];
const OF_GEMINI: [&str; 2] = ["serviceTier", "trafficType"];

/// What a `usage` says beside its counts, as it is written there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beside<'a> {
    names: &'static [&'static str],
    said: [Option<&'a [u8]>; 4],
    is_repeated: bool,
}

impl<'a> Beside<'a> {
    /// Nothing yet, of a `usage` of this family.
    pub(crate) fn of(family: Family) -> Self {
        let is_gemini = family == Family::Gemini;
        Self {
            names: if is_gemini { &OF_GEMINI } else { &OF_USAGE },
            said: [None; 4],
            is_repeated: false,
        }
    }

    /// Take note of a member, if it tells anything.
    pub(crate) fn note(&mut self, key: &[u8], raw: &'a [u8]) {
        let places = self.names.iter().zip(&mut self.said);
        let place = places
            .filter(|(name, _)| name.as_bytes() == key)
            .map(|(_, place)| place)
            .next();
        if let Some(place) = place {
            self.is_repeated |= place.replace(raw).is_some();
        }
    }

    /// `None` where a value is not what it should be, or stands twice.
    fn usage(&self) -> Option<Usage> {
        let [service_tier, speed, tools, queries] = self.said;
        let usage = Usage {
            service_tier: optional(service_tier).ok()?,
            speed: optional(speed).ok()?,
            web_searches: optional::<ServerToolUse>(tools)
                .ok()?
                .unwrap_or_default()
                .web_search_requests,
            queries: optional(queries).ok()?,
        };
        (!self.is_repeated).then_some(usage)
    }

    /// The tier, and the kind of traffic, which is its name at Vertex.
    fn gemini(&self) -> Option<(Option<String>, Option<String>)> {
        let [service_tier, traffic_type, ..] = self.said;
        let both = (optional(service_tier).ok()?, optional(traffic_type).ok()?);
        (!self.is_repeated).then_some(both)
    }
}

/// The value, or none where there is none or null.
fn optional<T: DeserializeOwned>(raw: Option<&[u8]>) -> serde_json::Result<Option<T>> {
    raw.map_or(Ok(None), serde_json::from_slice)
}

#[derive(Debug)]
struct Usage {
    service_tier: Option<String>,
    speed: Option<String>,
    web_searches: Option<u64>,
    /// Perplexity's word for it.
    queries: Option<u64>,
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
    use crate::UsageTap;

    fn read(family: Family, body: &str) -> (u64, u64, Option<ServiceTier>) {
        let mut tap = UsageTap::default();
        tap.read_answer(family, body.as_bytes());
        let uses = tap.tool_uses();
        (uses.web_searches, uses.file_searches, tap.service_tier())
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
        let mut tap = UsageTap::default();
        for count in [1, 2, 2] {
            let body = format!(r#"{{"usage":{{"server_tool_use":{{"web_search_requests":{count}}}}}}}"#);
            tap.read_answer(Family::Anthropic, body.as_bytes());
        }
        assert_eq!(tap.tool_uses().web_searches, 2);
    }
}
