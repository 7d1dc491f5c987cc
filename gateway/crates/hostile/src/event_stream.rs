//! A cloud's binary stream of events: the bytes as they are, and as the payloads of whole frames.
//!
//! A changed byte breaks a frame's checksum, so that raw bytes end at the frame; framed payloads get to what reads them.

use std::sync::LazyLock;

use airside_protocols::FrontDoor;
use airside_providers::{Asked, Vendor, vendor_of};
use airside_snapshot::Provider;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::pieces;

/// One model of each of the two interfaces.
const MODELS: [&str; 2] = ["anthropic.claude-x", "amazon.nova-x"];
/// Events of both.
const EVENTS: [&str; 8] = [
    "chunk",
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
    "throttlingException",
];

static BEDROCK: LazyLock<Option<Box<dyn Vendor>>> = LazyLock::new(|| {
    let definition: Value = json!({"name": "b", "protocol": "anthropic", "base_url": "https://bedrock.invalid",
        "vendor": "bedrock", "region": "r", "credential": {"kind": "none"}});
    let provider: Provider = serde_json::from_value(definition).ok()?;
    vendor_of(&provider).ok()
});

/// An answer is the same however it was cut, or is no answer.
pub(crate) fn event_stream(bytes: &[u8]) {
    let framed = framed(bytes);
    for model in MODELS {
        for bytes in [bytes, &framed] {
            let whole = decoded(model, [bytes]);
            let cut = decoded(model, pieces(bytes));
            assert_eq!(whole, cut, "what an answer says depends on how it was cut");
        }
    }
}

/// All that the decoder of this model makes of it; `None` where it finds that it is no answer.
fn decoded<'a>(model: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let bedrock = BEDROCK.as_ref();
    assert!(bedrock.is_some(), "the vendor is there");
    let asked = Asked {
        streams: true,
        ..Asked::of(FrontDoor::Messages, model)
    };
    let mut decoder = bedrock?.decoder(&asked, 200, &mut HeaderMap::new())?;
    let mut said = Vec::new();
    for piece in pieces {
        said.extend(decoder.push(piece).ok()?);
    }
    said.extend(decoder.end().ok()?);
    Some(said)
}

/// Each paragraph as the payload of a frame; its length says of which event.
fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut frames = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = memchr::memmem::find(rest, b"\n\n").map_or(rest.len(), |at| at + 2);
        let (payload, behind) = rest.split_at_checked(end).unwrap_or((rest, b""));
        let kind = EVENTS.get(end % EVENTS.len()).copied().unwrap_or_default();
        frames.extend(frame(kind, payload));
        rest = behind;
    }
    frames
}

/// "Event stream encoding" in the Amazon Transcribe developer guide.
fn frame(kind: &str, payload: &[u8]) -> Vec<u8> {
    let (role, name) = if kind.ends_with("Exception") {
        ("exception", ":exception-type")
    } else {
        ("event", ":event-type")
    };
    let mut headers = Vec::new();
    for (name, value) in [(":message-type", role), (name, kind)] {
        headers.push(u8::try_from(name.len()).unwrap_or_default());
        headers.extend_from_slice(name.as_bytes());
        headers.push(7);
        headers.extend_from_slice(&u16::try_from(value.len()).unwrap_or_default().to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let word = |length: usize| u32::try_from(length).unwrap_or_default().to_be_bytes();
    let mut frame = Vec::new();
    frame.extend_from_slice(&word(12 + headers.len() + payload.len() + 4));
    frame.extend_from_slice(&word(headers.len()));
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn framed_payloads_get_to_what_reads_them() {
        let corpus = include_bytes!("../corpus/bedrock.events");
        let paragraphs = |from: usize, to: usize| {
            let text = String::from_utf8_lossy(corpus);
            let chosen: Vec<&str> = text.split_inclusive("\n\n").skip(from).take(to - from).collect();
            framed(chosen.concat().as_bytes())
        };
        let [claude, nova] = MODELS;
        let said = |model: &str, frames: &[u8]| String::from_utf8(decoded(model, [frames]).unwrap_or_default());
        assert!(said(claude, &paragraphs(0, 2)).is_ok_and(|text| text.contains("message_start")));
        assert!(said(nova, &paragraphs(2, 11)).is_ok_and(|text| text.contains("tool_use")));
    }
}
