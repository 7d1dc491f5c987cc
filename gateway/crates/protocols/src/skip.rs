//! Where a string, array or object ends, found by its quotes and brackets; also while its text is still coming.

use airside_sight::{Eyes, Scan, WIDTH, scan_with_quickest};

use crate::blocks::{Block, Place, Search, places, search};
use crate::nesting::{Broken, Nesting};

/// Is shown where keys that may matter begin inside a skipped value.
pub(crate) trait Watcher {
    /// A string that begins with `t` or an escape, or may do so, opens at this quote.
    fn string_at(&mut self, text: &[u8], quote: usize);
}

/// Watches for nothing.
pub(crate) struct Blind;

impl Watcher for Blind {
    fn string_at(&mut self, _text: &[u8], _quote: usize) {}
}

/// Of a text that goes on so much is seen but not passed yet, so that whoever watches sees what stands behind a key.
const HELD_BACK: usize = 512;

/// Whether a text goes on, and how far the value in it was followed that is under way.
#[derive(Debug, Default)]
pub(crate) struct Coming {
    pub(crate) goes_on: bool,
    begun: Option<Begun>,
}

impl Coming {
    /// Where the first byte is that was not followed.
    pub(crate) fn place(&self) -> Option<usize> {
        self.begun.as_ref().map(|begun| begun.end.unwrap_or(begun.place.at()))
    }

    pub(crate) fn is_at(&self, start: usize) -> bool {
        self.begun.as_ref().is_some_and(|begun| begun.start == start)
    }
}

/// A string, array or object that is followed to its end, as far as it has come.
#[derive(Debug)]
struct Begun {
    start: usize,
    place: Place,
    nesting: Nesting,
    end: Option<usize>,
}

impl Begun {
    fn at(start: usize, max_depth: usize) -> Self {
        Self {
            start,
            place: Place::outside(start),
            nesting: Nesting::new(max_depth),
            end: None,
        }
    }
}

/// Where the string, array or object ends that starts at this place of a text. One that is not all there in a text that goes
/// on is put aside in `coming`, and gone on with from there.
///
/// # Errors
/// It is broken, or not all there.
pub(crate) fn end_of(
    text: &[u8],
    start: usize,
    max_depth: usize,
    coming: &mut Coming,
    watcher: &mut impl Watcher,
) -> Result<usize, Broken> {
    let begun = coming.begun.take().filter(|begun| begun.start == start);
    let mut begun = begun.unwrap_or_else(|| Begun::at(start, max_depth));
    if begun.end.is_none() {
        let skip = Skip {
            text,
            held_back: if coming.goes_on { HELD_BACK } else { 0 },
            begun: &mut begun,
            watcher,
        };
        begun.end = scan_with_quickest(skip)?;
    }
    let end = begun.end;
    if coming.goes_on {
        coming.begun = Some(begun);
    }
    end.ok_or(Broken::At(text.len()))
}

/// The way behind a string, array or object.
struct Skip<'s, 'a, W> {
    text: &'a [u8],
    held_back: usize,
    begun: &'s mut Begun,
    watcher: &'s mut W,
}

impl<W: Watcher> Scan for Skip<'_, '_, W> {
    /// Where it ends; `None` if it does not in what has come.
    type Outcome = Result<Option<usize>, Broken>;

    #[expect(
        clippy::inline_always,
        reason = "built anew for each kind of machine, see `Scan::run`"
    )]
    #[inline(always)]
    fn run(self, eyes: impl Eyes) -> Result<Option<usize>, Broken> {
        let (text, held_back, place) = (self.text, self.held_back, self.begun.place);
        let found = if text.get(self.begun.start) == Some(&b'"') {
            search(text, held_back, place, eyes, EndOfString(self))
        } else {
            let nesting = self.begun.nesting;
            search(text, held_back, place, eyes, EndOfBrackets(self, nesting))
        };
        found.transpose()
    }
}

/// Where a string ends.
struct EndOfString<'s, 'a, W>(Skip<'s, 'a, W>);

impl<W: Watcher> Search for EndOfString<'_, '_, W> {
    type Found = Result<usize, Broken>;

    #[expect(clippy::inline_always, reason = "as `search`")]
    #[inline(always)]
    fn passes(&mut self, _: impl Eyes, _: &[u8; WIDTH], block: &Block) -> bool {
        block.quotes & !block.inside | block.stray | block.marked == 0
    }

    fn look(&mut self, base: usize, _: u64, block: Block) -> Option<Self::Found> {
        let end = places(block.quotes & !block.inside).next();
        self.0.watch(base, &block, end)
    }

    fn put_aside(self, place: Place) {
        self.0.begun.place = place;
    }
}

/// Where an array or object ends.
struct EndOfBrackets<'s, 'a, W>(Skip<'s, 'a, W>, Nesting);

impl<W: Watcher> Search for EndOfBrackets<'_, '_, W> {
    type Found = Result<usize, Broken>;

    #[expect(clippy::inline_always, reason = "as `search`")]
    #[inline(always)]
    fn passes(&mut self, eyes: impl Eyes, bytes: &[u8; WIDTH], block: &Block) -> bool {
        block.stray | block.marked == 0 && self.1.passes(eyes, bytes, block)
    }

    #[inline(never)]
    fn look(&mut self, base: usize, squares: u64, block: Block) -> Option<Self::Found> {
        match self.1.follow(base, squares, &block) {
            Ok(end) => self.0.watch(base, &block, end),
            Err(broken) => Some(Err(broken)),
        }
    }

    fn put_aside(self, place: Place) {
        (self.0.begun.place, self.0.begun.nesting) = (place, self.1);
    }
}

impl<W: Watcher> Skip<'_, '_, W> {
    /// Show what may be a key that matters, up to the end if it is in this block; where the value ends, if it does here.
    fn watch(&mut self, base: usize, block: &Block, end: Option<usize>) -> Option<Result<usize, Broken>> {
        let within = end.map_or(u64::MAX, |end| (1 << end) - 1);
        if let Some(stray) = places(block.stray & within).next() {
            return Some(Err(Broken::At(base + stray)));
        }
        for place in places(block.marked & within) {
            self.watcher.string_at(self.text, base + place);
        }
        end.map(|end| Ok(base + end + 1))
    }
}
