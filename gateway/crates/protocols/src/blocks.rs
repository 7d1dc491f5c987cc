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

/// The blocks of a text, from a place outside any string on.
#[derive(Debug)]
pub(crate) struct Blocks<'a, E> {
    text: &'a [u8],
    at: usize,
    eyes: E,
    /// 1 when the first byte of the next block is escaped.
    escaped: u64,
    /// All ones when the next block begins inside a string.
    inside: u64,
    /// The block before was all text: more of it may follow.
    in_long_text: bool,
}

impl<'a, E: Eyes> Blocks<'a, E> {
    pub(crate) fn new(text: &'a [u8], at: usize, eyes: E) -> Self {
        Self {
            text,
            at,
            eyes,
            escaped: 0,
            inside: 0,
            in_long_text: false,
        }
    }

    /// Pass over whole blocks of a string that hold neither a quote nor a backslash.
    fn skip_text(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let clean = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        self.at += clean / WIDTH * WIDTH;
        self.in_long_text = false;
    }

    /// Which bytes of the backslashes' neighbours are escaped: those behind an odd run.
    #[inline]
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
}

impl<E: Eyes> Iterator for Blocks<'_, E> {
    type Item = (usize, Block);

    #[expect(
        clippy::inline_always,
        reason = "called for every sixty-four bytes from one loop: passing a block through memory costs a sixth of all"
    )]
    #[inline(always)]
    fn next(&mut self) -> Option<(usize, Block)> {
        if self.in_long_text {
            self.skip_text();
        }
        let base = self.at;
        let rest = self.text.get(base..).filter(|rest| !rest.is_empty())?;
        let filled;
        let bytes = if let Some(whole) = rest.first_chunk() {
            whole
        } else {
            filled = filled_up(rest);
            &filled
        };
        self.at += WIDTH;
        let seen = self.eyes.look(bytes);
        if seen.quotes | seen.backslashes == 0 && self.inside != 0 {
            self.in_long_text = true;
        }
        let quotes = seen.quotes & !self.escapes(seen.backslashes);
        let inside = self.eyes.running_parity(quotes) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        let block = Block {
            quotes,
            inside,
            brackets: seen.brackets & !inside,
            stray: seen.backslashes & !inside,
            marks: seen.ts | seen.backslashes,
        };
        Some((base, block))
    }
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

    /// All blocks of a text.
    struct All<'a>(&'a [u8]);

    impl Scan for All<'_> {
        type Outcome = Vec<(usize, Block)>;

        fn run(self, eyes: impl Eyes) -> Self::Outcome {
            Blocks::new(self.0, 0, eyes).collect()
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
