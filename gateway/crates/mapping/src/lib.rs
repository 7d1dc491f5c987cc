//! A file that is written by copying into memory: no system call, and what was copied outlives the process.
//!
//! Not for reading and not for files that change their size. One of the three crates with `unsafe` in them
//! (docs/decisions/0012); it hands out no reference to the memory, so nothing that happens to the file can break a
//! promise of the compiler.

use std::fmt;
use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};

use rustix::fs::fstatfs;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// ext2, ext3, ext4: a block that is allocated and written once keeps its place.
const EXT4: u64 = 0xEF53;
/// A file in memory.
const TMPFS: u64 = 0x0102_1994;

/// The bytes of a file in memory.
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

/// A write that would leave the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange;

impl fmt::Display for OutOfRange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("this does not fit into the file")
    }
}

impl std::error::Error for OutOfRange {}

impl From<OutOfRange> for io::Error {
    fn from(fault: OutOfRange) -> Self {
        Self::new(io::ErrorKind::InvalidInput, fault)
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mapping")
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}

impl Mapping {
    /// Map a file that is open for reading and writing and in which every byte was written before. `None` where a
    /// write to such a byte can still fail for want of room, because the file system writes to a new place each time:
    /// that failure would come as a signal, so such a file must be written with `write(2)`.
    ///
    /// # Errors
    /// What the system says; an empty file cannot be mapped.
    pub fn of(file: &File) -> io::Result<Option<Self>> {
        let kind = fstatfs(file)?.f_type;
        if !matches!(u64::try_from(kind), Ok(EXT4 | TMPFS)) {
            return Ok(None);
        }
        let length = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        #[expect(unsafe_code, reason = "mapping memory is the purpose of this crate")]
        // SAFETY: the kernel chooses the place, so nothing that is mapped already is replaced.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at zero"))?;
        Ok(Some(Self { start, length }))
    }

    /// Copy these bytes to this place in the file. They are in the page cache when this returns: the end of the
    /// process does not lose them, and `read(2)` finds them.
    ///
    /// # Errors
    /// `OutOfRange` when they would not all lie within the file; then nothing was written.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), OutOfRange> {
        let end = at.checked_add(bytes.len()).ok_or(OutOfRange)?;
        if end > self.length {
            return Err(OutOfRange);
        }
        #[expect(unsafe_code, reason = "the compiler knows nothing of mapped memory")]
        // SAFETY: `at` was just found to lie within the mapping, which is one allocation.
        let target = unsafe { self.start.add(at) };
        #[expect(unsafe_code, reason = "the compiler knows nothing of mapped memory")]
        // SAFETY: the target has room for the bytes, as was just checked, is writable, and lives as long as `self`.
        // They cannot overlap: no reference into the mapping is ever made, so `bytes` lies elsewhere.
        unsafe {
            ptr::copy_nonoverlapping(bytes.as_ptr(), target.as_ptr(), bytes.len());
        }
        Ok(())
    }
}

#[expect(unsafe_code, reason = "a pointer is not known to be sendable")]
// SAFETY: the mapping belongs to the process, not to a thread, and nobody else has this pointer.
unsafe impl Send for Mapping {}

#[expect(unsafe_code, reason = "a pointer is not known to be shareable")]
// SAFETY: all that can be done through a shared reference is to print the length.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        #[expect(unsafe_code, reason = "mapping memory is the purpose of this crate")]
        // SAFETY: the place and the length are those that `mmap` gave, and nothing refers to them any more.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        // It fails only for a place that is not mapped.
        debug_assert!(unmapped.is_ok());
    }
}
