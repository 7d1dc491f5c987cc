//! What a request wishes for beyond words: tools, thinking, an answer of a given shape. `scan_request` notes where it
//! says so; what it says is read where a route depends on it.

use std::ops::Range;

use memchr::memchr2;

use crate::family::Family;
use crate::json::{Cursor, top_level_member, top_level_text};
use crate::skip::Blind;

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

/// Where a request says what it wishes for, noted while it is scanned. None of it is read before somebody asks: a list
/// of tools may be most of a body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wished {
    /// The tools on offer; this, as the others, is empty where nothing is said.
    tools: Range<usize>,
    /// Each of them may hold many.
    tools_are_groups: bool,
    thinking: Range<usize>,
    /// What the answer is to look like.
    shape: Range<usize>,
    has_output_format: bool,
    /// Tools that are offered elsewhere in it.
    pub(crate) extra_tools: u64,
}

impl Wished {
    /// Note a member of the outermost object, if it is a wish. The last counts of those that say the same.
    pub(crate) fn note(&mut self, family: Family, key: &[u8], body: &[u8], range: &Range<usize>) {
        let raw = body.get(range.clone()).unwrap_or_default();
        if raw == b"null" {
            return;
        }
        match (family, key) {
            (_, b"tools" | b"functions") => {
                self.tools = range.clone();
                self.tools_are_groups = family == Family::Gemini && key == b"tools";
            }
            (Family::Anthropic, b"thinking")
            | (Family::OpenaiResponses, b"reasoning")
            | (Family::OpenaiChat, b"reasoning_effort") => self.thinking = range.clone(),
            (Family::Anthropic, b"output_format") => self.has_output_format = true,
            (Family::Anthropic, b"output_config") => {
                // It has words on other things too, so one without a format takes nothing back.
                self.has_output_format |= body.get(self.shape.clone()).is_some_and(has_format);
                self.shape = range.clone();
            }
            (Family::OpenaiResponses, b"text")
            | (Family::OpenaiChat, b"response_format")
            | (Family::Gemini, b"generationConfig" | b"generation_config") => self.shape = range.clone(),
            _ => {}
        }
    }
}

impl Wishes {
    /// The wishes of a body of this family. What cannot be read is not wished for: whoever is asked will say so.
    #[must_use]
    pub fn of(body: &[u8], wished: &Wished, family: Family) -> Self {
        let said = |range: &Range<usize>| body.get(range.clone()).filter(|raw| !raw.is_empty());
        let tools = said(&wished.tools).map_or(0, |raw| {
            if wished.tools_are_groups {
                gemini_tools(raw)
            } else {
                items(raw).count() as u64
            }
        });
        let shape = said(&wished.shape);
        let (thinking, schema) = match family {
            Family::Gemini => (shape.is_some_and(thinks), shape.is_some_and(has_schema)),
            _ => (
                said(&wished.thinking).is_some_and(|raw| is_thinking(family, raw)),
                wished.has_output_format || shape.is_some_and(|raw| is_schema(family, raw)),
            ),
        };
        Self {
            tools: tools.max(wished.extra_tools),
            thinking,
            schema,
        }
    }
}

fn member<'a>(raw: &'a [u8], name: &str) -> Option<&'a [u8]> {
    raw.get(top_level_member(raw, name)?)
}

fn says(raw: &[u8], name: &str, word: &str) -> bool {
    top_level_text(raw, name).as_deref() == Some(word)
}

/// What is said of thinking, in the families that say it in a member of its own.
fn is_thinking(family: Family, raw: &[u8]) -> bool {
    match family {
        Family::Anthropic => !says(raw, "type", "disabled"),
        Family::OpenaiResponses => !says(raw, "effort", "none"),
        Family::OpenaiChat => raw != b"\"none\"",
        Family::Gemini => false,
    }
}

/// True if an answer of this shape follows a schema.
fn is_schema(family: Family, raw: &[u8]) -> bool {
    match family {
        Family::Anthropic => has_format(raw),
        Family::OpenaiResponses => says(member(raw, "format").unwrap_or_default(), "type", "json_schema"),
        Family::OpenaiChat => says(raw, "type", "json_schema"),
        Family::Gemini => has_schema(raw),
    }
}

/// Anthropic's `output_config`.
fn has_format(config: &[u8]) -> bool {
    member(config, "format").is_some_and(|raw| raw != b"null")
}

/// Gemini's `generationConfig`, in either spelling.
fn has_schema(config: &[u8]) -> bool {
    [
        "responseSchema",
        "response_schema",
        "responseJsonSchema",
        "response_json_schema",
    ]
    .iter()
    .any(|name| member(config, name).is_some())
}

/// Gemini's `generationConfig`: a budget of nothing is no wish to think.
fn thinks(config: &[u8]) -> bool {
    let either = |raw, camel, snake| member(raw, camel).or_else(|| member(raw, snake));
    let thinking = either(config, "thinkingConfig", "thinking_config");
    thinking.is_some_and(|raw| either(raw, "thinkingBudget", "thinking_budget") != Some(b"0"))
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
    use crate::{Address, FrontDoor, object_members, scan_request};
    use proptest::prelude::*;

    fn of(family: Family, body: &[u8]) -> Option<Wishes> {
        let address = Address {
            door: FrontDoor::of(family),
            model: Some("m".to_owned()),
            streams: false,
        };
        let fields = scan_request(body, &address).ok()?;
        Some(Wishes::of(body, &fields.wished, family))
    }

    fn wishes(family: Family, body: &str) -> (u64, bool, bool) {
        let found = of(family, body.as_bytes()).unwrap_or_default();
        (found.tools, found.thinking, found.schema)
    }

    /// The same, read member by member as they come.
    fn one_by_one(family: Family, body: &[u8]) -> Wishes {
        let mut found = Wishes::default();
        for (key, raw) in object_members(body).expect("an object") {
            match (family, key.as_ref()) {
                _ if raw == b"null" => {}
                (Family::Gemini, "tools") => found.tools = gemini_tools(raw),
                (_, "tools" | "functions") => found.tools = items(raw).count() as u64,
                (Family::Anthropic, "thinking") => found.thinking = !says(raw, "type", "disabled"),
                (Family::Anthropic, "output_format") => found.schema = true,
                (Family::Anthropic, "output_config") => found.schema |= has_format(raw),
                (Family::OpenaiResponses, "reasoning") => found.thinking = !says(raw, "effort", "none"),
                (Family::OpenaiResponses, "text") => {
                    found.schema = member(raw, "format").is_some_and(|format| says(format, "type", "json_schema"));
                }
                (Family::OpenaiChat, "reasoning_effort") => found.thinking = raw != b"\"none\"",
                (Family::OpenaiChat, "response_format") => found.schema = says(raw, "type", "json_schema"),
                (Family::Gemini, "generationConfig" | "generation_config") => {
                    (found.schema, found.thinking) = (has_schema(raw), thinks(raw));
                }
                _ => {}
            }
        }
        found
    }

    fn members() -> impl Strategy<Value = Vec<String>> {
        const KEYS: [&str; 12] = [
            "tools",
            "functions",
            "t\\u006fols",
            "thinking",
            "reasoning",
            "reasoning_effort",
            "output_format",
            "output_config",
            "text",
            "response_format",
            "generationConfig",
            "messages",
        ];
        const VALUES: [&str; 14] = [
            "null",
            "[]",
            "[1,{}]",
            "[{\"functionDeclarations\":[1,2]}]",
            "\"none\"",
            "\"high\"",
            "{\"type\":\"disabled\"}",
            "{\"type\":\"json_schema\"}",
            "{\"effort\":\"none\"}",
            "{\"format\":null}",
            "{\"format\":{\"type\":\"json_schema\"}}",
            "{\"thinkingConfig\":{\"thinkingBudget\":0}}",
            "{\"thinking_config\":{},\"responseSchema\":1}",
            "7",
        ];
        let member = (prop::sample::select(&KEYS[..]), prop::sample::select(&VALUES[..]));
        prop::collection::vec(member.prop_map(|(key, value)| format!("\"{key}\": {value}")), 0..6)
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
                let _ = of(family, &bytes);
            }
            let _ = media_bytes(&bytes);
        }

        #[test]
        fn every_tool_is_counted(names in prop::collection::vec(any::<String>(), 0..20)) {
            let tools: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name, "tools": [1]})).collect();
            let body = serde_json::json!({"a": names, "tools": tools}).to_string();
            let found = of(Family::Anthropic, body.as_bytes()).expect("an object");
            prop_assert_eq!(found.tools, names.len() as u64);
        }

        #[test]
        fn what_a_scan_notes_is_what_a_walk_over_the_members_finds(members in members()) {
            let body = format!("{{{}}}", members.join(","));
            for family in [Family::Anthropic, Family::OpenaiResponses, Family::OpenaiChat, Family::Gemini] {
                if let Some(found) = of(family, body.as_bytes()) {
                    prop_assert_eq!(found, one_by_one(family, body.as_bytes()), "{:?}: {}", family, &body);
                }
            }
        }
    }
}
