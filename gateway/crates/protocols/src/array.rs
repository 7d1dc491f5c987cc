//! A stream of events as one JSON array: what Gemini's clients get who did not ask for `alt=sse`.

use crate::sse::events;

/// Writes the payloads of events as the elements of an array, each as soon as it is there.
#[derive(Debug, Default)]
pub struct ArrayFraming {
    is_open: bool,
}

impl ArrayFraming {
    /// The elements in a block of whole events.
    #[must_use]
    pub fn elements(&mut self, block: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(block.len());
        for event in events(block).filter(|event| !event.data.is_empty()) {
            let before: &[u8] = if self.is_open { b",\r\n" } else { b"[" };
            out.extend_from_slice(before);
            out.extend_from_slice(&event.data);
            self.is_open = true;
        }
        out
    }

    /// What closes the array.
    #[must_use]
    pub const fn end(&self) -> &'static [u8] {
        if self.is_open { b"]" } else { b"[]" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_become_elements() {
        let mut framing = ArrayFraming::default();
        let mut whole = framing.elements(b"data: {\"a\":1}\n\n: ping\n\ndata: {\"a\":2}\n\n");
        whole.extend(framing.elements(b"data: {\"a\":3}\r\n\r\n"));
        whole.extend(framing.end());
        assert_eq!(whole, b"[{\"a\":1},\r\n{\"a\":2},\r\n{\"a\":3}]");
        assert_eq!(ArrayFraming::default().end(), b"[]");
    }
}
