//! What an answer that came as one JSON document is: an answer, a failure said inside a success, or neither.

use crate::family::{Family, FrontDoor};
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

/// The document that a provider sent with a success: what it means, and the members that tell what it cost, as they are
/// written there.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    /// All of it.
    pub text: &'a [u8],
    /// What it is.
    pub meaning: DocumentMeaning,
    /// What it says of its usage; Gemini has its own name for it.
    pub usage: Option<&'a [u8]>,
    /// The service tier that answered.
    pub service_tier: Option<&'a [u8]>,
    /// What was said and done: `output`, or Gemini's `candidates`.
    pub said: Option<&'a [u8]>,
}

impl<'a> Document<'a> {
    /// Read the document of an answer at this door, in one walk along its top level.
    #[must_use]
    pub fn read(door: FrontDoor, text: &'a [u8]) -> Self {
        let (usage_name, said_name): (&[u8], &[u8]) = match door.family() {
            Family::Gemini => (b"usageMetadata", b"candidates"),
            _ => (b"usage", b"output"),
        };
        let mut read = Self {
            text,
            meaning: DocumentMeaning::Garbage,
            usage: None,
            service_tier: None,
            said: None,
        };
        let (mut found, mut has_failed) = (None, false);
        let whole = each_member(text, |key, raw| {
            has_failed |= is_failure(door, key, raw);
            if is_promised(door, key) {
                found = Some(raw);
            }
            if key == usage_name {
                read.usage = Some(raw);
            } else if key == said_name {
                read.said = Some(raw);
            } else if key == b"service_tier" {
                read.service_tier = Some(raw);
            }
            Some(())
        });
        let is_counted = read.usage.is_some();
        read.meaning = match (whole, found) {
            (None, _) if text.trim_ascii().is_empty() => DocumentMeaning::Empty,
            (Some(()), _) if has_failed => DocumentMeaning::Failed,
            (Some(()), Some(promised)) if is_void(door, promised) => DocumentMeaning::Empty,
            (Some(()), Some(_)) => DocumentMeaning::Answer,
            // Gemini leaves out what it has nothing to say to.
            (Some(()), None) if door == FrontDoor::GenerateContent && is_counted => DocumentMeaning::Empty,
            (None, _) | (Some(()), None) => DocumentMeaning::Garbage,
        };
        read
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
        Document::read(door, text.as_bytes()).meaning
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
    fn what_tells_the_cost_is_found_on_the_way() {
        let chat = br#"{"usage":{"a":1},"choices":[{}],"service_tier":"flex"}"#;
        let read = Document::read(FrontDoor::Chat, chat);
        assert_eq!(
            (read.usage, read.service_tier, read.said),
            (Some(&br#"{"a":1}"#[..]), Some(&br#""flex""#[..]), None)
        );
        let gemini = br#"{"candidates":[{}],"usageMetadata":{},"usage":1}"#;
        let read = Document::read(FrontDoor::GenerateContent, gemini);
        assert_eq!((read.usage, read.said), (Some(&b"{}"[..]), Some(&b"[{}]"[..])));
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
