//! What is written through a mapping is in the file at once, and nothing beside it.
#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use airside_mapping::{Mapping, OutOfRange};

/// A file of zeros that goes away with the test.
struct Zeros {
    path: PathBuf,
    file: File,
}

impl Zeros {
    fn new(length: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "airside-mapping-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        file.write_all_at(&vec![0; length], 0).unwrap();
        Self { path, file }
    }

    fn content(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn what_is_written_is_in_the_file_at_once_and_stays() {
    let zeros = Zeros::new(10_000);
    let Some(mut mapping) = Mapping::of(&zeros.file).unwrap() else {
        // Not a file system on which files are mapped: there is nothing to test here.
        return;
    };
    mapping.write(4090, b"over a page's edge").unwrap();
    let mut expected = vec![0; 10_000];
    expected.splice(4090..4108, *b"over a page's edge");
    assert_eq!(zeros.content(), expected);
    drop(mapping);
    assert_eq!(zeros.content(), expected);
}

#[test]
fn a_write_beyond_the_end_changes_nothing() {
    let zeros = Zeros::new(5_000);
    let Some(mut mapping) = Mapping::of(&zeros.file).unwrap() else {
        return;
    };
    // The rest of the last page is mapped too, and is not the file's.
    assert_eq!(mapping.write(4_998, b"abc"), Err(OutOfRange));
    assert_eq!(mapping.write(5_001, b""), Err(OutOfRange));
    assert_eq!(mapping.write(usize::MAX, b"abc"), Err(OutOfRange));
    assert_eq!(zeros.content(), vec![0; 5_000]);
    assert_eq!(mapping.write(4_997, b"abc"), Ok(()));
}

#[test]
fn an_empty_file_is_refused() {
    let zeros = Zeros::new(0);
    assert!(!matches!(Mapping::of(&zeros.file), Ok(Some(_))));
}
