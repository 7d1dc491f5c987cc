//! Whose files are whose. One gateway serves from a data directory; while it takes over from another, both are at work.
//!
//! `gateway.lock` is held by the one that serves. The journal and the id belong to a *place*: the directory itself, or
//! one below `places/`, held by one process from its start to its end. What a gateway could not deliver stays in its
//! place, under its id, for whoever finds the place empty.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use airside_journal::is_begun;

use crate::clock::Clock;
use crate::identifiers::Identifiers;
use crate::vault::write_private;

/// Gateways that may be leaving at the same time, and one that serves.
const MOST_PLACES: usize = 8;
pub(crate) const JOURNAL: &str = "journal";
const IDENTITY: &str = "gateway.id";

/// Why a lock was not had.
#[derive(Debug)]
pub(crate) enum NotHeld {
    /// Another process holds it.
    Taken,
    /// The disk or the file system said no.
    Disk(io::Error),
}

impl From<io::Error> for NotHeld {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// A place that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    _lock: fs::File,
}

/// Make a directory that only this user can look into.
pub(crate) fn make_private(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Be the one that serves from this directory.
pub(crate) fn serve_from(data: &Path) -> Result<fs::File, NotHeld> {
    lock(&data.join("gateway.lock"))
}

fn lock(path: &Path) -> Result<fs::File, NotHeld> {
    let mut open = fs::OpenOptions::new();
    let file = open.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(NotHeld::Taken),
        Err(fs::TryLockError::Error(error)) => Err(NotHeld::Disk(error)),
    }
}

impl Place {
    /// The first place that nobody holds.
    pub(crate) fn take(data: &Path) -> Result<Self, NotHeld> {
        for number in 0..MOST_PLACES {
            match Self::hold(directory_of(data, number)) {
                Err(NotHeld::Taken) => {}
                held => return held,
            }
        }
        Err(NotHeld::Taken)
    }

    /// Places that nobody holds and that have a journal, other than this one.
    pub(crate) fn abandoned(&self, data: &Path) -> Vec<Self> {
        let directories = (0..MOST_PLACES).map(|number| directory_of(data, number));
        let others = directories.filter(|directory| *directory != self.directory && directory.join(JOURNAL).is_dir());
        others.filter_map(|directory| Self::hold(directory).ok()).collect()
    }

    fn hold(directory: PathBuf) -> Result<Self, NotHeld> {
        make_private(&directory)?;
        let lock = lock(&directory.join("place.lock"))?;
        Ok(Self { directory, _lock: lock })
    }

    /// The id of whoever keeps its journal here. A journal that begins anew has a new one: under the old id its records
    /// would be taken for those that had the same numbers before.
    pub(crate) fn identity(&self, clock: &dyn Clock) -> io::Result<String> {
        let path = self.directory.join(IDENTITY);
        if is_begun(&self.directory.join(JOURNAL))? {
            match fs::read_to_string(&path) {
                Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
                Ok(_) => return Err(io::Error::other("gateway.id is empty")),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => {}
            }
        }
        let id = Identifiers::default().new_id("gw", clock.now());
        write_private(&path, id.as_bytes())?;
        Ok(id)
    }
}

fn directory_of(data: &Path, number: usize) -> PathBuf {
    match number {
        0 => data.to_owned(),
        number => data.join("places").join(number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use airside_journal::{Spool, SpoolOptions};

    use super::*;
    use crate::clock::SystemClock;

    #[test]
    fn places_are_held_by_one_at_a_time_and_found_when_left() {
        let data = std::env::temp_dir().join(format!("airside-places-{}", std::process::id()));
        make_private(&data).unwrap();
        let serving = serve_from(&data).unwrap();
        assert!(matches!(serve_from(&data), Err(NotHeld::Taken)));
        drop(serving);
        serve_from(&data).unwrap();
        let first = Place::take(&data).unwrap();
        let second = Place::take(&data).unwrap();
        assert_eq!(first.directory, data);
        fs::create_dir(first.directory.join(JOURNAL)).unwrap();
        assert!(second.abandoned(&data).is_empty());
        drop(first);
        let found = second.abandoned(&data);
        assert_eq!(found[0].directory, data);
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn an_id_is_as_old_as_its_journal() {
        let data = std::env::temp_dir().join(format!("airside-identity-{}", std::process::id()));
        let (first, second) = (Place::take(&data).unwrap(), Place::take(&data).unwrap());
        let identity = |place: &Place| place.identity(&SystemClock).unwrap();
        let journal = first.directory.join(JOURNAL);
        let began = identity(&first);
        let open = || Spool::open(&journal, SpoolOptions::of_size(1 << 20)).unwrap().0;
        open().prepare().unwrap();
        assert_eq!(identity(&first), began);
        assert_ne!(identity(&first), identity(&second));
        fs::remove_dir_all(&journal).unwrap();
        let anew = identity(&first);
        assert_ne!(anew, began);
        open().prepare().unwrap();
        assert_eq!(identity(&first), anew);
        fs::remove_dir_all(&data).unwrap();
    }
}
