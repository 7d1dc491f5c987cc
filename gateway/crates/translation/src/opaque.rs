//! What one vendor alone can read (signatures, encrypted reasoning), carried through a client of another dialect and
//! back.
//!
//! The data is JSON text, ready to be put back where the issuer wants it:
//!
//! | issuer | data |
//! |---|---|
//! | Anthropic | the block: `{"type":"thinking",…}` or `{"type":"redacted_thinking",…}`, or an array of such blocks |
//! | Responses | the item: `{"type":"reasoning",…}`, or an array of such items |
//! | Chat | members of the assistant's message: `{"reasoning_content":…}`; or those of the call whose id it tags, which are Google's: `{"extra_content":…}` |
//! | Gemini | the `thoughtSignature` as a JSON string; it belongs to the call whose id it tags, or else to the next part |
//!
//! Who carries it is not who may read it: the data only ever goes back to a target of the issuer's family.

use airside_protocols::Family;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

const MARK: &str = "airside:";
/// How the mark begins in base64.
const MARK_IN_BASE64: &str = "YWlyc2lkZT";
const TAG: &str = "__airs_";

/// Data that only its issuer can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opaque {
    /// The family of the target that made it.
    pub issuer: Family,
    /// JSON text; see the module.
    pub data: String,
}

/// The data as a text for the client's own field: Anthropic's `signature` and `redacted_thinking.data`, Responses'
/// `encrypted_content`, Gemini's `thoughtSignature`.
#[must_use]
pub fn seal(client: Family, issuer: Family, data: &str) -> String {
    match client {
        // Its clients read the field as bytes and write them back in either alphabet.
        Family::Gemini => STANDARD.encode(format!("{MARK}{}:{data}", issuer.name())),
        _ => format!("{MARK}{}:{}", issuer.name(), STANDARD.encode(data)),
    }
}

/// What `seal` put into a client's field; `None` when the field holds something else, such as a native signature.
#[must_use]
pub fn unseal(text: &str) -> Option<Opaque> {
    if let Some(rest) = text.strip_prefix(MARK) {
        let (issuer, data) = rest.split_once(':')?;
        return opaque(issuer, decoded(data)?);
    }
    if !text.starts_with(MARK_IN_BASE64) {
        return None;
    }
    let whole = decoded(text)?;
    let (issuer, data) = whole.strip_prefix(MARK)?.split_once(':')?;
    opaque(issuer, data.to_owned())
}

/// A tool call's id with the data in it, for clients that keep no other field: `<id>__airs_<base64url>`.
#[must_use]
pub fn tag_call_id(id: &str, issuer: Family, data: &str) -> String {
    let tag = URL_SAFE_NO_PAD.encode(format!("{}:{data}", issuer.name()));
    format!("{id}{TAG}{tag}")
}

/// The id that the issuer gave, and what `tag_call_id` added to it.
#[must_use]
pub fn untag_call_id(id: &str) -> (&str, Option<Opaque>) {
    let Some((own, tag)) = id.rsplit_once(TAG) else {
        return (id, None);
    };
    let carried = decoded(tag).and_then(|whole| {
        let (issuer, data) = whole.split_once(':')?;
        opaque(issuer, data.to_owned())
    });
    match carried {
        Some(carried) => (own, Some(carried)),
        None => (id, None),
    }
}

fn opaque(issuer: &str, data: String) -> Option<Opaque> {
    let issuer = [
        Family::Anthropic,
        Family::OpenaiResponses,
        Family::OpenaiChat,
        Family::Gemini,
    ]
    .into_iter()
    .find(|family| family.name() == issuer)?;
    // It is put back into a body as it is, so it must be one whole value: a client may have changed it.
    serde_json::from_str::<&serde_json::value::RawValue>(&data).ok()?;
    Some(Opaque { issuer, data })
}

/// Base64 of either alphabet, padded or not, of UTF-8 text.
fn decoded(text: &str) -> Option<String> {
    let unified: String = text
        .trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            '+' => '-',
            '/' => '_',
            other => other,
        })
        .collect();
    String::from_utf8(URL_SAFE_NO_PAD.decode(unified).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAMILIES: [Family; 4] = [
        Family::Anthropic,
        Family::OpenaiResponses,
        Family::OpenaiChat,
        Family::Gemini,
    ];

    proptest! {
        #[test]
        fn what_is_sealed_for_any_client_comes_back(client in 0_usize..4, issuer in 0_usize..4, text in any::<String>()) {
            let data = serde_json::json!({"type": "thinking", "signature": text}).to_string();
            let issuer = FAMILIES[issuer];
            let expected = Some(Opaque { issuer, data: data.clone() });
            let sealed = seal(FAMILIES[client], issuer, &data);
            prop_assert!(unseal(&sealed) == expected);
            let rewritten = sealed.replace('+', "-").replace('/', "_");
            prop_assert!(unseal(rewritten.trim_end_matches('=')) == expected);
            let tagged = tag_call_id("toolu_1", issuer, &data);
            prop_assert!(tagged.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
            prop_assert_eq!(untag_call_id(&tagged), ("toolu_1", expected));
        }

        #[test]
        fn any_other_text_holds_nothing(text in any::<String>()) {
            prop_assert_eq!(unseal(&text), None);
            prop_assert_eq!(untag_call_id(&text), (text.as_str(), None));
        }
    }

    #[test]
    fn data_that_is_not_one_whole_value_is_not_put_back() {
        for data in ["", "{", r#"{"a":1},{"b":2}"#, "nope"] {
            assert_eq!(unseal(&seal(Family::Anthropic, Family::Gemini, data)), None, "{data}");
            let tagged = tag_call_id("id", Family::Gemini, data);
            assert_eq!(untag_call_id(&tagged), (tagged.as_str(), None), "{data}");
        }
    }
}
