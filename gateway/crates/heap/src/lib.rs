//! The program's allocator: mimalloc, asked the short way.
//!
//! A call makes and drops some sixty blocks, a few of them of several kilobytes; glibc's allocator merges and splits its
//! free lists each time. mimalloc's own crate asks for every block by its alignment, which costs a third more than to
//! ask by its size; nearly all blocks need no more than what every block has. One of the three crates with `unsafe` in
//! them (docs/decisions/0012).

use std::alloc::{GlobalAlloc, Layout};

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_realloc, mi_realloc_aligned, mi_zalloc, mi_zalloc_aligned,
};

/// Every block of at least this size begins at a multiple of it (mimalloc's `MI_MAX_ALIGN_SIZE`).
const USUAL_ALIGNMENT: usize = 16;

/// The allocator, for `#[global_allocator]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heap;

/// True if every block of this size begins where this alignment wants it.
const fn is_usual(size: usize, alignment: usize) -> bool {
    alignment <= USUAL_ALIGNMENT && alignment <= size
}

#[expect(
    unsafe_code,
    reason = "an allocator hands out memory; what makes it sound is said at each step"
)]
// SAFETY: blocks come from mimalloc alone, are as large and aligned as asked for, and go back to it alone; it unwinds never.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        if is_usual(size, alignment) {
            // SAFETY: any size may be asked for; the block's alignment is enough, as was just seen.
            unsafe { mi_malloc(size) }.cast()
        } else {
            // SAFETY: the alignment of a layout is a power of two.
            unsafe { mi_malloc_aligned(size, alignment) }.cast()
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        if is_usual(size, alignment) {
            // SAFETY: as in `alloc`.
            unsafe { mi_zalloc(size) }.cast()
        } else {
            // SAFETY: as in `alloc`.
            unsafe { mi_zalloc_aligned(size, alignment) }.cast()
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the caller has the block from this allocator, and gives it back once.
        unsafe { mi_free(block.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_usual(size, layout.align()) {
            // SAFETY: the caller has the block from this allocator; the new one is aligned enough, as in `alloc`.
            unsafe { mi_realloc(block.cast(), size) }.cast()
        } else {
            // SAFETY: the same, with the alignment that the layout asks for.
            unsafe { mi_realloc_aligned(block.cast(), size, layout.align()) }.cast()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static HEAP: Heap = Heap;

    #[test]
    #[expect(unsafe_code, reason = "an allocator is asked for blocks")]
    fn every_block_is_aligned_and_its_own_and_keeps_what_is_in_it() {
        let mut blocks = Vec::new();
        for alignment in [1, 2, 8, 16, 32, 64, 4096] {
            for size in [1, 3, 7, 8, 15, 16, 24, 48, 63, 1000, 8192, 100_000, 3_000_000] {
                let layout = Layout::from_size_align(size, alignment).unwrap();
                // SAFETY: no layout is empty.
                let block = unsafe { HEAP.alloc_zeroed(layout) };
                assert!(!block.is_null() && block.addr().is_multiple_of(alignment), "{layout:?}");
                // SAFETY: the block is as long as asked for, and nobody else's.
                let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
                assert!(bytes.iter().all(|byte| *byte == 0), "{layout:?}");
                bytes.fill(u8::try_from(blocks.len() % 251).unwrap() + 1);
                blocks.push((block, layout));
            }
        }
        for (number, (block, layout)) in blocks.into_iter().enumerate() {
            let size = layout.size() * 2;
            // SAFETY: the block is this allocator's, with this layout.
            let block = unsafe { HEAP.realloc(block, layout, size) };
            assert!(block.addr().is_multiple_of(layout.align()), "{layout:?}");
            // SAFETY: what was written before is still there.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            let mark = u8::try_from(number % 251).unwrap() + 1;
            assert!(bytes.iter().all(|byte| *byte == mark), "{layout:?}");
            let layout = Layout::from_size_align(size, layout.align()).unwrap();
            // SAFETY: as above; it is not used any more.
            unsafe { HEAP.dealloc(block, layout) };
        }
    }
}
