//! A request that stays in its family, for a target that did not issue what is in it: thoughts and signatures are cut
//! out, the rest stays byte for byte.

use std::ops::Range;

use airside_protocols::Family;

use crate::json::Json;
use crate::loss::Loss;
use crate::opaque::{unseal, untag_call_id};
use crate::request::conversation::THOUGHTS;
use crate::request::losses::{Field, Losses};

/// Anthropic's word for no thinking.
const DISABLED: &str = r#"{"type":"disabled"}"#;
/// What the vendor takes instead of a signature.
const UNSIGNED: &str = r#""skip_thought_signature_validator""#;

/// The body without any thought or signature, for another issuer of the same family; `None` if there is none.
///
/// Nothing is put back that the gateway once sealed for the caller: it goes as well, out of the ids of tool calls too.
#[must_use]
pub fn strip_foreign_thinking(family: Family, body: &[u8]) -> Option<(Vec<u8>, Vec<Loss>)> {
    strip(family, body, &|_| true)
}

/// The body without what the gateway once sealed for the caller on behalf of another family, for the issuer of all the
/// rest; `None` if there is none. To be used on every call that passes to the family it was said in, because after a
/// fallback the caller's history holds what no provider of that family can read.
#[must_use]
pub fn strip_sealed_thinking(family: Family, body: &[u8]) -> Option<(Vec<u8>, Vec<Loss>)> {
    // Most bodies hold nothing of the kind, which is found out fast.
    let has = |mark: &[u8]| memchr::memmem::find(body, mark).is_some();
    if !has(b"\"airside:") && !has(b"__airs_") && !has(b"\"YWlyc2lkZT") {
        return None;
    }
    strip(family, body, &|field| {
        field.and_then(Json::plain).is_some_and(|text| unseal(&text).is_some())
    })
}

/// The body without the wish that the model think, for a target that cannot; `None` if there is none.
#[must_use]
pub fn strip_wish_to_think(family: Family, body: &[u8]) -> Option<(Vec<u8>, Vec<Loss>)> {
    let whole = Json::parse(body)?;
    let mut edits = Edits {
        base: body.as_ptr() as usize,
        made: Vec::new(),
    };
    let says = |value: Json<'_>, name: &str, word: &str| value.object().plain(name).as_deref() == Some(word);
    for (key, value) in whole.members().filter(|(_, value)| value.raw() != "null") {
        match (family, key.as_ref()) {
            (Family::Anthropic, "thinking") if !says(value, "type", "disabled") => {
                edits.replace(value, DISABLED);
                // It may say what becomes of earlier thoughts, which is an error without thinking.
                let management = whole.members().filter(|(key, _)| key == "context_management");
                management.for_each(|(_, value)| edits.replace(value, "null"));
            }
            (Family::OpenaiResponses, "reasoning") if !says(value, "effort", "none") => edits.replace(value, "null"),
            // What is sealed is thought, and is refused where there is none.
            (Family::OpenaiResponses, "include") => {
                let items: Vec<_> = value.items().collect();
                let is_sealed = |item: &Json<'_>| item.plain().as_deref() == Some("reasoning.encrypted_content");
                edits.cut(&items, &items.iter().map(is_sealed).collect::<Vec<_>>());
            }
            (Family::OpenaiChat, "reasoning_effort") if value.raw() != "\"none\"" => edits.replace(value, "null"),
            (Family::Gemini, "generationConfig" | "generation_config") => {
                let configs = value.members().filter(|(_, config)| config.raw() != "null");
                let of_thinking =
                    configs.filter(|(key, _)| matches!(key.as_ref(), "thinkingConfig" | "thinking_config"));
                of_thinking.for_each(|(_, config)| edits.replace(config, "null"));
            }
            _ => {}
        }
    }
    edits.made.sort_by_key(|(range, _)| range.start);
    let mut losses = Losses::default();
    losses.add(Field::Reasoning.spelled(family));
    (!edits.made.is_empty()).then(|| (edits.applied(body), losses.sorted()))
}

/// Says of a thought's opaque field whether the thought goes.
type Goes<'g> = dyn Fn(Option<Json<'_>>) -> bool + 'g;

fn strip(family: Family, body: &[u8], goes: &Goes<'_>) -> Option<(Vec<u8>, Vec<Loss>)> {
    let whole = Json::parse(body)?;
    let mut edits = Edits {
        base: body.as_ptr() as usize,
        made: Vec::new(),
    };
    let fields = whole.object();
    match family {
        Family::Anthropic => edits.anthropic(whole, goes),
        Family::OpenaiResponses => edits.responses(fields.get("input")?, goes),
        Family::OpenaiChat => edits.chat(fields.get("messages")?, goes),
        Family::Gemini => edits.gemini(fields.get("contents")?, goes),
    }
    if edits.made.is_empty() {
        return None;
    }
    let mut losses = Losses::default();
    losses.add(Field::Thinking.spelled(family));
    Some((edits.applied(body), losses.sorted()))
}

/// Places of the body and what goes there instead, in order.
struct Edits {
    base: usize,
    made: Vec<(Range<usize>, String)>,
}

impl Edits {
    fn range(&self, value: Json<'_>) -> Range<usize> {
        let start = (value.raw().as_ptr() as usize).saturating_sub(self.base);
        start..start + value.raw().len()
    }

    fn replace(&mut self, value: Json<'_>, with: &str) {
        self.made.push((self.range(value), with.to_owned()));
    }

    /// Cut items out of an array, each with the comma that it no longer needs.
    fn cut(&mut self, items: &[Json<'_>], goes: &[bool]) {
        let mut at = 0;
        while at < items.len() {
            let run = goes.iter().skip(at).take_while(|goes| **goes).count();
            let (Some(first), Some(last)) = (items.get(at), items.get((at + run).saturating_sub(1))) else {
                return;
            };
            if run > 0 {
                let cut = match (
                    items.get(at + run),
                    at.checked_sub(1).and_then(|before| items.get(before)),
                ) {
                    (Some(next), _) => self.range(*first).start..self.range(*next).start,
                    (None, Some(before)) => self.range(*before).end..self.range(*last).end,
                    (None, None) => self.range(*first).start..self.range(*last).end,
                };
                self.made.push((cut, String::new()));
            }
            at += run.max(1);
        }
    }

    /// Take from an id what was added to it.
    fn untag(&mut self, id: Option<Json<'_>>) {
        if let Some((value, plain)) = id.and_then(|value| Some((value, value.plain()?)))
            && let (own, Some(_)) = untag_call_id(&plain)
        {
            self.replace(value, &serde_json::Value::from(own).to_string());
        }
    }

    fn anthropic(&mut self, whole: Json<'_>, goes: &Goes<'_>) {
        let fields = whole.object();
        let messages: Vec<_> = fields.items("messages").collect();
        let mut emptied = Vec::with_capacity(messages.len());
        // The latest turn of the model lost a thought.
        let mut lost = false;
        let mut answers_calls = false;
        for message in &messages {
            let message = message.object();
            let blocks: Vec<_> = message.items("content").collect();
            let gone: Vec<bool> = blocks.iter().map(|block| is_gone(*block, goes)).collect();
            let any = gone.contains(&true);
            let all = any && !gone.contains(&false);
            match message.plain("role").as_deref() {
                Some("assistant") => lost = any,
                Some("user") => answers_calls = blocks.iter().any(|block| block.object().kind() == "tool_result"),
                _ => {}
            }
            emptied.push(all);
            if !all {
                self.cut(&blocks, &gone);
            }
            for block in blocks.iter().map(|block| block.object()) {
                match block.kind().as_ref() {
                    "tool_use" => self.untag(block.get("id")),
                    "tool_result" => self.untag(block.get("tool_use_id")),
                    _ => {}
                }
            }
        }
        self.cut(&messages, &emptied);
        // A turn of older models that thinks must begin with its thought.
        let thinking = fields
            .get("thinking")
            .filter(|given| given.object().kind() == "enabled");
        if let Some(thinking) = thinking.filter(|_| lost && answers_calls) {
            self.replace(thinking, DISABLED);
            if let Some(edits) = fields.get("context_management") {
                self.replace(edits, "null");
            }
        }
    }

    fn responses(&mut self, input: Json<'_>, goes: &Goes<'_>) {
        let items: Vec<_> = input.items().collect();
        let mut gone = Vec::with_capacity(items.len());
        for item in items.iter().map(|item| item.object()) {
            let is_thought = item.kind() == "reasoning";
            gone.push(is_thought && goes(item.get("encrypted_content")));
            self.untag(item.get("call_id"));
        }
        self.cut(&items, &gone);
    }

    /// Thoughts of Chat servers are shown in clear, so only the ids hold what was sealed.
    fn chat(&mut self, messages: Json<'_>, goes: &Goes<'_>) {
        for message in messages.items().map(Json::object) {
            for thought in THOUGHTS.iter().filter_map(|name| message.get(name)) {
                if goes(Some(thought)) {
                    self.replace(thought, "null");
                }
            }
            self.untag(message.get("tool_call_id"));
            for call in message.items("tool_calls").map(Json::object) {
                self.untag(call.get("id"));
            }
        }
    }

    fn gemini(&mut self, contents: Json<'_>, goes: &Goes<'_>) {
        for part in contents
            .items()
            .flat_map(|content| content.object().items("parts"))
            .map(Json::object)
        {
            for signature in ["thoughtSignature", "thought_signature"]
                .iter()
                .filter_map(|name| part.get(name))
            {
                if goes(Some(signature)) {
                    self.replace(signature, UNSIGNED);
                }
            }
        }
    }

    fn applied(mut self, body: &[u8]) -> Vec<u8> {
        self.made.sort_by_key(|(place, _)| place.start);
        let mut out = Vec::with_capacity(body.len());
        let mut copied = 0;
        for (place, with) in self.made {
            // What lies in a piece that is gone already is gone.
            if place.start < copied {
                continue;
            }
            out.extend_from_slice(body.get(copied..place.start).unwrap_or_default());
            out.extend_from_slice(with.as_bytes());
            copied = place.end;
        }
        out.extend_from_slice(body.get(copied..).unwrap_or_default());
        out
    }
}

fn is_gone(block: Json<'_>, goes: &Goes<'_>) -> bool {
    let block = block.object();
    match block.kind().as_ref() {
        "thinking" => goes(block.get("signature")),
        "redacted_thinking" => goes(block.get("data")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opaque::{seal, tag_call_id};

    fn stripped(family: Family, body: &str) -> Option<String> {
        let (body, losses) = strip_foreign_thinking(family, body.as_bytes())?;
        assert_eq!(losses.len(), 1);
        Some(String::from_utf8(body).unwrap())
    }

    #[test]
    fn thoughts_are_cut_out_and_every_other_byte_stays() {
        let body = r#"{ "messages" : [ {"role":"assistant","content":[ {"type":"thinking","signature":"s"} , {"type":"text","text":"\u00e9"} ]},{"role":"user","content":"x"},
            {"role":"assistant","content":[{"type":"text","text":"a"}, {"type":"redacted_thinking","data":"d"}]},{"role":"assistant","content":[{"type":"thinking"}]} ],"n":1.0}"#;
        let expected = r#"{ "messages" : [ {"role":"assistant","content":[ {"type":"text","text":"\u00e9"} ]},{"role":"user","content":"x"},
            {"role":"assistant","content":[{"type":"text","text":"a"}]} ],"n":1.0}"#;
        assert_eq!(stripped(Family::Anthropic, body).as_deref(), Some(expected));
        assert_eq!(stripped(Family::Anthropic, expected), None);
    }

    #[test]
    fn older_claude_stops_thinking_in_a_loop_that_lost_its_thought() {
        let body = |thinking: &str| {
            format!(
                r#"{{"thinking":{thinking},"messages":[{{"role":"assistant","content":[{{"type":"thinking"}},{{"type":"tool_use"}}]}},{{"role":"user","content":[{{"type":"tool_result"}}]}}]}}"#
            )
        };
        let enabled = stripped(Family::Anthropic, &body(r#"{"type":"enabled","budget_tokens":2000}"#)).unwrap();
        assert!(enabled.contains(r#""thinking":{"type":"disabled"}"#));
        let adaptive = stripped(Family::Anthropic, &body(r#"{"type":"adaptive"}"#)).unwrap();
        assert!(adaptive.contains(r#""thinking":{"type":"adaptive"}"#));
    }

    #[test]
    fn sealed_thoughts_are_not_asked_for_where_there_are_none() {
        let sealed = r#"{"include":["reasoning.encrypted_content","x"],"reasoning":{"effort":"none"}}"#;
        let (out, _) = strip_wish_to_think(Family::OpenaiResponses, sealed.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"include":["x"],"reasoning":{"effort":"none"}}"#
        );
    }

    #[test]
    fn the_wish_to_think_goes_and_every_other_byte_stays() {
        for (family, body, expected) in [
            (
                Family::Anthropic,
                r#"{"thinking": {"type":"adaptive"} ,"context_management":{"edits":[]},"output_config":{"effort":"low"},"n":1.0}"#,
                r#"{"thinking": {"type":"disabled"} ,"context_management":null,"output_config":{"effort":"low"},"n":1.0}"#,
            ),
            (
                Family::OpenaiResponses,
                r#"{"reasoning":{"effort":"high"},"input":"reasoning"}"#,
                r#"{"reasoning":null,"input":"reasoning"}"#,
            ),
            (
                Family::OpenaiChat,
                r#"{ "reasoning_effort":"low"}"#,
                r#"{ "reasoning_effort":null}"#,
            ),
            (
                Family::Gemini,
                r#"{"generationConfig":{"thinkingConfig":{"thinkingBudget":9},"topK":1}}"#,
                r#"{"generationConfig":{"thinkingConfig":null,"topK":1}}"#,
            ),
        ] {
            let (out, losses) = strip_wish_to_think(family, body.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
            assert_eq!(losses, [Loss::of(Field::Reasoning.spelled(family))]);
            for without in [
                r#"{"thinking":{"type":"disabled"},"context_management":{"edits":[]}}"#,
                r#"{"context_management":{"edits":[]},"thinking":null}"#,
                r#"{"reasoning":{"effort":"none"},"reasoning_effort":"none","include":["x"]}"#,
                r#"{"reasoning":null,"reasoning_effort":null,"generationConfig":{"thinkingConfig":null}}"#,
            ] {
                assert_eq!(strip_wish_to_think(family, without.as_bytes()), None, "{without}");
            }
        }
    }

    #[test]
    fn every_family_loses_its_own_kind_of_thought() {
        for (family, body, expected) in [
            (
                Family::OpenaiResponses,
                r#"{"input":[{"type":"reasoning","encrypted_content":"e"},{"type":"message"}]}"#,
                r#"{"input":[{"type":"message"}]}"#,
            ),
            (
                Family::OpenaiChat,
                r#"{"messages":[{"role":"assistant","reasoning_content":"r","content":"c"}]}"#,
                r#"{"messages":[{"role":"assistant","reasoning_content":null,"content":"c"}]}"#,
            ),
            (
                Family::Gemini,
                r#"{"contents":[{"parts":[{"functionCall":{},"thoughtSignature":"c2ln"}]}]}"#,
                r#"{"contents":[{"parts":[{"functionCall":{},"thoughtSignature":"skip_thought_signature_validator"}]}]}"#,
            ),
        ] {
            assert_eq!(stripped(family, body).as_deref(), Some(expected));
        }
    }

    #[test]
    fn only_what_was_sealed_goes_when_the_issuer_of_the_rest_is_called() {
        let sealed = seal(Family::Anthropic, Family::Gemini, r#""c2ln""#);
        let id = tag_call_id("call_1", Family::Gemini, r#""c2ln""#);
        let body = format!(
            r#"{{"messages":[{{"role":"assistant","content":[{{"type":"thinking","signature":"EqQB"}},{{"type":"thinking","signature":"{sealed}"}},{{"type":"tool_use","id":"{id}"}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"{id}"}}]}}]}}"#
        );
        let (out, _) = strip_sealed_thinking(Family::Anthropic, body.as_bytes()).unwrap();
        let expected = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","signature":"EqQB"},{"type":"tool_use","id":"call_1"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1"}]}]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        assert_eq!(strip_sealed_thinking(Family::Anthropic, expected.as_bytes()), None);
    }
}
