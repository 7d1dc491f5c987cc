//! Bodies of calls on disk, each in a file of its own, until the control plane has them, or where there is none, until
//! their time is over.
//!
//! They come after the record and never hold up a call: there is room for one or it is dropped. A file is what is sent:
//! one JSON object, its bodies packed.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use airside_protocols::ObjectWriter;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;

const DAY: Duration = Duration::from_hours(24);

/// What is kept of one call, without its secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallBodies {
    /// Of the record they belong to.
    pub call_id: String,
    /// Who pays.
    pub project: String,
    /// How many days they are kept.
    pub retention_days: u64,
    /// `redacted` or `full`.
    pub mode: &'static str,
    /// What the caller sent.
    pub request: Vec<u8>,
    /// How long that was before it was cut.
    pub request_bytes: u64,
    /// What the caller got, in its own dialect.
    pub answer: Vec<u8>,
    /// How long that was before it was cut.
    pub answer_bytes: u64,
    /// How many secrets were taken out.
    pub redactions: u64,
}

/// Where bodies wait.
#[derive(Debug)]
pub struct BodyStore {
    directory: PathBuf,
    max_bytes: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    on_disk: u64,
    promised: u64,
}

/// Room for the bodies of one call. It must come back through `write` or `give_back`.
#[derive(Debug)]
#[must_use = "room that is not used must be given back"]
pub struct Room(u64);

impl BodyStore {
    /// The bodies in this directory, which is made if it is missing.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(directory: &Path, max_bytes: u64) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let store = Self {
            directory: directory.to_owned(),
            max_bytes,
            taken: Mutex::default(),
        };
        let mut on_disk = 0;
        for path in store.files()? {
            on_disk += fs::metadata(path)?.len();
        }
        store.taken().on_disk = on_disk;
        Ok(store)
    }

    /// Room for bodies of so many bytes; `None` when there is none.
    pub fn promise(&self, bytes: u64) -> Option<Room> {
        let mut taken = self.taken();
        let all = taken.on_disk.saturating_add(taken.promised).saturating_add(bytes);
        if all > self.max_bytes {
            return None;
        }
        taken.promised += bytes;
        Some(Room(bytes))
    }

    /// True if there is room for so many bytes now.
    #[must_use]
    pub fn has_room(&self, bytes: u64) -> bool {
        let taken = self.taken();
        taken.on_disk.saturating_add(taken.promised).saturating_add(bytes) <= self.max_bytes
    }

    /// Room that is not needed.
    #[expect(clippy::needless_pass_by_value, reason = "room is used once")]
    pub fn give_back(&self, room: Room) {
        let mut taken = self.taken();
        taken.promised = taken.promised.saturating_sub(room.0);
    }

    /// Write the bodies of one call, packed.
    ///
    /// # Errors
    /// What the disk says; then nothing is there.
    pub fn write(&self, room: Room, bodies: &CallBodies) -> io::Result<()> {
        let written = bodies.to_json().and_then(|text| {
            let path = self.directory.join(format!("{}.body", bodies.call_id));
            let part = path.with_extension("part");
            let mut open = fs::OpenOptions::new();
            let mut file = open.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
            file.write_all(&text)?;
            fs::rename(&part, &path)?;
            Ok(text.len() as u64)
        });
        self.give_back(room);
        self.taken().on_disk += written.as_ref().copied().unwrap_or(0);
        written.map(|_| ())
    }

    /// The oldest bodies, each as its file and its JSON, up to so many bytes and at least one.
    ///
    /// # Errors
    /// What the disk says.
    pub fn oldest(&self, max_bytes: usize) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let (mut found, mut bytes) = (Vec::new(), 0);
        for path in self.files()? {
            let Some(text) = unless_gone(fs::read(&path))? else {
                continue;
            };
            bytes += text.len();
            if bytes > max_bytes && !found.is_empty() {
                break;
            }
            found.push((path, text));
        }
        Ok(found)
    }

    /// Remove what the control plane has.
    ///
    /// # Errors
    /// What the disk says.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        let Some(found) = unless_gone(fs::metadata(path))? else {
            return Ok(());
        };
        let length = found.len();
        unless_gone(fs::remove_file(path))?;
        let mut taken = self.taken();
        taken.on_disk = taken.on_disk.saturating_sub(length);
        Ok(())
    }

    /// Remove what was kept for as many days as its project wants, and say how many that were.
    ///
    /// # Errors
    /// What the disk says.
    pub fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let mut swept = 0;
        for path in self.files()? {
            let Some(found) = unless_gone(fs::metadata(&path))? else {
                continue;
            };
            let age = now.duration_since(found.modified()?).unwrap_or_default();
            if age >= DAY && age >= kept_for(&path)? {
                self.remove(&path)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.taken().on_disk
    }

    /// Ids sort by age, and so do the files' names.
    fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "body") {
                files.push(path);
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallBodies {
    fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(1024);
        let mut object = ObjectWriter::open(&mut out);
        object.text("call_id", &self.call_id);
        object.text("project", &self.project);
        object.number("retention_days", self.retention_days);
        object.text("mode", self.mode);
        object.number("request_bytes", self.request_bytes);
        object.number("answer_bytes", self.answer_bytes);
        object.number("redactions", self.redactions);
        object.text("request_gzip", &packed(&self.request)?);
        object.text("answer_gzip", &packed(&self.answer)?);
        object.close();
        Ok(out)
    }
}

/// For how long this file is kept; one that cannot be read stays until somebody looks at it.
fn kept_for(path: &Path) -> io::Result<Duration> {
    #[derive(Deserialize)]
    struct Kept {
        retention_days: u32,
    }
    let text = unless_gone(fs::read(path))?.unwrap_or_default();
    let kept = serde_json::from_slice::<Kept>(&text);
    Ok(kept.map_or(Duration::MAX, |kept| DAY * kept.retention_days))
}

/// A gateway that takes over from another delivers from the same directory for a moment: what is gone is delivered.
fn unless_gone<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        done => done.map(Some),
    }
}

fn packed(text: &[u8]) -> io::Result<String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    Ok(STANDARD.encode(encoder.finish()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(name: &str, max_bytes: u64) -> BodyStore {
        let directory = std::env::temp_dir().join(format!("airside-bodies-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&directory);
        BodyStore::open(&directory, max_bytes).unwrap()
    }

    fn bodies(call_id: &str) -> CallBodies {
        CallBodies {
            call_id: call_id.to_owned(),
            request: b"{\"a\":1}".repeat(1_000),
            ..CallBodies::default()
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_until_there_is_room_again() {
        let store = store("bound", 10_000);
        let room = store.promise(7_000).unwrap();
        assert!(store.promise(7_000).is_none() && !store.has_room(7_000));
        store.write(room, &bodies("call_1")).unwrap();
        let on_disk = store.bytes();
        assert!(on_disk > 0 && on_disk < 1_000, "it is packed: {on_disk}");
        let unused = store.promise(7_000).unwrap();
        store.give_back(unused);
        assert!(store.has_room(7_000));
    }

    #[test]
    fn bodies_go_when_their_days_are_over() {
        let store = store("sweep", 1 << 20);
        for (id, retention_days) in [("call_1", 1), ("call_2", 3), ("call_3", 0)] {
            let room = store.promise(9_000).unwrap();
            let kept = CallBodies {
                retention_days,
                ..bodies(id)
            };
            store.write(room, &kept).unwrap();
        }
        let written = fs::metadata(store.directory.join("call_1.body")).unwrap();
        let now = written.modified().unwrap();
        let hours = |hours| now + Duration::from_hours(hours);
        assert_eq!(store.sweep(now).unwrap(), 0);
        assert_eq!(store.sweep(hours(23)).unwrap(), 0, "a day is the least");
        assert_eq!(store.sweep(hours(26)).unwrap(), 2);
        let left = store.oldest(usize::MAX).unwrap();
        assert_eq!((left.len(), store.bytes()), (1, left[0].1.len() as u64));
        assert_eq!(store.sweep(hours(71)).unwrap(), 0);
        assert_eq!(store.sweep(hours(74)).unwrap(), 1);
        fs::write(store.directory.join("call_4.body"), "{").unwrap();
        assert_eq!(
            store.sweep(hours(9_999)).unwrap(),
            0,
            "nobody knows for how long that is wanted"
        );
    }

    #[test]
    fn bodies_are_handed_out_oldest_first_and_found_again() {
        let first = store("order", 1 << 20);
        for id in ["call_2", "call_1", "call_3"] {
            let room = first.promise(7_000).unwrap();
            first.write(room, &bodies(id)).unwrap();
        }
        let again = BodyStore::open(&first.directory, 1 << 20).unwrap();
        assert_eq!(again.bytes(), first.bytes());
        let found = again.oldest(1).unwrap();
        assert_eq!(found.len(), 1, "at least one, however large");
        let value: serde_json::Value = serde_json::from_slice(&found[0].1).unwrap();
        assert_eq!(value["call_id"], "call_1");
        for (path, _) in again.oldest(usize::MAX).unwrap() {
            again.remove(&path).unwrap();
        }
        assert_eq!((again.bytes(), again.oldest(usize::MAX).unwrap().len()), (0, 0));
    }
}
