use super::{Framed, Seen, SeenCall, json, text};
use serde_json::Value;

pub(super) fn read(events: &[Framed]) -> Seen {
    let chunks = events.iter().map(|(name, data)| {
        assert_eq!(*name, None);
        json(data)
    });
    chunks_read(chunks)
}

/// The array form: one document.
pub(crate) fn read_array(body: &[u8]) -> Seen {
    let chunks: Vec<Value> =
        serde_json::from_slice(body).unwrap_or_else(|_| panic!("not an array: {}", String::from_utf8_lossy(body)));
    chunks_read(chunks.into_iter())
}

fn chunks_read(chunks: impl Iterator<Item = Value>) -> Seen {
    let mut seen = Seen::default();
    for chunk in chunks {
        assert!(
            seen.stop.is_none() && seen.error.is_none(),
            "a chunk behind the end: {chunk}"
        );
        if chunk["error"].is_object() {
            let error = &chunk["error"];
            assert!(error["code"].is_u64() && !text(error, "status").is_empty() && !text(error, "message").is_empty());
            seen.error = Some(error.clone());
            continue;
        }
        assert_eq!(text(&chunk, "modelVersion"), "coder");
        assert!(!text(&chunk, "responseId").is_empty());
        for count in ["promptTokenCount", "candidatesTokenCount", "totalTokenCount"] {
            assert!(chunk["usageMetadata"][count].is_u64(), "{chunk}");
        }
        seen.usage = chunk["usageMetadata"].clone();
        let [candidate] = chunk["candidates"].as_array().unwrap().as_slice() else {
            panic!("not one candidate: {chunk}");
        };
        assert_eq!(text(&candidate["content"], "role"), "model");
        for part in candidate["content"]["parts"].as_array().unwrap() {
            read_part(&mut seen, part);
        }
        seen.stop = candidate["finishReason"].as_str().map(str::to_owned);
    }
    assert!(seen.stop.is_some() || seen.error.is_some(), "the stream has no end");
    seen
}

fn read_part(seen: &mut Seen, part: &Value) {
    if let Some(signature) = part["thoughtSignature"].as_str() {
        seen.sealed.push(signature.to_owned());
    }
    let call = &part["functionCall"];
    if call.is_object() {
        assert!(call["args"].is_object(), "{part}");
        seen.calls.push(SeenCall {
            kind: String::new(),
            id: text(call, "id").to_owned(),
            name: text(call, "name").to_owned(),
            arguments: call["args"].to_string(),
        });
    } else if part["thought"] == true {
        seen.thinking.push_str(text(part, "text"));
    } else {
        seen.text.push_str(text(part, "text"));
    }
}
