//! JSON text one level at a time, for whoever needs a few values of a large body and wants the rest as it is written.
//!
//! Walking is not checking: text that has not been checked by a parser may end a walk early, never panic.

use std::borrow::Cow;

use crate::json::{Cursor, unescape};
use crate::nesting::MAX_DEPTH;
use crate::skip::Blind;

/// The members of an object, in order: each key with its escapes undone, and the text of its value.
#[derive(Debug)]
pub struct Members<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
}

/// The members of the object that `text` is; none if it is something else.
#[must_use]
pub fn walk_object(text: &str) -> Members<'_> {
    Members {
        text,
        cursor: opened(text, b'{'),
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        self.cursor.skip_whitespace();
        let key = unescape(self.cursor.string().ok()?)?;
        self.cursor.skip_whitespace();
        self.cursor.expect(b':').ok()?;
        let value = next_value(&mut self.cursor, self.text)?;
        Some((key, value))
    }
}

/// The texts of an array's items, in order.
#[derive(Debug)]
pub struct Items<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
}

/// The items of the array that `text` is; none if it is something else.
#[must_use]
pub fn walk_array(text: &str) -> Items<'_> {
    Items {
        text,
        cursor: opened(text, b'['),
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        next_value(&mut self.cursor, self.text)
    }
}

/// The text that a JSON string stands for; `None` for other values and for escapes that make no sense.
#[must_use]
pub fn string_text(json: &str) -> Option<Cow<'_, str>> {
    unescape(json.strip_prefix('"')?.strip_suffix('"')?.as_bytes())
}

/// True when the whole text is one JSON value that is nested no deeper than `MAX_DEPTH`.
#[must_use]
pub fn is_shallow(text: &[u8]) -> bool {
    let mut cursor = Cursor::new(text, MAX_DEPTH);
    cursor.skip_whitespace();
    cursor.value(&mut Blind).is_ok()
}

/// A cursor behind the opening bracket, or at the end when there is none.
fn opened(text: &str, bracket: u8) -> Cursor<'_> {
    let mut cursor = Cursor::new(text.as_bytes(), MAX_DEPTH);
    cursor.skip_whitespace();
    if cursor.expect(bracket).is_err() {
        return Cursor::new(b"", MAX_DEPTH);
    }
    cursor
}

/// The value here; the cursor moves behind the comma that follows it.
fn next_value<'a>(cursor: &mut Cursor<'a>, text: &'a str) -> Option<&'a str> {
    cursor.skip_whitespace();
    let range = cursor.value(&mut Blind).ok()?;
    cursor.skip_whitespace();
    if cursor.peek() == Some(b',') {
        cursor.expect(b',').ok()?;
    }
    text.get(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_level_is_walked_and_the_rest_left_as_written() {
        let text = r#" { "a" : {"b": [1, 2.50]} ,"\u0063":"x\"y", "d":null } "#;
        let members: Vec<_> = walk_object(text).collect();
        let expected = [("a", r#"{"b": [1, 2.50]}"#), ("c", r#""x\"y""#), ("d", "null")];
        assert_eq!(members, expected.map(|(key, value)| (Cow::Borrowed(key), value)));
        let items: Vec<_> = walk_array(r#"[ [1,2] , "," ,{"a":","}]"#).collect();
        assert_eq!(items, ["[1,2]", r#"",""#, r#"{"a":","}"#]);
        assert_eq!(
            walk_array("{}").count() + walk_object("[1]").count() + walk_array("[ ]").count(),
            0
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_a_walk_panic_or_go_on_for_ever(text in "[\\[\\]{}:,\"\\\\a1 é]{0,60}") {
            prop_assert!(walk_object(&text).count() <= text.len());
            prop_assert!(walk_array(&text).count() <= text.len());
            let _ = (string_text(&text), is_shallow(text.as_bytes()));
        }
    }
}
