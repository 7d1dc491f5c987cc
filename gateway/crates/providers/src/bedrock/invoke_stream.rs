//! The stream of `InvokeModelWithResponseStream`: Claude's own events, packed into frames.

use airside_protocols::top_level_text;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::stream_error;
use super::frames::{Frame, Frames};
use crate::vendor::{Decoder, Undecodable};

/// Unpacks Claude's events.
#[derive(Debug, Default)]
pub(super) struct InvokeStream {
    frames: Frames,
}

impl Decoder for InvokeStream {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        self.frames.push(bytes);
        let mut out = Vec::with_capacity(bytes.len());
        while let Some(frame) = self.frames.next()? {
            out.extend_from_slice(&event(&frame)?);
        }
        Ok(out)
    }

    fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        if self.frames.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Undecodable)
        }
    }
}

fn event(frame: &Frame) -> Result<Vec<u8>, Undecodable> {
    #[derive(serde::Deserialize)]
    struct Packed {
        bytes: String,
    }
    if let Some((kind, message)) = frame.exception() {
        return Ok(stream_error(&kind, &message));
    }
    if frame.header(":event-type") != Some("chunk") {
        return Ok(Vec::new());
    }
    let packed: Packed = serde_json::from_slice(&frame.payload).map_err(|_| Undecodable)?;
    let event = STANDARD.decode(packed.bytes).map_err(|_| Undecodable)?;
    let kind = top_level_text(&event, "type").ok_or(Undecodable)?;
    let head = format!("event: {kind}\ndata: ");
    Ok([head.as_bytes(), &event, b"\n\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::super::frames::tests::frame;
    use super::*;

    #[test]
    fn events_are_unpacked_as_they_are() {
        let event = br#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hi"}}"#;
        let payload = format!("{{\"bytes\":\"{}\",\"p\":\"ab\"}}", STANDARD.encode(event));
        let packed = frame(
            &[(":message-type", "event"), (":event-type", "chunk")],
            payload.as_bytes(),
        );
        let mut stream = InvokeStream::default();
        assert_eq!(stream.push(&packed[..20]), Ok(Vec::new()));
        assert_eq!(stream.end(), Err(Undecodable));
        let said = stream.push(&packed[20..]).unwrap();
        assert_eq!(
            String::from_utf8(said).unwrap(),
            format!(
                "event: content_block_delta\ndata: {}\n\n",
                String::from_utf8_lossy(event)
            )
        );
        assert_eq!(stream.end(), Ok(Vec::new()));
    }

    #[test]
    fn an_exception_becomes_an_error_in_the_stream() {
        let thrown = frame(
            &[
                (":message-type", "exception"),
                (":exception-type", "throttlingException"),
            ],
            br#"{"message":"Too many"}"#,
        );
        let said = String::from_utf8(InvokeStream::default().push(&thrown).unwrap()).unwrap();
        assert!(said.starts_with("event: error\ndata: "), "{said}");
        assert!(said.contains("rate_limit_error") && said.contains("Too many"), "{said}");
    }
}
