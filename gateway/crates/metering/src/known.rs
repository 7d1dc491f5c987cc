//! How large a conversation is, known from its last call.
//!
//! A request is bounded by its bytes, a token each: four times too much for one that repeats a long conversation. Where
//! the last answer of the same model said how many tokens it had read, what stands in that request unchanged needs no
//! guess: a request has at most the tokens of the one before it and one for each byte that is new. Requests are
//! remembered as fingerprints of their pieces, keyed by chance, so that nobody can make new text look known.
//!
//! What a provider may leave uncounted in one request and count in the next (thinking, anything under a setting that
//! drops parts of a conversation) is never taken for known.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use airside_protocols::top_level_member;
use memchr::memmem;
use serde::Deserialize;

/// Pieces that are remembered in all: eight megabytes.
const MOST_PIECES: usize = 1 << 20;
/// Tokens that a seam between two pieces can add.
const TOKENS_PER_SEAM: u64 = 4;
/// What is counted in one call and not in another.
const NOT_ALWAYS_COUNTED: [&[u8]; 4] = [b"thinking", b"ignature", b"encrypted_content", b"redacted"];

/// A request, cut where its own text says, so that what stands unchanged is cut alike wherever it moved.
#[derive(Debug, Clone, Default)]
pub struct Fingerprint {
    /// Hash and length of each piece, by hash.
    pieces: Vec<(u64, u32)>,
    /// Bytes that are never taken for known.
    uncertain_bytes: u64,
    /// Every token of it is counted by its provider.
    is_counted_whole: bool,
}

#[derive(Debug)]
struct Known {
    pieces: Box<[u64]>,
    tokens: u64,
    used: u64,
}

#[derive(Debug, Default)]
struct Memory {
    known: HashMap<u64, Known>,
    pieces: usize,
    clock: u64,
}

/// The conversations that are remembered.
#[derive(Debug, Default)]
pub struct KnownInputs {
    hasher: RandomState,
    memory: Mutex<Memory>,
}

impl KnownInputs {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands for a conversation with one model: whatever tells it from others.
    #[must_use]
    pub fn key(&self, of: &impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    /// The fingerprint of a request.
    #[must_use]
    pub fn fingerprint(&self, body: &[u8]) -> Fingerprint {
        let mut print = Fingerprint {
            is_counted_whole: is_counted_whole(body),
            ..Fingerprint::default()
        };
        let starts = memmem::find_iter(body, b"{\"").skip_while(|at| *at == 0);
        let (mut from, mut piece) = (0, (0, 0_u32));
        for end in starts.chain([body.len()]) {
            let text = body.get(from..end).unwrap_or_default();
            from = end;
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            if NOT_ALWAYS_COUNTED.iter().any(|mark| memmem::find(text, mark).is_some()) {
                print.uncertain_bytes += u64::from(length);
                continue;
            }
            let hash = self.hasher.hash_one(text);
            piece = (self.hasher.hash_one((piece.0, hash)), piece.1.saturating_add(length));
            // A few objects make a piece, ended by what is in the last of them.
            if hash.is_multiple_of(4) {
                print.pieces.push(std::mem::take(&mut piece));
            }
        }
        if piece.1 > 0 {
            print.pieces.push(piece);
        }
        print.pieces.sort_unstable();
        print
    }

    /// The most tokens that a request's own text can be; `None` if its conversation is not known.
    #[must_use]
    pub fn bound(&self, key: u64, print: &Fingerprint) -> Option<u64> {
        let mut memory = self.memory();
        memory.clock += 1;
        let now = memory.clock;
        let known = memory.known.get_mut(&key)?;
        known.used = now;
        let (mut old, mut unknown) = (known.pieces.iter().peekable(), print.uncertain_bytes);
        for (hash, length) in &print.pieces {
            while old.next_if(|known| *known < hash).is_some() {}
            // A piece that stands more often than before is known only so often.
            if old.next_if(|known| *known == hash).is_none() {
                unknown = unknown
                    .saturating_add(u64::from(*length))
                    .saturating_add(TOKENS_PER_SEAM);
            }
        }
        Some(known.tokens.saturating_add(unknown))
    }

    /// Remember what a request was counted as.
    pub fn remember(&self, key: u64, print: &Fingerprint, tokens: u64) {
        if !print.is_counted_whole || tokens == 0 {
            return;
        }
        let mut memory = self.memory();
        memory.clock += 1;
        let known = Known {
            pieces: print.pieces.iter().map(|(hash, _)| *hash).collect(),
            tokens,
            used: memory.clock,
        };
        memory.pieces += known.pieces.len();
        if let Some(before) = memory.known.insert(key, known) {
            memory.pieces -= before.pieces.len();
        }
        if memory.pieces > MOST_PIECES {
            memory.forget_older_half();
        }
    }
}

impl Memory {
    fn forget_older_half(&mut self) {
        let mut moments: Vec<u64> = self.known.values().map(|known| known.used).collect();
        moments.sort_unstable();
        let middle = moments.get(moments.len() / 2).copied().unwrap_or(0);
        self.known.retain(|_, known| known.used > middle);
        self.pieces = self.known.values().map(|known| known.pieces.len()).sum();
    }
}

/// False if the request has a setting by which its provider may drop parts of it before it counts.
fn is_counted_whole(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Editing {
        #[serde(default)]
        edits: Vec<Edit>,
    }
    #[derive(Deserialize)]
    struct Edit {
        #[serde(rename = "type")]
        kind: String,
    }
    let value = |key: &str| {
        memmem::find(body, key.as_bytes())?;
        body.get(top_level_member(body, key)?)
    };
    let drops_by_editing = value("context_management").is_some_and(|value| {
        // Thinking is never taken for known, so what drops it does no harm.
        let editing = serde_json::from_slice::<Editing>(value);
        !editing.is_ok_and(|editing| editing.edits.iter().all(|edit| edit.kind.starts_with("clear_thinking")))
    });
    let truncates = value("truncation").is_some_and(|value| value != b"\"disabled\"" && value != b"null");
    let hides_tools = value("tool_choice").is_some_and(|value| memmem::find(value, b"none").is_some());
    !drops_by_editing && !truncates && !hides_tools
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn body(system: &str, messages: &[&str]) -> Vec<u8> {
        let said: Vec<String> = messages
            .iter()
            .map(|text| format!(r#"{{"role":"user","content":[{{"type":"text","text":"{text}"}}]}}"#))
            .collect();
        format!(
            r#"{{"model":"m","messages":[{}],"system":[{{"type":"text","text":"{system}"}}],"tools":[{{"name":"bash"}}]}}"#,
            said.join(",")
        )
        .into_bytes()
    }

    fn bound_after(first: &[u8], tokens: u64, second: &[u8]) -> Option<u64> {
        let inputs = KnownInputs::default();
        inputs.remember(1, &inputs.fingerprint(first), tokens);
        inputs.bound(1, &inputs.fingerprint(second))
    }

    #[test]
    fn a_conversation_that_grows_costs_its_tokens_and_the_new_bytes() {
        let long: Vec<String> = (0..400)
            .map(|at| format!("message number {at}, {}", "word ".repeat(100)))
            .collect();
        let messages: Vec<&str> = long.iter().map(String::as_str).collect();
        let first = body("be brief", &messages[..399]);
        let second = body("be brief", &messages);
        let bound = bound_after(&first, 50_000, &second).unwrap();
        assert!(bound > 50_000 + 500, "the new message counts by its bytes");
        assert!(bound < 50_000 + 20_000, "{bound}: and little else does");
        assert!(second.len() > 200_000);
    }

    #[test]
    fn the_same_request_again_is_known_whole_and_a_foreign_one_not_at_all() {
        let first = body("be brief", &["one", "two"]);
        let again = bound_after(&first, 500, &first).unwrap();
        assert_eq!(again, 500);
        let other = body("something else", &["three", "four"]).to_ascii_uppercase();
        assert!(bound_after(&first, 500, &other).unwrap() >= 500 + other.len() as u64);
        assert_eq!(KnownInputs::default().bound(1, &Fingerprint::default()), None);
    }

    #[test]
    fn what_stands_twice_is_known_once() {
        let inputs = KnownInputs::default();
        let print = |pieces| Fingerprint {
            pieces,
            uncertain_bytes: 0,
            is_counted_whole: true,
        };
        let (once, twice) = (print(vec![(7, 100)]), print(vec![(7, 100), (7, 100)]));
        inputs.remember(1, &once, 30);
        assert_eq!(inputs.bound(1, &twice), Some(30 + 100 + TOKENS_PER_SEAM));
    }

    #[test]
    fn thinking_is_never_known() {
        let thinking = br#"{"model":"m","messages":[{"type":"thinking","thinking":"so {x} it is","signature":"abc"},{"type":"text"}]}"#;
        let bound = bound_after(thinking, 10, thinking).unwrap();
        assert!(bound >= 10 + r#"{"type":"thinking","thinking":"so {x} it is","signature":"abc"},"#.len() as u64);
    }

    #[test]
    fn a_request_that_is_not_counted_whole_is_not_remembered() {
        for (setting, is_known) in [
            (
                r#""context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}"#,
                false,
            ),
            (
                r#""context_management":{"edits":[{"type":"clear_thinking_20251015","keep":"all"}]}"#,
                true,
            ),
            (
                r#""context_management":{"edits":[{"type":"forget_it_20270101"}]}"#,
                false,
            ),
            (r#""truncation":"auto""#, false),
            (r#""truncation":"disabled""#, true),
            (r#""tool_choice":{"type":"none"}"#, false),
            (r#""tool_choice":"auto""#, true),
        ] {
            let request = format!(r#"{{"model":"m",{setting}}}"#);
            let found = bound_after(request.as_bytes(), 5, request.as_bytes());
            assert_eq!(found.is_some(), is_known, "{setting}");
        }
    }

    #[test]
    fn memory_has_a_bound() {
        let inputs = KnownInputs::default();
        let print = Fingerprint {
            pieces: (0..MOST_PIECES as u64 / 8).map(|hash| (hash, 1)).collect(),
            uncertain_bytes: 0,
            is_counted_whole: true,
        };
        for key in 0..20 {
            inputs.remember(key, &print, 1);
        }
        assert!(inputs.memory().pieces <= MOST_PIECES);
        assert!(inputs.bound(19, &print).is_some() && inputs.bound(0, &print).is_none());
    }

    proptest! {
        /// Let a token be any `size` bytes of text that stands together: whatever is added, dropped or moved, the
        /// bound is never below the tokens of the new request.
        #[test]
        fn a_bound_is_never_below_the_truth(
            words in prop::collection::vec(("[a-z]{1,40}", 0_u8..3), 1..60), size in 1_usize..8, seed in any::<u64>(),
        ) {
            let first: Vec<&str> = words.iter().filter(|(_, part)| *part != 1).map(|(word, _)| word.as_str()).collect();
            let mut second: Vec<&str> = words.iter().filter(|(_, part)| *part != 2).map(|(word, _)| word.as_str()).collect();
            let turn = usize::try_from(seed % second.len().max(1) as u64).unwrap();
            second.rotate_left(turn);
            let tokens = |messages: &[&str]| messages.iter().map(|text| text.len().div_ceil(size) as u64).sum::<u64>();
            let (old, new) = (body("s", &first), body("s", &second));
            if let Some(bound) = bound_after(&old, tokens(&first), &new) {
                prop_assert!(bound >= tokens(&second));
            }
        }
    }
}
