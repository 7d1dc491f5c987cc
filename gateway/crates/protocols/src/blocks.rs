//! JSON text sixty-four bytes at a time: which bytes are inside strings, which quotes are real, where brackets stand.
//!
//! Agents send hundreds of kilobytes of short strings full of escapes. Looking for the next quote again and again costs
//! more than looking at every byte once, sixteen in one instruction, and working on the bits. The method is that of
//! Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), section 3.1.

use airside_sight::{Eyes, WIDTH};
use memchr::memchr2;

const EVEN: u64 = 0x5555_5555_5555_5555;

/// What is known of one block; bit `n` speaks of its byte `n`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    /// Quotes that open or close a string.
    pub(crate) quotes: u64,
    /// Bytes inside a string, its opening quote included and its closing quote not.
    pub(crate) inside: u64,
    /// Brackets and braces outside strings.
    pub(crate) brackets: u64,
    /// Backslashes outside strings, where JSON has none.
    pub(crate) stray: u64,
    /// Bytes that are `t` or a backslash: how a key that matters may begin.
    pub(crate) marks: u64,
}

/// What one block leaves to the next.
#[derive(Debug, Clone, Copy, Default)]
struct Carried {
    /// 1 when the first byte of the next block is escaped.
    escaped: u64,
    /// All ones when the next block begins inside a string.
    inside: u64,
}

impl Carried {
    /// Which bytes of the backslashes' neighbours are escaped: those behind an odd run.
    #[expect(clippy::inline_always, reason = "as `search`")]
    #[inline(always)]
    fn escapes(&mut self, backslashes: u64) -> u64 {
        if backslashes == 0 {
            return std::mem::take(&mut self.escaped);
        }
        let backslashes = backslashes & !self.escaped;
        let follows = backslashes << 1 | self.escaped;
        let odd_starts = backslashes & !EVEN & !follows;
        let (from_odd, overflow) = odd_starts.overflowing_add(backslashes);
        self.escaped = u64::from(overflow);
        (EVEN ^ from_odd << 1) & follows
    }

    /// Read the next block; says too whether all of it is text of one string, so that more of it may follow.
    #[expect(clippy::inline_always, reason = "as `search`")]
    #[inline(always)]
    fn read(&mut self, eyes: impl Eyes, bytes: &[u8; WIDTH]) -> (Block, bool) {
        let seen = eyes.look(bytes);
        let is_text = seen.quotes | seen.backslashes == 0 && self.inside != 0;
        let quotes = seen.quotes & !self.escapes(seen.backslashes);
        let inside = eyes.running_parity(quotes) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        let block = Block {
            quotes,
            inside,
            brackets: seen.brackets & !inside,
            stray: seen.backslashes & !inside,
            marks: seen.ts | seen.backslashes,
        };
        (block, is_text)
    }
}

/// Looks for something in the blocks of a text.
pub(crate) trait Search {
    /// What it looks for.
    type Found;

    /// Look at the block that begins there. To be inlined always, as `search`.
    fn look(&mut self, base: usize, block: &Block) -> Option<Self::Found>;
}

/// Look at a text block by block, from a place outside any string on, until what is looked for is found. Whole blocks
/// of a string that hold neither a quote nor a backslash are passed over where many follow each other.
#[expect(
    clippy::inline_always,
    reason = "built anew for each kind of machine, with the search in it: a call for every sixty-four bytes costs as much as the look"
)]
#[inline(always)]
pub(crate) fn search<S: Search>(text: &[u8], start: usize, eyes: impl Eyes, mut search: S) -> Option<S::Found> {
    let (mut at, mut carried) = (start, Carried::default());
    loop {
        let (blocks, tail) = text.get(at..).unwrap_or_default().as_chunks::<WIDTH>();
        let mut is_text = false;
        for bytes in blocks {
            let block;
            (block, is_text) = carried.read(eyes, bytes);
            if let Some(found) = search.look(at, &block) {
                return Some(found);
            }
            at += WIDTH;
            if is_text {
                break;
            }
        }
        if is_text {
            at += length_of_text(text.get(at..).unwrap_or_default());
        } else if tail.is_empty() {
            return None;
        } else {
            let (block, _) = carried.read(eyes, &filled_up(tail));
            return search.look(at, &block);
        }
    }
}

/// Whole blocks of a string that hold neither a quote nor a backslash, in bytes.
fn length_of_text(rest: &[u8]) -> usize {
    memchr2(b'"', b'\\', rest).unwrap_or(rest.len()) / WIDTH * WIDTH
}

/// The last bytes of a text, and spaces behind them.
#[cold]
fn filled_up(rest: &[u8]) -> [u8; WIDTH] {
    let mut filled = [b' '; WIDTH];
    filled.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    filled
}

/// The places of the bits that are set, lowest first.
pub(crate) fn places(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (place < 64).then_some(place as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_sight::{Scan, scan_with_quickest};
    use proptest::prelude::*;

    /// The same, one byte after the other.
    fn plainly(text: &[u8]) -> Vec<(bool, bool)> {
        let (mut inside, mut escaped) = (false, false);
        text.iter()
            .map(|byte| {
                let is_quote = *byte == b'"' && !escaped;
                escaped = *byte == b'\\' && !escaped;
                inside ^= is_quote;
                (is_quote, inside)
            })
            .collect()
    }

    /// Keeps every block.
    struct Into<'a>(&'a mut Vec<(usize, Block)>);

    impl Search for Into<'_> {
        type Found = ();

        fn look(&mut self, base: usize, block: &Block) -> Option<()> {
            self.0.push((base, *block));
            None
        }
    }

    /// All blocks of a text.
    struct All<'a>(&'a [u8]);

    impl Scan for All<'_> {
        type Outcome = Vec<(usize, Block)>;

        fn run(self, eyes: impl Eyes) -> Self::Outcome {
            let mut all = Vec::new();
            search(self.0, 0, eyes, Into(&mut all));
            all
        }
    }

    proptest! {
        #[test]
        fn blocks_see_what_a_plain_reader_sees(text in prop::collection::vec(prop_oneof![1 => Just(b'"'), 1 => Just(b'\\'), 1 => Just(b'{'), 120 => Just(b'x'), 5 => any::<u8>()], 0..1500)) {
            let plain = plainly(&text);
            let mut looked_at = vec![false; text.len()];
            for (base, block) in scan_with_quickest(All(&text)) {
                for bit in 0..64.min(text.len() - base) {
                    let (is_quote, inside) = plain[base + bit];
                    let is_bracket = b"{}[]".contains(&text[base + bit]) && !inside;
                    prop_assert_eq!(block.quotes >> bit & 1 == 1, is_quote);
                    prop_assert_eq!(block.inside >> bit & 1 == 1, inside);
                    prop_assert_eq!(block.brackets >> bit & 1 == 1, is_bracket);
                    looked_at[base + bit] = true;
                }
            }
            for (at, looked_at) in looked_at.into_iter().enumerate() {
                prop_assert!(looked_at || (plain[at].1 && !plain[at].0 && text[at] != b'\\'), "byte {} was passed over", at);
            }
        }
    }
}
