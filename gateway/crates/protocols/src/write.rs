//! Writing flat JSON objects quickly: the journal writes two for every call.
#![expect(
    clippy::inline_always,
    reason = "a key of known length is copied without a call: ten instructions instead of 120, fifty times a record"
)]

/// A longer key is copied in three parts.
const LONGEST_KEY: usize = 60;

/// Adds members to one object.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> ObjectWriter<'a> {
    /// Open an object.
    pub fn open(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }

    /// Close it. Every key came with a comma before it, so that none asks whether it is the first: the brace takes the
    /// place of the first one's.
    pub fn close(self) {
        match self.out.get_mut(self.start) {
            Some(first) => {
                *first = b'{';
                self.out.push(b'}');
            }
            None => self.out.extend_from_slice(b"{}"),
        }
    }

    /// A key, which needs no escapes; what is written next is its value.
    #[inline(always)]
    pub fn key(&mut self, key: &str) -> &mut Vec<u8> {
        // All of this is known where it is compiled: what is left of it is one look at the room and a few moves.
        let mut text = [0; LONGEST_KEY + 4];
        if let Some(text) = text.get_mut(..key.len() + 4) {
            if let [comma, open, name @ .., close, colon] = text {
                (*comma, *open, *close, *colon) = (b',', b'"', b'"', b':');
                name.copy_from_slice(key.as_bytes());
            }
            self.out.extend_from_slice(text);
        } else {
            self.out.extend_from_slice(b",\"");
            self.out.extend_from_slice(key.as_bytes());
            self.out.extend_from_slice(b"\":");
        }
        self.out
    }

    /// A text.
    #[inline(always)]
    pub fn text(&mut self, key: &str, value: &str) {
        write_text(self.key(key), value);
    }

    /// A word of this program's own, in which JSON escapes nothing.
    #[inline(always)]
    pub fn word(&mut self, key: &str, value: &'static str) {
        debug_assert!(is_plain(value.as_bytes()), "{value}");
        write_plain(self.key(key), value);
    }

    /// A word of this program's own, or null.
    #[inline(always)]
    pub fn optional_word(&mut self, key: &str, value: Option<&'static str>) {
        match value {
            Some(value) => self.word(key, value),
            None => self.key(key).extend_from_slice(b"null"),
        }
    }

    /// A text, or null.
    #[inline(always)]
    pub fn optional_text(&mut self, key: &str, value: Option<&str>) {
        let out = self.key(key);
        match value {
            Some(value) => write_text(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }

    /// A whole number.
    #[inline(always)]
    pub fn number(&mut self, key: &str, value: u64) {
        write_number(self.key(key), value);
    }

    /// A whole number, or null.
    #[inline(always)]
    pub fn optional_number(&mut self, key: &str, value: Option<u64>) {
        let out = self.key(key);
        match value {
            Some(value) => write_number(out, value),
            None => out.extend_from_slice(b"null"),
        }
    }

    /// True or false.
    #[inline(always)]
    pub fn flag(&mut self, key: &str, value: bool) {
        self.key(key).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// Members that were written before, as they stand between the braces of their object.
    pub fn members(&mut self, written: &[u8]) {
        self.out.push(b',');
        self.out.extend_from_slice(written);
    }

    /// The members so far, for `members` of another object.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.get(self.start + 1..).unwrap_or_default()
    }

    /// An object of its own.
    #[inline(always)]
    pub fn object(&mut self, key: &str, write: impl FnOnce(&mut ObjectWriter<'_>)) {
        write_object(self.key(key), write);
    }

    /// An array of objects.
    #[inline(always)]
    pub fn objects<T>(&mut self, key: &str, items: &[T], write: impl Fn(&mut ObjectWriter<'_>, &T)) {
        let out = self.key(key);
        out.push(b'[');
        for (number, item) in items.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            write_object(out, |object| write(object, item));
        }
        out.push(b']');
    }
}

fn write_object(out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut object = ObjectWriter::open(out);
    write(&mut object);
    object.close();
}

/// Write a JSON text.
pub(crate) fn write_text(out: &mut Vec<u8>, value: &str) {
    if is_plain(value.as_bytes()) {
        write_plain(out, value);
    } else {
        write_escaped(out, value);
    }
}

fn write_plain(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    out.extend_from_slice(value.as_bytes());
    out.push(b'"');
}

#[cold]
fn write_escaped(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(serde_json::Value::from(value).to_string().as_bytes());
}

/// Whether JSON escapes nothing of it. Looked at in blocks, the last of which may repeat some of the one before.
#[inline]
fn is_plain(text: &[u8]) -> bool {
    if let Some(last) = text.last_chunk::<16>() {
        return is_plain_block(last) && text.as_chunks::<16>().0.iter().all(is_plain_block);
    }
    match (text.first_chunk::<8>(), text.last_chunk::<8>()) {
        (Some(first), Some(last)) => is_plain_block(first) && is_plain_block(last),
        _ => !text.iter().copied().any(is_escaped),
    }
}

/// Without a way out of the loop it becomes a handful of vector instructions.
#[inline(always)]
fn is_plain_block<const N: usize>(block: &[u8; N]) -> bool {
    block.iter().fold(0, |found, byte| found | u8::from(is_escaped(*byte))) == 0
}

const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Most numbers of a record are small: they are written where they stand.
#[inline(always)]
fn write_number(out: &mut Vec<u8>, value: u64) {
    if value < 10 {
        out.push(digit(value));
    } else if value < MANY {
        write_many_digits(out, value);
    } else {
        write_more_digits(out, value);
    }
}

/// The digits in front, then eight with their zeros.
fn write_more_digits(out: &mut Vec<u8>, value: u64) {
    write_number(out, value / MANY);
    out.extend_from_slice(&eight_digits(value % MANY).to_le_bytes());
}

fn write_many_digits(out: &mut Vec<u8>, value: u64) {
    let digits = eight_digits(value);
    // Zeros in front are the low bytes that are a '0' without more.
    let zeros = (digits ^ ZEROS).trailing_zeros() / 8;
    out.extend_from_slice(&(digits >> (8 * zeros)).to_le_bytes());
    out.truncate(out.len() - zeros as usize);
}

/// A number of nine digits.
const MANY: u64 = 100_000_000;
/// Eight times '0'.
const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The digits of a number below a hundred million, the first in the lowest byte: split in halves three times, all parts
/// at once.
const fn eight_digits(value: u64) -> u64 {
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    // Times 5243 / 2^19 is a hundredth, and times 103 / 2^10 is a tenth, for numbers this small.
    let hundreds = ((fours * 5243) >> 19) & 0x0000_007F_0000_007F;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000F_000F_000F_000F;
    (tens | ((twos - 10 * tens) << 8)) + ZEROS
}

/// Of a number below ten.
#[expect(clippy::cast_possible_truncation, reason = "it is below ten")]
const fn digit(value: u64) -> u8 {
    b'0' + (value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in any::<String>(), number in any::<u64>(), flag in any::<bool>(), maybe in any::<Option<u64>>()) {
            let mut out = Vec::new();
            write_object(&mut out, |object| {
                object.text("text", &text);
                object.optional_text("none", None);
                object.number("number", number);
                object.optional_number("maybe", maybe);
                object.object("inner", |inner| inner.flag("flag", flag));
                object.objects("list", &[1_u64, number], |item, value| item.number("n", *value));
                object.members(b"\"known\":1,\"last\":2");
            });
            let expected = serde_json::json!({"text": text, "none": null, "number": number, "maybe": maybe,
                "inner": {"flag": flag}, "list": [{"n": 1}, {"n": number}], "known": 1, "last": 2});
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&out).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_writes_it(plain in "[ -~é]{0,70}", at in any::<prop::sample::Index>(), sign in any::<char>()) {
            let mut signs: Vec<char> = plain.chars().collect();
            signs.insert(at.index(signs.len() + 1), sign);
            for text in [plain, signs.into_iter().collect()] {
                let mut out = Vec::new();
                write_text(&mut out, &text);
                prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }

        #[test]
        fn a_number_is_written_with_all_its_digits(number in any::<u64>(), digits in 0..20_u32) {
            let power = 10_u64.pow(digits);
            for number in [number, number % power, power, power - 1, u64::MAX] {
                let mut out = Vec::new();
                write_number(&mut out, number);
                prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
            }
        }
    }

    #[test]
    fn an_object_may_be_empty_and_a_key_long() {
        let (mut out, long) = (b"[".to_vec(), "k".repeat(100));
        write_object(&mut out, |_| {});
        out.push(b',');
        write_object(&mut out, |object| object.flag(&long, true));
        assert_eq!(String::from_utf8(out).unwrap(), format!("[{{}},{{\"{long}\":true}}"));
    }
}
