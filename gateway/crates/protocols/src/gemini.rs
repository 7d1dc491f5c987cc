//! What stands anywhere in a Gemini request and costs more input than its bytes say.
//!
//! The general reader of requests looks for content blocks by their `type`; Gemini's parts have none.

use memchr::memmem;

use crate::json::{Cursor, top_level_member};
use crate::request::RequestFields;
use crate::skip::Blind;

/// Count the pictures and files of a request.
pub(crate) fn note_media(body: &[u8], fields: &mut RequestFields) {
    for key in [
        &b"\"inlineData\""[..],
        b"\"inline_data\"",
        b"\"fileData\"",
        b"\"file_data\"",
    ] {
        for at in memmem::find_iter(body, key) {
            let is_key = at.checked_sub(1).and_then(|before| body.get(before)) != Some(&b'\\');
            let part = is_key.then(|| object_after(body, at + key.len())).flatten();
            match part.map(is_image) {
                Some(true) => fields.images += 1,
                Some(false) => fields.documents += 1,
                None => {}
            }
        }
    }
    for tool in [
        &b"\"googleSearch\""[..],
        b"\"google_search\"",
        b"\"urlContext\"",
        b"\"url_context\"",
        b"\"googleSearchRetrieval\"",
        b"\"google_search_retrieval\"",
    ] {
        let offers = |at: usize| object_after(body, at + tool.len()).is_some();
        fields.server_tools += u64::from(memmem::find_iter(body, tool).any(offers));
    }
    if hides_letters(body) {
        // A part may be there under a name that was not looked for: only the model's window bounds what it costs.
        fields.continues_stored_state = true;
    }
}

/// The object that is the value of the key which ends here.
fn object_after(body: &[u8], end_of_key: usize) -> Option<&[u8]> {
    let rest = body.get(end_of_key..)?;
    let mut cursor = Cursor::new(rest, crate::MAX_DEPTH);
    cursor.skip_whitespace();
    cursor.expect(b':').ok()?;
    cursor.skip_whitespace();
    if cursor.peek() != Some(b'{') {
        return None;
    }
    rest.get(cursor.value(&mut Blind).ok()?)
}

fn is_image(part: &[u8]) -> bool {
    let kind = top_level_member(part, "mimeType").or_else(|| top_level_member(part, "mime_type"));
    kind.and_then(|range| part.get(range))
        .is_some_and(|kind| kind.starts_with(b"\"image/"))
}

/// True if a letter is written as an escape, which no JSON writer does by itself.
fn hides_letters(body: &[u8]) -> bool {
    memmem::find_iter(body, b"\\u00").any(|at| {
        let digits = body
            .get(at + 4..at + 6)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .is_some_and(|byte| byte.is_ascii_alphabetic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(body: &str) -> (u64, u64, bool) {
        let mut fields = RequestFields::default();
        note_media(body.as_bytes(), &mut fields);
        (fields.images, fields.documents, fields.continues_stored_state)
    }

    #[test]
    fn pictures_and_files_are_counted_in_either_spelling() {
        let body = r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"AA"}},
            {"inline_data" : {"data":"AA","mime_type":"image/webp"}},
            {"fileData":{"fileUri":"https://x/y"}},{"file_data":{"mime_type":"application/pdf"}},
            {"text":"\"inlineData\": {\"mimeType\":\"image/png\"}"}]}]}"#;
        assert_eq!(noted(body), (2, 2, false));
    }

    #[test]
    fn a_hidden_part_is_bounded_by_the_models_window() {
        assert_eq!(noted(r#"{"f\u0069leData":{"fileUri":"https://x"}}"#), (0, 0, true));
        assert_eq!(noted(r#"{"text":"\u001b[1m \u003c \u00e9"}"#), (0, 0, false));
    }
}
