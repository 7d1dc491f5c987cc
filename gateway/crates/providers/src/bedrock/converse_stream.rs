//! The stream of `ConverseStream` as the events of Claude's API.
//!
//! Converse starts only blocks of tools, and says why it stopped before what it cost; Claude's events have a start for
//! each block and both in one.

use serde_json::{Value, json};

use super::converse_answer::{stop_reason, usage};
use super::error::stream_error;
use super::frames::{Frame, Frames};
use crate::values::at;
use crate::vendor::{Decoder, Undecodable};

/// Says a stream.
#[derive(Debug)]
pub(super) struct ConverseStream {
    model: String,
    frames: Frames,
    /// The block that is open, if one is.
    open: Option<u64>,
    /// How many blocks were started: Converse's numbers may have gaps.
    blocks: u64,
    stopped: Option<&'static str>,
    is_over: bool,
}

impl ConverseStream {
    pub(super) fn new(model: &str) -> Self {
        Self {
            model: model.to_owned(),
            frames: Frames::default(),
            open: None,
            blocks: 0,
            stopped: None,
            is_over: false,
        }
    }

    fn say(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        if let Some((kind, message)) = frame.exception() {
            self.is_over = true;
            out.extend_from_slice(&stream_error(&kind, &message));
            return Ok(());
        }
        let data: Value = serde_json::from_slice(&frame.payload).map_err(|_| Undecodable)?;
        let index = at(&data, "/contentBlockIndex").as_u64().unwrap_or(0);
        match frame.header(":event-type").unwrap_or_default() {
            "messageStart" => event(
                out,
                &json!({"type": "message_start", "message": {
                "id": "msg_bedrock", "type": "message", "role": "assistant", "model": self.model, "content": [],
                "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0}}}),
            ),
            "contentBlockStart" => {
                let call = at(&data, "/start/toolUse");
                let block =
                    json!({"type": "tool_use", "id": at(call, "/toolUseId"), "name": at(call, "/name"), "input": {}});
                self.start(index, &block, out);
            }
            "contentBlockDelta" => self.delta(index, at(&data, "/delta"), out),
            "contentBlockStop" => self.stop(out),
            "messageStop" => self.stopped = Some(stop_reason(at(&data, "/stopReason").as_str().unwrap_or_default())),
            "metadata" => self.finish(at(&data, "/usage"), out),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, index: u64, block: &Value, out: &mut Vec<u8>) {
        self.stop(out);
        self.open = Some(index);
        event(
            out,
            &json!({"type": "content_block_start", "index": self.blocks, "content_block": block}),
        );
        self.blocks += 1;
    }

    fn stop(&mut self, out: &mut Vec<u8>) {
        if self.open.take().is_some() {
            event(out, &json!({"type": "content_block_stop", "index": self.blocks - 1}));
        }
    }

    fn delta(&mut self, index: u64, delta: &Value, out: &mut Vec<u8>) {
        let reasoning = at(delta, "/reasoningContent");
        let (block, said) = if let Some(text) = at(delta, "/text").as_str() {
            (
                json!({"type": "text", "text": ""}),
                json!({"type": "text_delta", "text": text}),
            )
        } else if let Some(input) = at(delta, "/toolUse/input").as_str() {
            (Value::Null, json!({"type": "input_json_delta", "partial_json": input}))
        } else if let Some(text) = at(reasoning, "/text").as_str() {
            (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                json!({"type": "thinking_delta", "thinking": text}),
            )
        } else if let Some(signature) = at(reasoning, "/signature").as_str() {
            (
                json!({"type": "thinking", "thinking": "", "signature": ""}),
                json!({"type": "signature_delta", "signature": signature}),
            )
        } else if let Some(data) = reasoning.get("redactedContent") {
            (json!({"type": "redacted_thinking", "data": data}), Value::Null)
        } else {
            return;
        };
        if self.open != Some(index) && !block.is_null() {
            self.start(index, &block, out);
        }
        if !said.is_null() && self.open == Some(index) {
            event(
                out,
                &json!({"type": "content_block_delta", "index": self.blocks - 1, "delta": said}),
            );
        }
    }

    fn finish(&mut self, counts: &Value, out: &mut Vec<u8>) {
        self.stop(out);
        let reason = self.stopped.unwrap_or("end_turn");
        event(
            out,
            &json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null},
                           "usage": usage(counts)}),
        );
        event(out, &json!({"type": "message_stop"}));
        self.is_over = true;
    }
}

fn event(out: &mut Vec<u8>, data: &Value) {
    let kind = at(data, "/type").as_str().unwrap_or_default();
    out.extend_from_slice(format!("event: {kind}\ndata: {data}\n\n").as_bytes());
}

impl Decoder for ConverseStream {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.frames.push(bytes);
        let mut out = Vec::with_capacity(bytes.len());
        while let Some(frame) = self.frames.next()? {
            if !self.is_over {
                self.say(&frame, &mut out)?;
            }
        }
        Ok(out)
    }

    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        if self.frames.is_empty() && self.is_over {
            Ok(Vec::new())
        } else {
            Err(Undecodable)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::tests::frame;
    use super::*;

    fn sent(kind: &str, payload: &Value) -> Vec<u8> {
        frame(
            &[(":message-type", "event"), (":event-type", kind)],
            payload.to_string().as_bytes(),
        )
    }

    fn kinds(said: &[u8]) -> Vec<String> {
        let text = String::from_utf8(said.to_vec()).unwrap();
        text.lines()
            .filter_map(|line| line.strip_prefix("event: "))
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn blocks_are_started_and_the_end_says_what_it_cost() {
        let frames = [
            sent("messageStart", &json!({"role": "assistant"})),
            sent(
                "contentBlockDelta",
                &json!({"contentBlockIndex": 0, "delta": {"text": "hi"}}),
            ),
            sent("contentBlockStop", &json!({"contentBlockIndex": 0})),
            sent(
                "contentBlockStart",
                &json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "1", "name": "t"}}}),
            ),
            sent(
                "contentBlockDelta",
                &json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": "{}"}}}),
            ),
            sent("contentBlockStop", &json!({"contentBlockIndex": 1})),
            sent("messageStop", &json!({"stopReason": "tool_use"})),
            sent("metadata", &json!({"usage": {"inputTokens": 3, "outputTokens": 2}})),
        ]
        .concat();
        let mut stream = ConverseStream::new("m");
        let said = stream.push(&frames).unwrap();
        assert_eq!(
            kinds(&said),
            [
                "message_start",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "message_delta",
                "message_stop",
            ]
        );
        let text = String::from_utf8(said).unwrap();
        assert!(
            text.contains(r#""stop_reason":"tool_use""#) && text.contains(r#""input_tokens":3"#),
            "{text}"
        );
        assert_eq!(stream.end(), Ok(Vec::new()));
    }

    #[test]
    fn an_exception_in_the_middle_ends_it() {
        let mut stream = ConverseStream::new("m");
        let thrown = frame(
            &[
                (":message-type", "exception"),
                (":exception-type", "modelStreamErrorException"),
            ],
            br#"{"message":"broke"}"#,
        );
        let said = stream
            .push(&[sent("messageStart", &json!({})), thrown].concat())
            .unwrap();
        assert_eq!(kinds(&said), ["message_start", "error"]);
    }

    #[test]
    fn a_stream_without_its_end_is_not_whole() {
        let mut stream = ConverseStream::new("m");
        assert!(stream.push(&sent("messageStart", &json!({}))).is_ok());
        assert_eq!(stream.end(), Err(Undecodable));
    }
}
