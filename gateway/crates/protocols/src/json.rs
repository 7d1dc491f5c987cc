//! A cursor over JSON text that finds where values end without building them.
//!
//! It checks the structure it walks through (quotes, brackets, colons and commas at the level it is asked about) and
//! leaves the rest to whoever parses the value.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr2;

use crate::nesting::Broken;
use crate::skip::{Blind, Coming, Watcher, end_of};

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
    pub(crate) const fn starting_at(text: &'a [u8], at: usize, max_depth: usize) -> Self {
        Self { text, at, max_depth }
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

    /// The byte behind the one that `peek` shows.
    pub(crate) fn second(&self) -> Option<u8> {
        self.text.get(self.at + 1).copied()
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
        Ok(self.string_and_escapes()?.0)
    }

    /// The same with its escapes undone; empty if they make no sense.
    pub(crate) fn key(&mut self) -> Result<Cow<'a, [u8]>, Broken> {
        Ok(match self.string_and_escapes()? {
            (raw, false) => Cow::Borrowed(raw),
            (raw, true) => unescape(raw).map_or(Cow::Borrowed(b""), |text| Cow::Owned(text.into_owned().into_bytes())),
        })
    }

    /// The raw text, and whether there are escapes in it.
    fn string_and_escapes(&mut self) -> Result<(&'a [u8], bool), Broken> {
        self.expect(b'"')?;
        let (start, mut has_escapes) = (self.at, false);
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(found) = quote_or_backslash(rest) else {
                return Err(Broken::At(self.text.len()));
            };
            let at = self.at + found;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Ok((self.text.get(start..at).unwrap_or_default(), has_escapes));
            }
            has_escapes = true;
            self.at = at + 2;
        }
    }

    /// Where the value that starts here lies; the cursor moves behind it.
    pub(crate) fn value(&mut self, watcher: &mut impl Watcher) -> Result<Range<usize>, Broken> {
        self.value_of(&mut Coming::default(), watcher)
    }

    /// The same of a text that may go on: a string, array or object that is not all there is broken off, and gone on with when
    /// more has come. A scalar that reaches up to the end may be longer.
    pub(crate) fn value_of(&mut self, coming: &mut Coming, watcher: &mut impl Watcher) -> Result<Range<usize>, Broken> {
        let start = self.at;
        match self.peek() {
            Some(b'"') if !coming.is_at(start) => self.skip_string(coming, watcher)?,
            Some(b'"' | b'{' | b'[') => self.skip(coming, watcher)?,
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
    fn skip_string(&mut self, coming: &mut Coming, watcher: &mut impl Watcher) -> Result<(), Broken> {
        let inside = self.text.get(self.at + 1..).unwrap_or_default();
        match quote_or_backslash(inside) {
            Some(end) if inside.get(end) == Some(&b'"') => {
                self.at += end + 2;
                Ok(())
            }
            None if !coming.goes_on => Err(Broken::At(self.text.len())),
            _ => self.skip(coming, watcher),
        }
    }

    /// Move behind the string, array or object that starts here.
    fn skip(&mut self, coming: &mut Coming, watcher: &mut impl Watcher) -> Result<(), Broken> {
        self.at = end_of(self.text, self.at, self.max_depth, coming, watcher)?;
        Ok(())
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

/// The first quote or backslash. Most keys and words are shorter than it takes to call upon the widest registers.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    let (words, _) = text.as_chunks::<8>();
    for (number, word) in words.iter().take(2).enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (EIGHT_TIMES * u64::from(b'"'))) | zeros(word ^ (EIGHT_TIMES * u64::from(b'\\')));
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let looked_at = words.len().min(2) * 8;
    Some(looked_at + memchr2(b'"', b'\\', text.get(looked_at..)?)?)
}

const EIGHT_TIMES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte that is zero. Bytes above the first such may be marked by mistake.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(EIGHT_TIMES) & !word & (EIGHT_TIMES << 7)
}

/// Where the value of this key of the outermost object lies; `None` if it is absent or the text is broken before it.
///
/// The last one counts when a key is repeated, as most parsers have it.
#[must_use]
pub fn top_level_member(text: &[u8], key: &str) -> Option<Range<usize>> {
    let [found] = top_level_members(text, [key]);
    found
}

/// The same of several keys, in one walk.
#[must_use]
pub fn top_level_members<const N: usize>(text: &[u8], keys: [&str; N]) -> [Option<Range<usize>>; N] {
    let mut found = [const { None }; N];
    match walk_to_end(text, keys, &mut found) {
        Some(()) => found,
        None => [const { None }; N],
    }
}

/// `None` if the text is broken on the way.
fn walk_to_end<const N: usize>(text: &[u8], keys: [&str; N], found: &mut [Option<Range<usize>>; N]) -> Option<()> {
    let mut cursor = Cursor::new(text, 128);
    cursor.skip_bom();
    cursor.skip_whitespace();
    cursor.expect(b'{').ok()?;
    loop {
        cursor.skip_whitespace();
        if cursor.peek() != Some(b'"') {
            return Some(());
        }
        let name = cursor.string().ok()?;
        cursor.skip_whitespace();
        cursor.expect(b':').ok()?;
        cursor.skip_whitespace();
        let range = cursor.value(&mut Blind).ok()?;
        for (key, place) in keys.iter().zip(found.iter_mut()) {
            if name == key.as_bytes() {
                *place = Some(range.clone());
            }
        }
        cursor.skip_whitespace();
        if cursor.expect(b',').is_err() {
            return Some(());
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
        fn one_walk_finds_what_several_do(first in json(), second in json(), last in json(), cut in any::<prop::sample::Index>()) {
            let text = format!(r#"{{"a":{first},"b":{second},"c":1,"a":{last}}}"#);
            for text in [&text.as_bytes()[..cut.index(text.len())], text.as_bytes()] {
                let [a, b, d] = top_level_members(text, ["a", "b", "d"]);
                prop_assert_eq!((a, b, d), (top_level_member(text, "a"), top_level_member(text, "b"), None));
            }
        }

        #[test]
        fn no_bytes_make_the_cursor_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = top_level_member(&bytes, "model");
        }
    }

    proptest! {
        #[test]
        fn the_first_quote_or_backslash_is_found(
            text in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => prop::sample::select(&b"\"\\!#]["[..])], 0..40),
        ) {
            let plainly = text.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&text), plainly);
        }
    }

    #[test]
    fn a_nested_key_of_the_same_name_is_not_the_top_level_one() {
        let text = br#"{"a":{"model":"inner"},"model":"outer"}"#;
        assert_eq!(top_level_text(text, "model").as_deref(), Some("outer"));
        assert_eq!(top_level_text(br#"{"a":{"model":"inner"}}"#, "model"), None);
    }
}
