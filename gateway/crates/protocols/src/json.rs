//! A cursor over JSON text that finds where values end without building them.
//!
//! It checks the structure it walks through (quotes, brackets, colons and commas at the level it is asked about) and
//! leaves the rest to whoever parses the value.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use crate::blocks::{Blocks, places};

/// The text ended or broke its own grammar at this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    At(usize),
    TooDeep,
}

/// Is shown where keys that may matter begin inside a skipped value.
pub(crate) trait Watcher {
    /// A string that begins with `t` or an escape, or may do so, opens at this quote.
    fn string_at(&mut self, text: &[u8], quote: usize);
}

/// Watches for nothing.
pub(crate) struct Blind;

impl Watcher for Blind {
    fn string_at(&mut self, _text: &[u8], _quote: usize) {}
}

/// A position in JSON text.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
    max_depth: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a [u8], max_depth: usize) -> Self {
        Self { text, at: 0, max_depth }
    }

    /// A cursor at a place within the text.
    pub(crate) const fn starting_at(text: &'a [u8], at: usize) -> Self {
        Self { text, at, max_depth: 0 }
    }

    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn skip_bom(&mut self) {
        if self.text.starts_with(b"\xEF\xBB\xBF") {
            self.at = 3;
        }
    }

    pub(crate) fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(Broken::At(self.at))
    }

    /// The raw text between the quotes of the string that starts here; the cursor moves behind it.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Broken> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else {
                return Err(Broken::At(self.text.len()));
            };
            let at = self.at + found;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Ok(self.text.get(start..at).unwrap_or_default());
            }
            self.at = at + 2;
        }
    }

    /// Where the value that starts here lies; the cursor moves behind it.
    pub(crate) fn value(&mut self, watcher: &mut impl Watcher) -> Result<Range<usize>, Broken> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => self.skip_string(watcher)?,
            Some(b'{' | b'[') => self.skip(watcher)?,
            Some(_) => self.scalar()?,
            None => return Err(Broken::At(self.at)),
        }
        Ok(start..self.at)
    }

    fn scalar(&mut self) -> Result<(), Broken> {
        let start = self.at;
        while let Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(Broken::At(start));
        }
        Ok(())
    }

    /// Move behind the string that starts here: most are short and plain, and found out at once.
    fn skip_string(&mut self, watcher: &mut impl Watcher) -> Result<(), Broken> {
        let inside = self.text.get(self.at + 1..).unwrap_or_default();
        match memchr2(b'"', b'\\', inside) {
            Some(end) if inside.get(end) == Some(&b'"') => {
                self.at += end + 2;
                Ok(())
            }
            Some(_) => self.skip(watcher),
            None => Err(Broken::At(self.text.len())),
        }
    }

    /// Move behind the string, array or object that starts here.
    fn skip(&mut self, watcher: &mut impl Watcher) -> Result<(), Broken> {
        let is_string = self.peek() == Some(b'"');
        let mut nesting = Nesting {
            open: Vec::with_capacity(16),
            max_depth: self.max_depth,
        };
        for (base, block) in Blocks::new(self.text, self.at) {
            let end = if is_string {
                places(block.quotes & !block.inside).next()
            } else {
                nesting.follow(self.text, base, block.brackets)?
            };
            let within = end.map_or(u64::MAX, |end| (1 << end) - 1);
            if let Some(stray) = places(block.stray & within).next() {
                return Err(Broken::At(base + stray));
            }
            // What the next block begins with is not known here, so a quote at the very end always counts.
            let candidates = block.quotes & block.inside & within & (block.marks >> 1 | 1 << 63);
            for place in places(candidates) {
                watcher.string_at(self.text, base + place);
            }
            if let Some(end) = end {
                self.at = base + end + 1;
                return Ok(());
            }
        }
        Err(Broken::At(self.text.len()))
    }
}

/// The brackets that are open.
struct Nesting {
    open: Vec<u8>,
    max_depth: usize,
}

impl Nesting {
    /// Follow the brackets of one block; the place of the one that closes the first, if it is there.
    fn follow(&mut self, text: &[u8], base: usize, brackets: u64) -> Result<Option<usize>, Broken> {
        for place in places(brackets) {
            match text.get(base + place) {
                Some(b'{' | b'[') if self.open.len() >= self.max_depth => return Err(Broken::TooDeep),
                Some(b'{') => self.open.push(b'}'),
                Some(b'[') => self.open.push(b']'),
                closing => {
                    if self.open.pop().as_ref() != closing {
                        return Err(Broken::At(base + place));
                    }
                    if self.open.is_empty() {
                        return Ok(Some(place));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The text of a JSON string's raw inside, with its escapes undone. `None` when an escape makes no sense.
pub(crate) fn unescape(raw: &[u8]) -> Option<Cow<'_, str>> {
    if !raw.contains(&b'\\') {
        return std::str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice::<String>(&quoted).ok().map(Cow::Owned)
}

/// Where the value of this key of the outermost object lies; `None` if it is absent or the text is broken before it.
///
/// The last one counts when a key is repeated, as most parsers have it.
#[must_use]
pub fn top_level_member(text: &[u8], key: &str) -> Option<Range<usize>> {
    let mut cursor = Cursor::new(text, 128);
    cursor.skip_bom();
    cursor.skip_whitespace();
    cursor.expect(b'{').ok()?;
    let mut found = None;
    loop {
        cursor.skip_whitespace();
        if cursor.peek() != Some(b'"') {
            return found;
        }
        let name = cursor.string().ok()?;
        cursor.skip_whitespace();
        cursor.expect(b':').ok()?;
        cursor.skip_whitespace();
        let range = cursor.value(&mut Blind).ok()?;
        if name == key.as_bytes() {
            found = Some(range);
        }
        cursor.skip_whitespace();
        if cursor.expect(b',').is_err() {
            return found;
        }
    }
}

/// The text of this key of the outermost object, when it is a string.
#[must_use]
pub fn top_level_text<'a>(text: &'a [u8], key: &str) -> Option<Cow<'a, str>> {
    let raw = text.get(top_level_member(text, key)?)?;
    unescape(raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::Array),
                prop::collection::hash_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_member_is_found_whatever_surrounds_it(before in json(), wanted in json(), after in json()) {
            let text = format!(r#" {{ "before" : {before}, "wanted":{wanted} ,"after":{after}}} "#);
            let range = top_level_member(text.as_bytes(), "wanted").expect("it is there");
            let found: serde_json::Value = serde_json::from_str(&text[range]).expect("a whole value");
            prop_assert_eq!(found, wanted);
        }

        #[test]
        fn no_bytes_make_the_cursor_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = top_level_member(&bytes, "model");
        }
    }

    #[test]
    fn a_nested_key_of_the_same_name_is_not_the_top_level_one() {
        let text = br#"{"a":{"model":"inner"},"model":"outer"}"#;
        assert_eq!(top_level_text(text, "model").as_deref(), Some("outer"));
        assert_eq!(top_level_text(br#"{"a":{"model":"inner"}}"#, "model"), None);
    }
}
