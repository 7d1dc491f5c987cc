//! What stands inside a request and matters all the same, told by the `type` and `ttl` of its parts: what costs more
//! input than its bytes say, and tools that are not where tools are.

use crate::json::{Cursor, unescape};
use crate::nesting::Broken;
use crate::skip::Watcher;

/// A word of up to twenty characters, each of them escaped.
const LONGEST_ESCAPED: usize = 120;

const IMAGES: [&[u8]; 4] = [b"image", b"image_url", b"input_image", b"computer_screenshot"];
const DOCUMENTS: [&[u8]; 5] = [b"document", b"file", b"input_file", b"container_upload", b"video_url"];
/// How the types of tools begin that a provider runs by itself.
const SERVER_TOOLS: [&[u8]; 3] = [b"web_search", b"web_fetch", b"file_search"];
const EXTRA_TOOLS: &[u8] = b"additional_tools";
/// The bytes that the types above begin with, and the backslash: most types are told by it that they are none of them.
static COUNTED_TYPES: [bool; 256] = {
    let mut begins = [false; 256];
    note_beginnings(&mut begins, &IMAGES);
    note_beginnings(&mut begins, &DOCUMENTS);
    note_beginnings(&mut begins, &SERVER_TOOLS);
    note_beginnings(&mut begins, &[EXTRA_TOOLS, b"\\"]);
    begins
};

#[expect(clippy::indexing_slicing, reason = "done by the compiler, which would say so")]
const fn note_beginnings(begins: &mut [bool; 256], words: &[&[u8]]) {
    let mut at = 0;
    while at < words.len() {
        begins[words[at][0] as usize] = true;
        at += 1;
    }
}

/// Counts it while a body is scanned.
#[derive(Debug, Default)]
pub(crate) struct ContentCount {
    pub(crate) images: u64,
    pub(crate) documents: u64,
    pub(crate) one_hour_cache: bool,
    pub(crate) server_tools: u64,
    /// Codex in its code mode sends its tools as an item of the input.
    pub(crate) extra_tools: u64,
    /// The text goes on behind what can be seen of it.
    pub(crate) goes_on: bool,
    /// Because of that it could not be told what a key says: nothing that was counted holds.
    pub(crate) is_unclear: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Type,
    Ttl,
}

impl Watcher for ContentCount {
    #[inline]
    fn string_at(&mut self, text: &[u8], quote: usize) {
        // Most are told by their first letters; a letter has no shorter escape than `\u`.
        if let Some([b'\\', b'u', ..] | [b't', b'y' | b't' | b'\\', ..]) = text.get(quote + 1..) {
            self.count(text, quote);
        }
    }
}

impl ContentCount {
    /// Count what this string says, if it is a key that matters.
    fn count(&mut self, text: &[u8], quote: usize) {
        let Some((key, mut cursor)) = key_at(text, quote) else {
            return;
        };
        let raw = match value_behind(&mut cursor, key) {
            Ok(raw) => raw,
            Err(Broken::At(at)) => {
                // So much is held back of such a text that this happens by long white space or a long word only.
                self.is_unclear |= self.goes_on && at + 1 >= text.len();
                return;
            }
            Err(Broken::TooDeep) => return,
        };
        if !raw.contains(&b'\\') {
            self.note(key, raw);
            // Only where it stands in plain letters, key and all.
            let is_plain = text.get(quote..).is_some_and(|text| text.starts_with(b"\"type\""));
            self.extra_tools += u64::from(is_plain && raw == EXTRA_TOOLS);
        } else if raw.len() <= LONGEST_ESCAPED
            && let Some(word) = unescape(raw)
        {
            self.note(key, word.as_bytes());
        }
    }

    fn note(&mut self, key: Key, word: &[u8]) {
        match (key, word) {
            (Key::Ttl, b"1h") => self.one_hour_cache = true,
            (Key::Type, word) if IMAGES.contains(&word) => self.images += 1,
            (Key::Type, word) if DOCUMENTS.contains(&word) => self.documents += 1,
            (Key::Type, word) if runs_at_the_provider(word) => self.server_tools += 1,
            _ => {}
        }
    }
}

/// The key whose quote this is, if it matters, and a cursor behind it.
fn key_at(text: &[u8], quote: usize) -> Option<(Key, Cursor<'_>)> {
    let rest = text.get(quote + 1..)?;
    let behind = |length: usize| Cursor::starting_at(text, quote + 1 + length, 0);
    if rest.starts_with(b"type\"") {
        return Some((Key::Type, behind(5)));
    }
    if rest.starts_with(b"ttl\"") {
        return Some((Key::Ttl, behind(4)));
    }
    if !may_be_spelled(rest, b"type\"") && !may_be_spelled(rest, b"ttl\"") {
        return None;
    }
    let mut cursor = Cursor::starting_at(text, quote, 0);
    let raw = cursor.string().ok().filter(|raw| raw.len() <= LONGEST_ESCAPED)?;
    let key = match unescape(raw)?.as_ref() {
        "type" => Key::Type,
        "ttl" => Key::Ttl,
        _ => return None,
    };
    Some((key, cursor))
}

/// True if the text goes on like this word up to a letter that is escaped.
fn may_be_spelled(text: &[u8], word: &[u8]) -> bool {
    let same = text
        .iter()
        .zip(word)
        .take_while(|(byte, letter)| byte == letter)
        .count();
    text.get(same..).is_some_and(|rest| rest.starts_with(b"\\u"))
}

/// The raw text that is the value of this key, behind which the cursor stands; else where it is seen to be no word that is
/// counted.
fn value_behind<'a>(cursor: &mut Cursor<'a>, key: Key) -> Result<&'a [u8], Broken> {
    cursor.skip_whitespace();
    cursor.expect(b':')?;
    cursor.skip_whitespace();
    let counts = match key {
        Key::Type => {
            cursor
                .second()
                .and_then(|begins| COUNTED_TYPES.get(usize::from(begins)))
                == Some(&true)
        }
        Key::Ttl => true,
    };
    if counts {
        cursor.string()
    } else {
        Err(Broken::At(cursor.position()))
    }
}

/// True for the `type` of a tool that a provider runs by itself, such as `web_search_20250305`. The parts of an answer
/// that such a tool left in a conversation have types of their own, which end otherwise.
fn runs_at_the_provider(kind: &[u8]) -> bool {
    let is_tool = SERVER_TOOLS.iter().any(|tool| kind.starts_with(tool));
    is_tool
        && kind.len() <= LONGEST_ESCAPED
        && std::str::from_utf8(kind).is_ok()
        && ![&b"_result"[..], b"_call", b"_error"]
            .iter()
            .any(|end| kind.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Address, scan_request};
    use proptest::prelude::*;

    #[test]
    fn pictures_documents_and_long_caches_are_seen_also_when_escaped() {
        let body = r#"{"model":"m","messages":[{"content":[{"type":"image","source":{"type":"base64","data":"x"}},
            {"type":"im\u0061ge"},{"type":"document"},{"type":"text","text":"image"},
            {"type":"text","cache_control":{"type":"ephemeral","ttl":"1h"}}]}]}"#;
        let fields = scan_request(body.as_bytes(), &Address::of("/v1/messages").unwrap()).unwrap();
        assert_eq!((fields.images, fields.documents, fields.one_hour_cache), (2, 1, true));
    }

    /// The key and the text it stands for, as a parser reads them.
    fn parsed(text: &[u8]) -> Option<(Key, String)> {
        let mut cursor = Cursor::new(text, 0);
        let raw = cursor.string().ok().filter(|raw| raw.len() <= LONGEST_ESCAPED)?;
        let key = match unescape(raw)?.as_ref() {
            "type" => Key::Type,
            "ttl" => Key::Ttl,
            _ => return None,
        };
        cursor.skip_whitespace();
        cursor.expect(b':').ok()?;
        cursor.skip_whitespace();
        let raw = cursor.string().ok().filter(|raw| raw.len() <= LONGEST_ESCAPED)?;
        Some((key, unescape(raw)?.into_owned()))
    }

    /// A word with some of its letters written as escapes.
    fn spelled() -> impl Strategy<Value = String> {
        const WORDS: [&str; 11] = [
            "type",
            "ttl",
            "text",
            "typed",
            "tt",
            "1h",
            "image",
            "file",
            "web_search_1",
            "web_fetch_result",
            "additional_tools",
        ];
        (prop::sample::select(&WORDS[..]), any::<u32>()).prop_map(|(word, escaped)| {
            let letters = word.bytes().enumerate();
            let spelled = letters.map(|(at, letter)| match escaped >> (at % 32) & 0b11 {
                0 => format!("\\u00{letter:02x}"),
                _ => char::from(letter).to_string(),
            });
            spelled.collect()
        })
    }

    proptest! {
        #[test]
        fn a_key_told_by_its_first_letters_is_the_one_a_parser_reads(
            key in spelled(), value in spelled(), colon in "[ ]{0,1}:[ ]{0,1}", end in prop::sample::select(&["\"", "\\\"\"", "\u{e9}\"", "", "\\"][..]),
        ) {
            let text = format!("\"{key}\"{colon}\"{value}{end}");
            let mut count = ContentCount::default();
            count.string_at(text.as_bytes(), 0);
            let mut expected = ContentCount::default();
            if let Some((key, word)) = parsed(text.as_bytes()) {
                expected.note(key, word.as_bytes());
            }
            let of = |count: &ContentCount| (count.images, count.documents, count.one_hour_cache, count.server_tools);
            prop_assert_eq!(of(&count), of(&expected), "{}", text);
            let plainly = key == "type" && value == "additional_tools" && end == "\"";
            prop_assert_eq!(count.extra_tools, u64::from(plainly));
        }
    }

    #[test]
    fn each_type_that_counts_is_counted_where_it_stands() {
        let counted = |word: &[u8]| {
            let mut count = ContentCount::default();
            count.string_at(&[b"\"type\": \"", word, b"\""].concat(), 0);
            (count.images, count.documents, count.server_tools, count.extra_tools)
        };
        assert!(IMAGES.iter().all(|word| counted(word) == (1, 0, 0, 0)));
        assert!(DOCUMENTS.iter().all(|word| counted(word) == (0, 1, 0, 0)));
        assert!(SERVER_TOOLS.iter().all(|word| counted(word) == (0, 0, 1, 0)));
        assert_eq!(counted(EXTRA_TOOLS), (0, 0, 0, 1));
        assert_eq!(counted(b"text"), (0, 0, 0, 0));
    }

    #[test]
    fn a_tool_with_a_name_that_is_no_text_is_none() {
        let mut count = ContentCount::default();
        count.string_at(b"\"type\":\"web_search\xFF\"", 0);
        assert_eq!(count.server_tools, 0);
        count.string_at(b"\"type\":\"web_search\"", 0);
        assert_eq!(count.server_tools, 1);
    }
}
