//! JSON text sixty-four bytes at a time: which bytes are inside strings, which quotes are real, where brackets stand.
//!
//! Agents send hundreds of kilobytes of short strings full of escapes. Looking for the next quote again and again costs
//! more than looking at every byte once, sixteen in one instruction, and working on the bits. The method is that of
//! Langdale and Lemire, "Parsing Gigabytes of JSON per Second" (2019), section 3.1.

use airside_sight::{Eyes, Seen, WIDTH};
use memchr::memchr2;

const EVEN: u64 = 0x5555_5555_5555_5555;

/// What is known of one block; bit `n` speaks of its byte `n`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    /// Quotes that open or close a string.
    pub(crate) quotes: u64,
    /// Bytes inside a string, its opening quote included and its closing quote not.
    pub(crate) inside: u64,
    /// Brackets and braces that open, outside strings.
    pub(crate) opening: u64,
    /// Those that close.
    pub(crate) closing: u64,
    /// Backslashes outside strings, where JSON has none.
    pub(crate) stray: u64,
    /// Quotes that open a string which begins with `t` or a backslash, or may do so: the next block's first byte is not
    /// known, and some other letters are not told apart (see `Seen`).
    pub(crate) marked: u64,
}

/// Where a search stands, between two blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    at: usize,
    carried: Carried,
}

impl Place {
    /// A place outside any string.
    pub(crate) fn outside(at: usize) -> Self {
        Self {
            at,
            carried: Carried::default(),
        }
    }

    /// Where the first block begins that was not looked at.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }
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
        // A backslash that is escaped begins nothing. Of each run of the others, the subtraction flips the places from
        // its start on by turns, and carries at most into the byte behind it.
        let beginning = backslashes & !self.escaped;
        let by_turns = ((beginning << 1 | !EVEN).wrapping_sub(beginning)) ^ !EVEN;
        let escaped = by_turns ^ (backslashes | self.escaped);
        self.escaped = (by_turns & backslashes) >> 63;
        escaped
    }

    /// Read the next block, of which this was seen.
    #[expect(clippy::inline_always, reason = "as `search`")]
    #[inline(always)]
    fn read(&mut self, eyes: impl Eyes, seen: Seen) -> Block {
        let quotes = seen.quotes & !self.escapes(seen.backslashes);
        let inside = eyes.running_parity(quotes) ^ self.inside;
        self.inside = 0_u64.wrapping_sub(inside >> 63);
        Block {
            quotes,
            inside,
            opening: seen.opening & !inside,
            closing: seen.closing & !inside,
            stray: seen.backslashes & !inside,
            marked: quotes & inside & !(seen.unmarked >> 1),
        }
    }
}

/// Looks for something in the blocks of a text.
pub(crate) trait Search {
    /// What it looks for.
    type Found;

    /// Follow a block that has nothing to look at closely; false if it is to be looked at. To be inlined always, as
    /// `search`.
    fn passes(&mut self, eyes: impl Eyes, bytes: &[u8; WIDTH], block: &Block) -> bool;

    /// Look closely at a block that did not pass; `base` is where it begins, `squares` which of its bytes may be square
    /// brackets.
    fn look(&mut self, base: usize, squares: u64, block: Block) -> Option<Self::Found>;

    /// Keep what is to be gone on with from this place, when more has come.
    fn put_aside(self, place: Place);
}

/// Look at a text block by block, from this place on, until what is looked for is found. Whole blocks of a string that hold
/// neither a quote nor a backslash are passed over.
///
/// The last `held_back` bytes of a text that goes on are for the search to see, and no block of them is looked at: the
/// search is then put aside. Of a text that has come whole nothing is held back.
#[expect(
    clippy::inline_always,
    reason = "built anew for each kind of machine, with the search in it: a call for every sixty-four bytes costs as much as the look"
)]
#[inline(always)]
pub(crate) fn search<S: Search>(
    text: &[u8],
    held_back: usize,
    place: Place,
    eyes: impl Eyes,
    mut search: S,
) -> Option<S::Found> {
    let open = text.get(..text.len().saturating_sub(held_back)).unwrap_or_default();
    let Place { mut at, mut carried } = place;
    'text: loop {
        let (blocks, tail) = open.get(at..).unwrap_or_default().as_chunks::<WIDTH>();
        let mut blocks = blocks.iter();
        while let Some(bytes) = blocks.next() {
            let seen = eyes.look(bytes);
            // Counted from behind, which the iterator does anyway.
            let base = || open.len() - tail.len() - (blocks.len() + 1) * WIDTH;
            if seen.quotes | seen.backslashes == 0 && carried.inside != 0 {
                carried.escaped = 0;
                at = base();
                at += length_of_text(open.get(at..).unwrap_or_default());
                continue 'text;
            }
            let block = carried.read(eyes, seen);
            if !search.passes(eyes, bytes, &block)
                && let Some(found) = search.look(base(), eyes.squares(bytes), block)
            {
                return Some(found);
            }
        }
        if held_back > 0 {
            let at = open.len().max(at) - tail.len();
            search.put_aside(Place { at, carried });
            return None;
        }
        if tail.is_empty() {
            return None;
        }
        let bytes = filled_up(tail);
        let block = carried.read(eyes, eyes.look(&bytes));
        return search.look(open.len() - tail.len(), eyes.squares(&bytes), block);
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

        fn passes(&mut self, _: impl Eyes, _: &[u8; WIDTH], _: &Block) -> bool {
            false
        }

        fn look(&mut self, base: usize, _: u64, block: Block) -> Option<()> {
            self.0.push((base, block));
            None
        }

        fn put_aside(self, _: Place) {}
    }

    /// All blocks of a text.
    struct All<'a>(&'a [u8]);

    impl Scan for All<'_> {
        type Outcome = Vec<(usize, Block)>;

        fn run(self, eyes: impl Eyes) -> Self::Outcome {
            let mut all = Vec::new();
            search(self.0, 0, Place::outside(0), eyes, Into(&mut all));
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
                    let is = |these: &[u8]| these.contains(&text[base + bit]) && !inside;
                    prop_assert_eq!(block.quotes >> bit & 1 == 1, is_quote);
                    prop_assert_eq!(block.inside >> bit & 1 == 1, inside);
                    prop_assert_eq!(block.opening >> bit & 1 == 1, is(b"{["));
                    prop_assert_eq!(block.closing >> bit & 1 == 1, is(b"}]"));
                    looked_at[base + bit] = true;
                }
            }
            for (at, looked_at) in looked_at.into_iter().enumerate() {
                prop_assert!(looked_at || (plain[at].1 && !plain[at].0 && text[at] != b'\\'), "byte {} was passed over", at);
            }
        }
    }
}
