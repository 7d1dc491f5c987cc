//! What a caller says over its socket, and the request body it stands for.

use std::borrow::Cow;

use airside_protocols::{array_elements, object_members};
use bytes::Bytes;
use serde_json::json;

use super::transcript::Transcript;
use crate::reply::Refusal;

/// Members of the event that are no part of the request over HTTP.
const OURS: [&str; 6] = [
    "type",
    "generate",
    "previous_response_id",
    "input",
    "stream",
    "stream_id",
];

/// One `response.create`.
#[derive(Debug)]
pub(super) struct Create<'a> {
    /// Everything but `OURS`, as written.
    members: Vec<(Cow<'a, str>, &'a [u8])>,
    input: Option<&'a [u8]>,
    /// What the new input continues.
    pub(super) previous: Option<String>,
    /// False for a prewarm: nothing is to be generated.
    pub(super) generates: bool,
}

impl<'a> Create<'a> {
    /// Read an event.
    ///
    /// # Errors
    /// A refusal in words, for the caller to mend.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, Refusal> {
        let members = object_members(text);
        let members = members.ok_or_else(|| malformed("malformed_json", "The message is not a JSON object."))?;
        let one = |key: &'static str| {
            let mut values = members.iter().filter(|(name, _)| name == key).map(|(_, value)| *value);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(malformed("ambiguous_field", &format!("`{key}` may stand only once."))),
                (value, None) => Ok(value.filter(|value| *value != b"null")),
            }
        };
        match text_of(one("type")?).as_deref() {
            Some("response.create") => {}
            Some(other) => {
                let message = format!(
                    "'{}' is not served here, only 'response.create'.",
                    crate::call::shortened(other)
                );
                return Err(malformed("unsupported_event", &message));
            }
            None => return Err(malformed("unsupported_event", "The message has no `type`.")),
        }
        if one("stream_id")?.is_some() {
            let message = "`stream_id` is not served here: a socket carries one response after the other.";
            return Err(malformed("unsupported_parameter", message));
        }
        let generates = match one("generate")? {
            None | Some(b"true") => true,
            Some(b"false") => false,
            Some(_) => return Err(malformed("malformed_field", "`generate` must be true or false.")),
        };
        let previous = one("previous_response_id")?;
        let previous = previous.map(|raw| {
            let id = text_of(Some(raw)).map(Cow::into_owned);
            id.ok_or_else(|| malformed("malformed_field", "`previous_response_id` must be a text."))
        });
        let (input, previous) = (one("input")?, previous.transpose()?);
        one("stream")?;
        let members = members.into_iter().filter(|(key, _)| !OURS.contains(&key.as_ref()));
        Ok(Self {
            members: members.collect(),
            input,
            previous,
            generates,
        })
    }

    /// The model's name, for an answer that no provider gives.
    pub(super) fn model(&self) -> Option<Cow<'a, str>> {
        text_of(self.raw("model"))
    }

    /// The caller wants nothing stored by the provider: what is not in the transcript is nowhere.
    pub(super) fn stores_nothing(&self) -> bool {
        self.raw("store") == Some(b"false")
    }

    fn raw(&self, key: &str) -> Option<&'a [u8]> {
        let found = self.members.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| *value)
    }

    /// The new items, as they stand between the brackets of an array.
    pub(super) fn new_items(&self) -> Cow<'a, [u8]> {
        let Some(input) = self.input else {
            return Cow::Borrowed(b"");
        };
        if let Some(elements) = array_elements(input) {
            let start = elements.first().map_or(0, |first| first.start);
            let end = elements.last().map_or(start, |last| last.end);
            return Cow::Borrowed(input.get(start..end).unwrap_or_default());
        }
        if input.starts_with(b"\"") {
            // A text stands for one message of the user.
            let head = br#"{"type":"message","role":"user","content":"#;
            return Cow::Owned([head, input, b"}"].concat());
        }
        // Whatever it is, the provider is to say what is wrong with it.
        Cow::Borrowed(input)
    }

    /// The body of the call: what went before, then what is new.
    pub(super) fn body(&self, before: &Transcript) -> Bytes {
        let new = self.new_items();
        let known: usize = self
            .members
            .iter()
            .map(|(key, value)| key.len() + value.len() + 8)
            .sum();
        let mut body = Vec::with_capacity(known + before.items().len() + new.len() + 64);
        body.push(b'{');
        for (key, value) in &self.members {
            body.extend_from_slice(json!(key).to_string().as_bytes());
            body.push(b':');
            body.extend_from_slice(value);
            body.push(b',');
        }
        if self.input.is_some() || !before.items().is_empty() {
            body.extend_from_slice(b"\"input\":[");
            body.extend_from_slice(before.items());
            if !before.items().is_empty() && !new.is_empty() {
                body.push(b',');
            }
            body.extend_from_slice(&new);
            body.extend_from_slice(b"],");
        }
        body.extend_from_slice(b"\"stream\":true}");
        Bytes::from(body)
    }
}

fn malformed(code: &'static str, message: &str) -> Refusal {
    Refusal::new(400, code, message)
}

/// The text that this JSON value is, if it is one.
fn text_of(raw: Option<&[u8]>) -> Option<Cow<'_, str>> {
    serde_json::from_slice(raw?).ok().map(Cow::<str>::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, before: &Transcript) -> String {
        let create = Create::read(text.as_bytes()).unwrap();
        String::from_utf8(create.body(before).to_vec()).unwrap()
    }

    #[test]
    fn the_event_becomes_a_request_and_every_other_byte_stays() {
        let text = r#"{"type":"response.create","model":"m", "input":[ {"a":1e2} , {"b":"\u00e9"}],"store":false,"tools":[1, 2],"generate":true}"#;
        assert_eq!(
            body(text, &Transcript::default()),
            r#"{"model":"m","store":false,"tools":[1, 2],"input":[{"a":1e2} , {"b":"\u00e9"}],"stream":true}"#
        );
        let text = r#"{"type":"response.create","model":"m","input":"hi","stream":false}"#;
        assert_eq!(
            body(text, &Transcript::default()),
            r#"{"model":"m","input":[{"type":"message","role":"user","content":"hi"}],"stream":true}"#
        );
    }

    #[test]
    fn what_went_before_comes_first() {
        let mut before = Transcript::default();
        before.continue_with("resp_1".to_owned(), br#"{"x":1}"#, &[]);
        let text = r#"{"type":"response.create","model":"m","previous_response_id":"resp_1","input":[{"y":2}]}"#;
        assert_eq!(
            body(text, &before),
            r#"{"model":"m","input":[{"x":1},{"y":2}],"stream":true}"#
        );
        let text = r#"{"type":"response.create","model":"m","previous_response_id":"resp_1","input":[]}"#;
        assert_eq!(body(text, &before), r#"{"model":"m","input":[{"x":1}],"stream":true}"#);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (text, code) in [
            ("", "malformed_json"),
            ("[1]", "malformed_json"),
            ("{", "malformed_json"),
            (r#"{"model":"m"}"#, "unsupported_event"),
            (r#"{"type":"response.steer"}"#, "unsupported_event"),
            (
                r#"{"type":"response.create","type":"response.create"}"#,
                "ambiguous_field",
            ),
            (
                r#"{"type":"response.create","input":[],"inpu\u0074":[]}"#,
                "ambiguous_field",
            ),
            (r#"{"type":"response.create","generate":"no"}"#, "malformed_field"),
            (
                r#"{"type":"response.create","previous_response_id":7}"#,
                "malformed_field",
            ),
            (r#"{"type":"response.create","stream_id":"s"}"#, "unsupported_parameter"),
        ] {
            assert_eq!(Create::read(text.as_bytes()).unwrap_err().code, code, "{text}");
        }
    }
}
