//! The members of an object and the elements of an array, as they stand in the text.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{Cursor, unescape};
use crate::nesting::MAX_DEPTH;
use crate::skip::Blind;

/// One member of an object: its key with the escapes undone, and its value as it was written.
pub type Member<'a> = (Cow<'a, str>, &'a [u8]);

/// Show each member of the object that is all of this text, in their order, repeated ones too: the key with its escapes
/// undone, and the value as it was written. `None` when it is no object, or as soon as `show` says so.
pub fn each_member<'a>(text: &'a [u8], mut show: impl FnMut(&[u8], &'a [u8]) -> Option<()>) -> Option<()> {
    each(text, (b'{', b'}'), |cursor| {
        let key = cursor.key().ok()?;
        show(&key, text.get(value(cursor)?)?)
    })
}

/// The members of the object that is all of this text, in their order, repeated ones too. `None` when it is no object.
#[must_use]
pub fn object_members(text: &[u8]) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    each(text, (b'{', b'}'), |cursor| {
        let key = unescape(cursor.string().ok()?)?;
        members.push((key, text.get(value(cursor)?)?));
        Some(())
    })?;
    Some(members)
}

/// The elements of the array that is all of this text, in their order. `None` when it is no array.
#[must_use]
pub fn array_elements(text: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut elements = Vec::new();
    each(text, (b'[', b']'), |cursor| {
        elements.push(cursor.value(&mut Blind).ok()?);
        Some(())
    })?;
    Some(elements)
}

/// Where the value of the key that ends here is; the cursor moves behind it.
fn value(cursor: &mut Cursor<'_>) -> Option<Range<usize>> {
    cursor.skip_whitespace();
    cursor.expect(b':').ok()?;
    cursor.skip_whitespace();
    cursor.value(&mut Blind).ok()
}

fn each<'a>(text: &'a [u8], (open, close): (u8, u8), mut one: impl FnMut(&mut Cursor<'a>) -> Option<()>) -> Option<()> {
    let mut cursor = Cursor::new(text, MAX_DEPTH);
    cursor.skip_bom();
    cursor.skip_whitespace();
    cursor.expect(open).ok()?;
    cursor.skip_whitespace();
    if cursor.peek() == Some(close) {
        cursor.expect(close).ok()?;
    } else {
        loop {
            cursor.skip_whitespace();
            one(&mut cursor)?;
            cursor.skip_whitespace();
            if cursor.expect(b',').is_err() {
                break;
            }
        }
        cursor.expect(close).ok()?;
    }
    cursor.skip_whitespace();
    (cursor.position() == text.len()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn members_and_elements_are_as_they_were_written() {
        let text = br#" {"a" : [1, {"b":"}"}], "\u0062":1e5 ,"a":null} "#;
        let members = object_members(text).expect("an object");
        let keys: Vec<_> = members.iter().map(|(key, _)| key.as_ref()).collect();
        assert_eq!(keys, ["a", "b", "a"]);
        let values: Vec<_> = members
            .iter()
            .map(|(_, value)| String::from_utf8_lossy(value))
            .collect();
        assert_eq!(values, [r#"[1, {"b":"}"}]"#, "1e5", "null"]);
        let elements = array_elements(members[0].1).expect("an array");
        assert_eq!(elements.len(), 2);
        assert_eq!(array_elements(b"[]"), Some(Vec::new()));
        assert_eq!(object_members(b" { } "), Some(Vec::new()));
        for broken in [
            &b"{"[..],
            b"[",
            b"{\"a\"}",
            b"{\"a\":1}x",
            b"[1,]",
            b"",
            b"[1}",
            b"null",
        ] {
            assert!(object_members(broken).is_none() && array_elements(broken).is_none());
        }
    }

    #[test]
    fn members_are_shown_until_enough_is_seen() {
        let text = br#"{"\u0061":1, "b":[2],"c":3}"#;
        let mut shown = Vec::new();
        let whole = each_member(text, |key, value| {
            shown.push((key.to_vec(), value));
            (key != b"b").then_some(())
        });
        assert_eq!(whole, None);
        assert_eq!(shown, [(b"a".to_vec(), &b"1"[..]), (b"b".to_vec(), b"[2]")]);
        assert_eq!(each_member(text, |_, _| Some(())), Some(()));
        assert_eq!(each_member(b"{\"a\":1} 2", |_, _| Some(())), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = (object_members(&bytes), array_elements(&bytes));
            let mut shown = Vec::new();
            let whole = each_member(&bytes, |key, value| {
                shown.push((key.to_vec(), value));
                Some(())
            });
            if let Some(members) = object_members(&bytes) {
                let members: Vec<_> = members.into_iter().map(|(key, value)| (key.as_bytes().to_vec(), value)).collect();
                prop_assert_eq!((whole, shown), (Some(()), members));
            }
        }
    }
}
