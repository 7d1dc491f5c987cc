//! What an answer that came as one JSON document is: an answer, a failure said inside a success, or neither.

use crate::family::FrontDoor;
use crate::members::{array_elements, each_member};

/// What the document of a success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentMeaning {
    /// What the door promises.
    Answer,
    /// The provider says that it failed, in its own words.
    Failed,
    /// Of the right shape, with nothing in it.
    Empty,
    /// Not of the protocol.
    Garbage,
}

/// Read the document that a provider sent with a success at this door. Only its top level is looked at.
#[must_use]
pub fn meaning_of_document(door: FrontDoor, text: &[u8]) -> DocumentMeaning {
    if text.trim_ascii().is_empty() {
        return DocumentMeaning::Empty;
    }
    let (mut found, mut has_failed, mut is_counted) = (None, false, false);
    let whole = each_member(text, |key, raw| {
        has_failed |= is_failure(door, key, raw);
        is_counted |= key == b"usageMetadata";
        if is_promised(door, key) {
            found = Some(raw);
        }
        Some(())
    });
    if whole.is_none() {
        return DocumentMeaning::Garbage;
    }
    match found {
        _ if has_failed => DocumentMeaning::Failed,
        Some(promised) if is_void(door, promised) => DocumentMeaning::Empty,
        Some(_) => DocumentMeaning::Answer,
        // Gemini leaves out what it has nothing to say to.
        None if door == FrontDoor::GenerateContent && is_counted => DocumentMeaning::Empty,
        None => DocumentMeaning::Garbage,
    }
}

/// True for the member without which there is no answer.
fn is_promised(door: FrontDoor, key: &[u8]) -> bool {
    match door {
        FrontDoor::Messages => key == b"content",
        FrontDoor::CountTokens => key == b"input_tokens",
        FrontDoor::Responses | FrontDoor::Compact => key == b"output",
        FrontDoor::Chat => key == b"choices",
        FrontDoor::Embeddings => key == b"data",
        FrontDoor::GenerateContent => matches!(key, b"candidates" | b"promptFeedback"),
        FrontDoor::CountContent => key == b"totalTokens",
    }
}

fn is_failure(door: FrontDoor, key: &[u8], raw: &[u8]) -> bool {
    match key {
        b"error" => !matches!(raw, b"null" | b"{}" | b"\"\""),
        b"status" => matches!(door, FrontDoor::Responses | FrontDoor::Compact) && raw == b"\"failed\"",
        b"type" => raw == b"\"error\"",
        _ => false,
    }
}

/// True where a choice is promised and there is none.
fn is_void(door: FrontDoor, promised: &[u8]) -> bool {
    let has_choices = matches!(door, FrontDoor::Chat | FrontDoor::GenerateContent);
    has_choices && array_elements(promised).is_some_and(|choices| choices.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(door: FrontDoor, text: &str) -> DocumentMeaning {
        meaning_of_document(door, text.as_bytes())
    }

    #[test]
    fn an_answer_has_what_its_door_promises() {
        for (door, text) in [
            (FrontDoor::Messages, r#"{"type":"message","content":[]}"#),
            (FrontDoor::CountTokens, r#"{"input_tokens":3}"#),
            (FrontDoor::Responses, r#"{"status":"queued","error":null,"output":[]}"#),
            (FrontDoor::Compact, r#"{"output":[{}]}"#),
            (FrontDoor::Chat, " {\"choices\":[{}],\"error\":null}\n"),
            (FrontDoor::Embeddings, r#"{"data":[]}"#),
            (FrontDoor::GenerateContent, r#"{"candidates":[{}]}"#),
            (
                FrontDoor::GenerateContent,
                r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#,
            ),
            (FrontDoor::CountContent, r#"{"totalTokens":3}"#),
        ] {
            assert_eq!(meaning(door, text), DocumentMeaning::Answer, "{door:?} {text}");
        }
    }

    #[test]
    fn a_failure_inside_a_success_is_no_answer() {
        for (door, text) in [
            (
                FrontDoor::Chat,
                r#"{"error":{"code":429,"message":"slow down"},"choices":[{}]}"#,
            ),
            (FrontDoor::Chat, r#"{"error":"no"}"#),
            (FrontDoor::Messages, r#"{"type":"error","content":[]}"#),
            (FrontDoor::Responses, r#"{"status":"failed","error":null,"output":[]}"#),
            (FrontDoor::GenerateContent, r#"{"error":{"code":503}}"#),
        ] {
            assert_eq!(meaning(door, text), DocumentMeaning::Failed, "{door:?} {text}");
        }
    }

    #[test]
    fn what_holds_nothing_is_empty_and_what_is_something_else_is_garbage() {
        for (door, text) in [
            (FrontDoor::Chat, r#"{"choices":[]}"#),
            (FrontDoor::GenerateContent, r#"{"candidates":[]}"#),
            (FrontDoor::GenerateContent, r#"{"usageMetadata":{}}"#),
            (FrontDoor::Messages, " \n"),
        ] {
            assert_eq!(meaning(door, text), DocumentMeaning::Empty, "{door:?} {text}");
        }
        for text in [
            "{}",
            r#"{"foo":1}"#,
            "[]",
            "<html>",
            r#"{"choices":[{}]"#,
            r#"{"content":[}]}"#,
            "null",
        ] {
            for door in FrontDoor::ALL {
                assert_eq!(meaning(door, text), DocumentMeaning::Garbage, "{door:?} {text}");
            }
        }
    }
}
