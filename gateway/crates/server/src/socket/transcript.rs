//! What was said over one socket, so that the next call over it needs to bring only what is new.
//!
//! It is of the last response only, as in the vendor's dialect, and belongs to the socket: an id of another socket is
//! unknown here, whoever asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use airside_protocols::{array_elements, top_level_member, top_level_text};

/// What all transcripts of the gateway may hold together. Beyond it the longest to grow is forgotten, and its caller
/// sends the whole conversation once more.
const MOST_KEPT: u64 = 512 << 20;

/// The items of one conversation, as they stand between the brackets of an array.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    id: Option<String>,
    items: Vec<u8>,
    kept: Kept,
}

impl Transcript {
    /// An empty one that counts against this gateway's bound.
    pub(super) fn counted(total: &Arc<AtomicU64>) -> Self {
        Self {
            kept: Kept {
                total: Arc::clone(total),
                bytes: 0,
            },
            ..Self::default()
        }
    }

    /// True when this is the response that was given last.
    pub(super) fn is_of(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id)
    }

    pub(super) fn items(&self) -> &[u8] {
        &self.items
    }

    /// Nothing went before.
    pub(super) fn forget(&mut self) {
        self.id = None;
        self.items = Vec::new();
        self.kept.become_bytes(0);
    }

    /// The response `id` followed this input. A compaction in it stands for all that went before.
    pub(super) fn continue_with(&mut self, id: String, input: &[u8], output: &[Vec<u8>]) {
        let compacted = output.iter().rposition(|item| is_compaction(item));
        if compacted.is_some() {
            self.items.clear();
        }
        let input = compacted.is_none().then_some(input);
        let output = output.iter().skip(compacted.unwrap_or_default());
        let pieces = input.into_iter().chain(output.map(Vec::as_slice));
        for piece in pieces.filter(|piece| !piece.is_empty()) {
            if !self.items.is_empty() {
                self.items.push(b',');
            }
            self.items.extend_from_slice(piece);
        }
        self.id = Some(id);
        if !self.kept.become_bytes(self.items.len() as u64) {
            self.forget();
        }
    }
}

fn is_compaction(item: &[u8]) -> bool {
    top_level_text(item, "type").is_some_and(|kind| kind.starts_with("compaction"))
}

/// This transcript's part of what all may hold.
#[derive(Debug, Default)]
struct Kept {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Kept {
    /// Count so many bytes instead. False when that is too much for all together.
    fn become_bytes(&mut self, bytes: u64) -> bool {
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
        let total = before.saturating_add(bytes).saturating_sub(self.bytes);
        self.bytes = bytes;
        total <= MOST_KEPT
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The items of an answer as its events go by.
#[derive(Debug)]
pub(super) struct Answer {
    items: Vec<Vec<u8>>,
    bytes: usize,
    most: usize,
    id: Option<String>,
    stores_nothing: bool,
}

/// What an event means for the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The answer goes on.
    Underway,
    /// The answer is over, and whole.
    Whole,
    /// The answer is over, and failed.
    Failed,
}

impl Answer {
    /// The start of an answer of which at most so many bytes are kept.
    pub(super) fn new(most: usize, stores_nothing: bool) -> Self {
        Self {
            items: Vec::new(),
            bytes: 0,
            most,
            id: None,
            stores_nothing,
        }
    }

    /// Take note of one event.
    pub(super) fn note(&mut self, kind: &str, data: &[u8]) -> Mark {
        match kind {
            "response.output_item.done" => {
                if let Some(item) = top_level_member(data, "item").and_then(|range| data.get(range)) {
                    self.keep(item);
                }
                Mark::Underway
            }
            "response.completed" | "response.incomplete" => {
                if let Some(response) = top_level_member(data, "response").and_then(|range| data.get(range)) {
                    self.note_whole(response);
                }
                Mark::Whole
            }
            "response.failed" | "response.cancelled" | "error" => Mark::Failed,
            _ => Mark::Underway,
        }
    }

    /// Take note of the response itself. Its items count only where no events told them.
    pub(super) fn note_whole(&mut self, response: &[u8]) {
        self.id = top_level_text(response, "id").map(std::borrow::Cow::into_owned);
        if !self.items.is_empty() {
            return;
        }
        let output = top_level_member(response, "output").and_then(|range| response.get(range));
        for element in output.and_then(array_elements).unwrap_or_default() {
            if let Some(item) = output.and_then(|output| output.get(element)) {
                self.keep(item);
            }
        }
    }

    fn keep(&mut self, item: &[u8]) {
        // What the provider does not store and did not hand out can not be shown to it again.
        let is_sealed = || top_level_text(item, "encrypted_content").is_some_and(|sealed| !sealed.is_empty());
        if self.stores_nothing && top_level_text(item, "type").as_deref() == Some("reasoning") && !is_sealed() {
            return;
        }
        self.bytes = self.bytes.saturating_add(item.len());
        if self.bytes <= self.most {
            self.items.push(item.to_vec());
        }
    }

    /// The answer's id and items, if all of it could be kept.
    pub(super) fn whole(self) -> Option<(String, Vec<Vec<u8>>)> {
        if self.bytes > self.most {
            return None;
        }
        Some((self.id?, self.items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_kept_as_they_were_said() {
        let mut answer = Answer::new(1000, true);
        let done = |item: &str| format!(r#"{{"type":"response.output_item.done","item":{item}}}"#);
        for item in [
            r#"{"type":"reasoning","id":"rs_1","summary":[]}"#,
            r#"{"type":"reasoning","id":"rs_2","encrypted_content":"x"}"#,
            r#"{"type":"message", "id":"msg_1"}"#,
        ] {
            assert_eq!(
                answer.note("response.output_item.done", done(item).as_bytes()),
                Mark::Underway
            );
        }
        let end = br#"{"response":{"id":"resp_1","output":[{"type":"message","id":"other"}]}}"#;
        assert_eq!(answer.note("response.completed", end), Mark::Whole);
        let (id, items) = answer.whole().unwrap();
        assert_eq!(id, "resp_1");
        let items: Vec<_> = items.iter().map(|item| String::from_utf8_lossy(item)).collect();
        assert_eq!(
            items,
            [
                r#"{"type":"reasoning","id":"rs_2","encrypted_content":"x"}"#,
                r#"{"type":"message", "id":"msg_1"}"#
            ]
        );
    }

    #[test]
    fn a_compaction_stands_for_all_that_went_before() {
        let mut transcript = Transcript::default();
        transcript.continue_with("a".to_owned(), br#"{"n":1}"#, &[br#"{"n":2}"#.to_vec()]);
        let output = [r#"{"n":4}"#, r#"{"type":"compaction","n":5}"#, r#"{"n":6}"#];
        let output = output.map(|item| item.as_bytes().to_vec());
        transcript.continue_with("b".to_owned(), br#"{"type":"compaction_trigger"}"#, &output);
        assert_eq!(transcript.items(), br#"{"type":"compaction","n":5},{"n":6}"#);
        transcript.continue_with("c".to_owned(), br#"{"n":7}"#, &[]);
        assert_eq!(transcript.items(), br#"{"type":"compaction","n":5},{"n":6},{"n":7}"#);
    }

    #[test]
    fn an_answer_that_is_too_long_is_not_kept() {
        let mut answer = Answer::new(10, false);
        answer.note(
            "response.completed",
            br#"{"response":{"id":"r","output":[{"text":"0123456789"}]}}"#,
        );
        assert!(answer.whole().is_none());
    }

    #[test]
    fn transcripts_share_one_bound_and_give_back_what_they_held() {
        let total = Arc::new(AtomicU64::new(MOST_KEPT - 10));
        let mut transcript = Transcript::counted(&total);
        transcript.continue_with("a".to_owned(), b"12345678", &[]);
        assert!(transcript.is_of("a"));
        transcript.continue_with("b".to_owned(), b"12345678", &[]);
        assert!(!transcript.is_of("b") && transcript.items().is_empty());
        transcript.continue_with("c".to_owned(), b"1", &[]);
        drop(transcript);
        assert_eq!(total.load(Ordering::Relaxed), MOST_KEPT - 10);
    }
}
