//! What a request wishes for beyond words: tools, thinking, an answer of a given shape. Only asked for where a route
//! depends on it, so it is a walk of its own over the top level and not part of `scan_request`.

use std::borrow::Cow;

use memchr::memchr2;

use crate::family::Family;
use crate::json::{Blind, Cursor, Watcher, top_level_member, top_level_text, unescape};

/// Text this long without a quote, an escape or a space is no text.
const SHORTEST_MEDIA: usize = 1024;
/// Of such a text so much is looked at.
const LOOKED_AT: usize = 64;

/// The wishes of one request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Tools on offer.
    pub tools: u64,
    /// The model is to think or reason before it answers.
    pub thinking: bool,
    /// The answer must follow a schema.
    pub schema: bool,
}

impl Wishes {
    /// The wishes of a body of this family. What cannot be read is not wished for: whoever is asked will say so.
    #[must_use]
    pub fn of(body: &[u8], family: Family) -> Self {
        let mut wishes = Self::default();
        let mut extra = ExtraTools::default();
        let _ = each_member(body, &mut extra, |key, raw| wishes.take(family, key, raw));
        wishes.tools = wishes.tools.max(extra.found);
        wishes
    }

    fn take(&mut self, family: Family, key: &str, raw: &[u8]) {
        if raw == b"null" {
            return;
        }
        let member = |name| top_level_member(raw, name).and_then(|range| raw.get(range));
        let is_text = |name, word: &str| top_level_text(raw, name).as_deref() == Some(word);
        match (family, key) {
            (Family::Gemini, "tools") => self.tools = gemini_tools(raw),
            (_, "tools" | "functions") => self.tools = items(raw).count() as u64,
            (Family::Anthropic, "thinking") => self.thinking = !is_text("type", "disabled"),
            (Family::Anthropic, "output_format") => self.schema = true,
            (Family::Anthropic, "output_config") => self.schema |= member("format").is_some_and(|raw| raw != b"null"),
            (Family::OpenaiResponses, "reasoning") => self.thinking = !is_text("effort", "none"),
            (Family::OpenaiResponses, "text") => {
                let format = member("format").unwrap_or_default();
                self.schema = top_level_text(format, "type").as_deref() == Some("json_schema");
            }
            (Family::OpenaiChat, "reasoning_effort") => self.thinking = raw != b"\"none\"",
            (Family::OpenaiChat, "response_format") => self.schema = is_text("type", "json_schema"),
            (Family::Gemini, "generationConfig" | "generation_config") => {
                let either = |camel, snake| member(camel).or_else(|| member(snake));
                self.schema = either("responseSchema", "response_schema").is_some()
                    || either("responseJsonSchema", "response_json_schema").is_some();
                self.thinking = either("thinkingConfig", "thinking_config").is_some_and(thinks);
            }
            _ => {}
        }
    }
}

/// Gemini's `thinkingConfig`: a budget of nothing is no wish.
fn thinks(config: &[u8]) -> bool {
    let budget = top_level_member(config, "thinkingBudget").or_else(|| top_level_member(config, "thinking_budget"));
    budget.and_then(|range| config.get(range)) != Some(b"0")
}

/// Gemini puts many functions into one tool.
fn gemini_tools(raw: &[u8]) -> u64 {
    let functions = |tool: &[u8]| {
        let listed =
            top_level_member(tool, "functionDeclarations").or_else(|| top_level_member(tool, "function_declarations"));
        let listed = listed.and_then(|range| tool.get(range));
        listed.map_or(1, |listed| items(listed).count() as u64)
    };
    items(raw).map(functions).sum()
}

/// The values of an array, until its end or its first fault.
fn items(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(raw, crate::MAX_DEPTH);
    let mut opener = b'[';
    std::iter::from_fn(move || {
        cursor.skip_whitespace();
        cursor.expect(opener).ok()?;
        opener = b',';
        cursor.skip_whitespace();
        if cursor.peek() == Some(b']') {
            return None;
        }
        raw.get(cursor.value(&mut Blind).ok()?)
    })
}

/// Show every member of the outermost object; `None` when the text breaks.
fn each_member(body: &[u8], watcher: &mut impl Watcher, mut show: impl FnMut(&str, &[u8])) -> Option<()> {
    let mut cursor = Cursor::new(body, crate::MAX_DEPTH);
    cursor.skip_bom();
    cursor.skip_whitespace();
    cursor.expect(b'{').ok()?;
    loop {
        cursor.skip_whitespace();
        let key = unescape(cursor.string().ok()?).unwrap_or(Cow::Borrowed(""));
        cursor.skip_whitespace();
        cursor.expect(b':').ok()?;
        cursor.skip_whitespace();
        let range = cursor.value(watcher).ok()?;
        show(&key, body.get(range)?);
        cursor.skip_whitespace();
        cursor.expect(b',').ok()?;
    }
}

/// Codex in its code mode sends its tools as an item of the input.
#[derive(Debug, Default)]
struct ExtraTools {
    found: u64,
}

impl Watcher for ExtraTools {
    fn string_at(&mut self, text: &[u8], quote: usize) {
        let mut cursor = Cursor::starting_at(text, quote);
        if cursor.string() != Ok(b"type") {
            return;
        }
        cursor.skip_whitespace();
        if cursor.expect(b':').is_err() {
            return;
        }
        cursor.skip_whitespace();
        if cursor.string() == Ok(b"additional_tools") {
            self.found += 1;
        }
    }
}

/// Bytes of a body that are pictures or files in base64 and not words.
#[must_use]
pub fn media_bytes(body: &[u8]) -> u64 {
    let (mut rest, mut media) = (body, 0);
    while let Some(end) = memchr2(b'"', b'\\', rest) {
        let run = rest.get(..end).unwrap_or_default();
        let start = run.get(..LOOKED_AT.min(run.len())).unwrap_or_default();
        if run.len() >= SHORTEST_MEDIA && start.iter().all(|byte| !byte.is_ascii_whitespace()) {
            media += run.len() as u64;
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    media
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wishes(family: Family, body: &str) -> (u64, bool, bool) {
        let found = Wishes::of(body.as_bytes(), family);
        (found.tools, found.thinking, found.schema)
    }

    #[test]
    fn each_dialect_says_its_wishes_in_its_own_words() {
        let nothing = (0, false, false);
        for (family, body, expected) in [
            (
                Family::Anthropic,
                r#"{"model":"m","tools":[{"name":"a"}, {"name":"b"}],"thinking":{"type":"adaptive"}}"#,
                (2, true, false),
            ),
            (
                Family::Anthropic,
                r#"{"thinking":{"type":"disabled"},"tools":[]}"#,
                nothing,
            ),
            (
                Family::Anthropic,
                r#"{"output_config":{"effort":"low","format":{"type":"json_schema"}}}"#,
                (0, false, true),
            ),
            (Family::Anthropic, r#"{"output_config":{"effort":"low"}}"#, nothing),
            (
                Family::OpenaiResponses,
                r#"{"reasoning":{"effort":"high"},"text":{"format":{"type":"json_schema"}},"tools":[1]}"#,
                (1, true, true),
            ),
            (
                Family::OpenaiResponses,
                r#"{"reasoning":{"effort":"none"},"text":{"format":{"type":"text"}},"tools":null}"#,
                nothing,
            ),
            (
                Family::OpenaiResponses,
                r#"{"input":[{"type":"additional_tools","tools":[]}]}"#,
                (1, false, false),
            ),
        ] {
            assert_eq!(wishes(family, body), expected, "{body}");
        }
    }

    #[test]
    fn chat_and_gemini_say_them_in_their_own() {
        let nothing = (0, false, false);
        for (family, body, expected) in [
            (
                Family::OpenaiChat,
                r#"{"reasoning_effort":"low","response_format":{"type":"json_schema"}}"#,
                (0, true, true),
            ),
            (
                Family::OpenaiChat,
                r#"{"reasoning_effort":"none","response_format":{"type":"text"}}"#,
                nothing,
            ),
            (
                Family::Gemini,
                r#"{"tools":[{"functionDeclarations":[{},{}]},{"googleSearch":{}}],"generationConfig":{"thinkingConfig":{"thinkingBudget":0},"responseSchema":{}}}"#,
                (3, false, true),
            ),
            (
                Family::Gemini,
                r#"{"generation_config":{"thinking_config":{"include_thoughts":true}}}"#,
                (0, true, false),
            ),
            (
                Family::Anthropic,
                r#"{"messages":[{"tools":[1],"thinking":{}}]}"#,
                nothing,
            ),
            (Family::Anthropic, "[]", nothing),
        ] {
            assert_eq!(wishes(family, body), expected, "{body}");
        }
    }

    #[test]
    fn pictures_are_told_from_words() {
        let picture = "A".repeat(5_000);
        let words = "some words ".repeat(1_000);
        let body = format!(r#"{{"a":"{words}","b":{{"data":"{picture}"}},"c":"{words}"}}"#);
        assert_eq!(media_bytes(body.as_bytes()), 5_000);
        assert_eq!(media_bytes(b"{}"), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_walk_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for family in [Family::Anthropic, Family::OpenaiResponses, Family::OpenaiChat, Family::Gemini] {
                let _ = Wishes::of(&bytes, family);
            }
            let _ = media_bytes(&bytes);
        }

        #[test]
        fn every_tool_is_counted(names in prop::collection::vec(any::<String>(), 0..20)) {
            let tools: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name, "tools": [1]})).collect();
            let body = serde_json::json!({"a": names, "tools": tools}).to_string();
            prop_assert_eq!(Wishes::of(body.as_bytes(), Family::Anthropic).tools, names.len() as u64);
        }
    }
}
