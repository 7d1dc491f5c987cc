//! An answer of `Converse` as a message of Claude's API.

use serde_json::{Value, json};

use crate::values::at;
use crate::vendor::{Decoder, Undecodable};

/// The largest answer that is read; it is held whole.
const MOST_ANSWER: usize = 32 << 20;

/// Why the model stopped.
pub(super) fn stop_reason(reason: &str) -> &'static str {
    match reason {
        "tool_use" => "tool_use",
        "max_tokens" => "max_tokens",
        "stop_sequence" => "stop_sequence",
        "content_filtered" | "guardrail_intervened" => "refusal",
        "model_context_window_exceeded" => "model_context_window_exceeded",
        _ => "end_turn",
    }
}

/// The counts; Converse leaves cached input out of `inputTokens`, as Claude's API does.
pub(super) fn usage(usage: &Value) -> Value {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    json!({
        "input_tokens": count("inputTokens"), "cache_read_input_tokens": count("cacheReadInputTokens"),
        "cache_creation_input_tokens": count("cacheWriteInputTokens"), "output_tokens": count("outputTokens"),
    })
}

/// Says a whole answer.
#[derive(Debug)]
pub(super) struct WholeAnswer {
    model: String,
    body: Vec<u8>,
}

impl WholeAnswer {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            body: Vec::new(),
        }
    }
}

impl Decoder for WholeAnswer {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.body.extend_from_slice(bytes);
        if self.body.len() > MOST_ANSWER {
            return Err(Undecodable);
        }
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        let said: Value = serde_json::from_slice(&self.body).map_err(|_| Undecodable)?;
        let content = at(&said, "/output/message/content").as_array().ok_or(Undecodable)?;
        let content: Vec<Value> = content.iter().filter_map(block).collect();
        let reason = at(&said, "/stopReason").as_str().ok_or(Undecodable)?;
        let message = json!({
            "id": "msg_bedrock", "type": "message", "role": "assistant", "model": self.model, "content": content,
            "stop_reason": stop_reason(reason), "stop_sequence": null, "usage": usage(at(&said, "/usage")),
        });
        Ok(message.to_string().into_bytes())
    }
}

fn block(block: &Value) -> Option<Value> {
    if let Some(text) = at(block, "/text").as_str() {
        return Some(json!({"type": "text", "text": text}));
    }
    if let Some(call) = block.get("toolUse") {
        return Some(
            json!({"type": "tool_use", "id": at(call, "/toolUseId"), "name": at(call, "/name"), "input": at(call, "/input")}),
        );
    }
    let reasoning = block.get("reasoningContent")?;
    if let Some(data) = reasoning.get("redactedContent") {
        return Some(json!({"type": "redacted_thinking", "data": data}));
    }
    let text = at(reasoning, "/reasoningText");
    let signature = at(text, "/signature").as_str().unwrap_or_default();
    Some(json!({"type": "thinking", "thinking": at(text, "/text"), "signature": signature}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_answer_becomes_a_message() {
        let said = json!({
            "output": {"message": {"role": "assistant", "content": [
                {"reasoningContent": {"reasoningText": {"text": "hm"}}}, {"text": "hi"},
                {"toolUse": {"toolUseId": "1", "name": "t", "input": {"a": 1}}}]}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 12, "cacheReadInputTokens": 7},
        });
        let mut answer = WholeAnswer::new("m");
        assert_eq!(answer.push(said.to_string().as_bytes()), Ok(Vec::new()));
        let message: Value = serde_json::from_slice(&answer.end().unwrap()).unwrap();
        assert_eq!(
            message["content"],
            json!([{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "hi"},
                   {"type": "tool_use", "id": "1", "name": "t", "input": {"a": 1}}])
        );
        assert_eq!(
            (&message["stop_reason"], &message["usage"]["cache_read_input_tokens"]),
            (&json!("tool_use"), &json!(7))
        );
    }

    #[test]
    fn what_is_no_answer_does_not_become_one() {
        let mut answer = WholeAnswer::new("m");
        assert_eq!(answer.push(b"{}"), Ok(Vec::new()));
        assert_eq!(answer.end(), Err(Undecodable));
    }
}
