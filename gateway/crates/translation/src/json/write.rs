//! Writing JSON text piece by piece.

use crate::json::text::Text;

/// The text of one object.
pub(crate) fn to_json(write: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
    let mut out = String::new();
    ObjectWriter::write(&mut out, write);
    out
}

/// Adds members to one object.
#[derive(Debug)]
pub(crate) struct ObjectWriter<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl<'o> ObjectWriter<'o> {
    /// Write an object at the end of `out`.
    pub(crate) fn write(out: &'o mut String, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        out.push('{');
        let mut object = ObjectWriter { out, is_empty: true };
        write(&mut object);
        out.push('}');
    }

    fn key(&mut self, key: &str) -> &mut String {
        separate(self.out, &mut self.is_empty);
        self.out.push('"');
        self.out.push_str(key);
        self.out.push_str("\":");
        self.out
    }

    /// A value that is JSON already.
    pub(crate) fn json(&mut self, key: &str, value: &str) {
        self.key(key).push_str(value);
    }

    /// The same, where there is one.
    pub(crate) fn optional_json(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.json(key, value);
        }
    }

    /// Text as people read it.
    pub(crate) fn plain(&mut self, key: &str, value: &str) {
        push_plain(self.key(key), value);
    }

    /// Text that is escaped already.
    pub(crate) fn text(&mut self, key: &str, value: &Text<'_>) {
        push_text(self.key(key), value);
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        self.key(key).push_str(&value.to_string());
    }

    pub(crate) fn flag(&mut self, key: &str, value: bool) {
        self.key(key).push_str(if value { "true" } else { "false" });
    }

    pub(crate) fn object(&mut self, key: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        ObjectWriter::write(self.key(key), write);
    }

    pub(crate) fn array(&mut self, key: &str, write: impl FnOnce(&mut ArrayWriter<'_>)) {
        let out = self.key(key);
        out.push('[');
        write(&mut ArrayWriter { out, is_empty: true });
        out.push(']');
    }
}

/// Adds items to one array.
#[derive(Debug)]
pub(crate) struct ArrayWriter<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl ArrayWriter<'_> {
    fn item(&mut self) -> &mut String {
        separate(self.out, &mut self.is_empty);
        self.out
    }

    /// An item that is JSON already.
    pub(crate) fn json(&mut self, value: &str) {
        self.item().push_str(value);
    }

    /// Text as people read it.
    pub(crate) fn plain(&mut self, value: &str) {
        push_plain(self.item(), value);
    }

    /// Text that is escaped already.
    pub(crate) fn text(&mut self, value: &Text<'_>) {
        push_text(self.item(), value);
    }

    pub(crate) fn object(&mut self, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        ObjectWriter::write(self.item(), write);
    }
}

fn separate(out: &mut String, is_empty: &mut bool) {
    if !std::mem::take(is_empty) {
        out.push(',');
    }
}

fn push_text(out: &mut String, value: &Text<'_>) {
    out.push('"');
    out.push_str(value.escaped());
    out.push('"');
}

/// Write text as people read it, quoted.
fn push_plain(out: &mut String, value: &str) {
    out.reserve(value.len() + 2);
    out.push('"');
    escape_into(out, value);
    out.push('"');
}

/// Write text with the escapes that JSON demands, plain stretches at once.
pub(super) fn escape_into(out: &mut String, value: &str) {
    let mut rest = value;
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut letters = special.chars();
        match letters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                // Every one of them is below 0x20.
                out.push_str("\\u00");
                let digits = u32::from(control);
                out.extend(
                    [digits >> 4, digits & 15]
                        .into_iter()
                        .filter_map(|digit| char::from_digit(digit, 16)),
                );
            }
            None => {}
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_as_before(text in any::<String>(), controls in "[\0-\x20\"\\\\é]{0,9}") {
            let whole = text + &controls;
            let json = to_json(|object| {
                object.plain("a", &whole);
                object.array("b", |array| array.text(&Text::from_plain(&whole)));
            });
            let expected = serde_json::json!({"a": whole, "b": [whole]});
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected);
        }
    }
}
