//! The brackets that are open at a place of a JSON text, and whether each is closed by one of its kind.

use airside_sight::{Eyes, WIDTH};

use crate::blocks::{Block, places};

/// How deeply a request may be nested.
pub const MAX_DEPTH: usize = 256;

/// The text ended or broke its own grammar at this byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    At(usize),
    TooDeep,
}

/// Brackets that are open, one bit each: set for a square one. Deeper than `MAX_DEPTH` nobody may go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nesting {
    /// The innermost ones, the last in the lowest bit.
    squares: u64,
    /// Full words of those further out.
    outer: [u64; MAX_DEPTH / 64],
    depth: usize,
    max_depth: usize,
    /// As deep as one word goes, and no deeper than anybody may.
    shallow: usize,
}

impl Nesting {
    pub(crate) fn new(max_depth: usize) -> Self {
        Self {
            squares: 0,
            outer: [0; MAX_DEPTH / 64],
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            shallow: max_depth.min(63),
        }
    }

    /// Follow a block whose brackets are few and simple, or none: false if it is to be followed one by one.
    ///
    /// Braces alone are followed by their number, in whatever order they stand, if all that could be closed are braces,
    /// the first bracket stays open and one word holds them all.
    #[expect(clippy::inline_always, reason = "called for every sixty-four bytes")]
    #[inline(always)]
    pub(crate) fn passes(&mut self, eyes: impl Eyes, bytes: &[u8; WIDTH], block: &Block) -> bool {
        let brackets = block.opening | block.closing;
        if brackets == 0 {
            return true;
        }
        if eyes.squares(bytes) & brackets != 0 {
            return false;
        }
        let (opened, closed) = (block.opening.count_ones(), block.closing.count_ones());
        let highest = self.depth + opened as usize;
        let closable = (1_u64 << (closed & 63)) - 1;
        if closed as usize >= self.depth || highest > self.shallow || self.squares & closable != 0 {
            return false;
        }
        self.squares = self.squares >> (closed & 63) << (opened & 63);
        self.depth = highest - closed as usize;
        true
    }

    /// Follow the brackets of one block one by one; the place in it of the one that closes the first, if it is there.
    pub(crate) fn follow(&mut self, base: usize, squares: u64, block: &Block) -> Result<Option<usize>, Broken> {
        for place in places(block.opening | block.closing) {
            let square = squares >> place & 1;
            if block.closing >> place & 1 == 0 {
                self.open(square)?;
            } else if self.depth == 0 || !self.close(square) {
                return Err(Broken::At(base + place));
            } else if self.depth == 0 {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    #[inline]
    fn open(&mut self, square: u64) -> Result<(), Broken> {
        if self.depth >= self.max_depth {
            return Err(Broken::TooDeep);
        }
        if self.depth.is_multiple_of(64)
            && let Some(word) = self.outer.get_mut(self.depth / 64)
        {
            *word = self.squares;
        }
        self.squares = self.squares << 1 | square;
        self.depth += 1;
        Ok(())
    }

    /// Close the innermost of those that are open; false if it is of the other kind.
    #[inline]
    fn close(&mut self, square: u64) -> bool {
        let is_same = self.squares & 1 == square;
        self.squares >>= 1;
        self.depth -= 1;
        if self.depth.is_multiple_of(64) {
            self.squares = self.outer.get(self.depth / 64).copied().unwrap_or_default();
        }
        is_same
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Cursor;
    use crate::skip::Blind;
    use proptest::prelude::*;

    /// Where the value ends that begins with the first byte, told bracket by bracket.
    fn plainly(text: &[u8], max_depth: usize) -> Result<usize, Broken> {
        let mut open = Vec::new();
        for (at, byte) in text.iter().enumerate() {
            match byte {
                b'{' | b'[' if open.len() == max_depth => return Err(Broken::TooDeep),
                b'{' => open.push(b'}'),
                b'[' => open.push(b']'),
                b'}' | b']' if open.pop() != Some(*byte) => return Err(Broken::At(at)),
                _ => {}
            }
            if open.is_empty() {
                return Ok(at + 1);
            }
        }
        Err(Broken::At(text.len()))
    }

    fn found(text: &[u8], max_depth: usize) -> Result<usize, Broken> {
        Cursor::new(text, max_depth).value(&mut Blind).map(|range| range.end)
    }

    /// Runs of brackets and of what stands between them; most are of one kind, and most close what is open.
    fn bracketed() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop_oneof![6 => Just((b'{', b'}')), 1 => Just((b'[', b']'))];
        let moves = prop_oneof![3 => Just(1_i8), 3 => Just(-1), 6 => Just(0)];
        let length = prop_oneof![4 => 1..4_usize, 1 => 1..90_usize];
        let astray = prop_oneof![400 => Just(None), 1 => prop::sample::select(&b"{}[]"[..]).prop_map(Some)];
        let steps = prop::collection::vec((kind, moves, length, astray), 0..120);
        (any::<bool>(), steps).prop_map(|(is_object, steps)| {
            let (first, last) = if is_object { (b'{', b'}') } else { (b'[', b']') };
            let (mut text, mut open) = (vec![first], vec![last]);
            for ((opener, closer), step, length, astray) in steps {
                for _ in 0..length {
                    match step {
                        1 => {
                            text.push(opener);
                            open.push(closer);
                        }
                        // The first stays open, so that the text goes on.
                        -1 if open.len() > 1 => text.extend(open.pop()),
                        _ => text.push(b' '),
                    }
                }
                text.extend(astray);
            }
            text.extend(open.into_iter().rev());
            // So that the end stands in a whole block.
            text.resize(text.len() + WIDTH, b' ');
            text
        })
    }

    proptest! {
        #[test]
        fn brackets_are_followed_as_one_by_one(
            text in bracketed(), max_depth in prop_oneof![Just(MAX_DEPTH), Just(128), 1..80_usize], cut in any::<prop::sample::Index>(),
        ) {
            prop_assert_eq!(found(&text, max_depth), plainly(&text, max_depth));
            let cut = &text[..1.max(cut.index(text.len()))];
            prop_assert_eq!(found(cut, max_depth), plainly(cut, max_depth));
        }
    }

    #[test]
    fn a_brace_within_a_block_of_braces_closes_no_bracket() {
        let spaced = |text: &str| format!("[{{{}{text}{}}}]", " ".repeat(100), " ".repeat(100)).into_bytes();
        for text in ["}{", "{}", "}{}{", "{{}}"] {
            let text = spaced(text);
            assert_eq!(found(&text, 9), Ok(text.len()));
        }
        for text in ["}}", "{}}}{{", "}{}}{{"] {
            assert!(matches!(found(&spaced(text), 9), Err(Broken::At(_))), "{text}");
        }
    }
}
