//! Who was given which stored answer. A provider keeps answers under the gateway's own credential, so it continues any of
//! them for whoever names it; the gateway lets a caller go on from its own only.
//!
//! Bounded, and lost with the process: whoever is not known to own an answer sends the whole conversation instead.

use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::HashMap;

use crate::known::{Mark, Marker};

/// Of the younger half; the older one holds as many.
const MOST_IN_HALF: usize = 100_000;

/// Owners by answer.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    halves: Mutex<Halves>,
}

/// When the younger half is full it becomes the older one, which is forgotten.
#[derive(Debug, Default)]
struct Halves {
    younger: HashMap<Mark, Mark>,
    older: HashMap<Mark, Mark>,
}

impl Issued {
    fn halves(&self) -> MutexGuard<'_, Halves> {
        self.halves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This owner was given the answer of this id.
    pub(crate) fn note(&self, marker: &Marker, id: &str, owner: &str) {
        let (id, owner) = (marker.mark(id), marker.mark(owner));
        let mut halves = self.halves();
        if halves.younger.len() >= MOST_IN_HALF {
            halves.older = std::mem::take(&mut halves.younger);
        }
        halves.younger.insert(id, owner);
    }

    /// True if it was this owner who was given it.
    pub(crate) fn is_of(&self, marker: &Marker, id: &str, owner: &str) -> bool {
        let (id, owner) = (marker.mark(id), marker.mark(owner));
        let halves = self.halves();
        let found = halves.younger.get(&id).or_else(|| halves.older.get(&id));
        found.is_some_and(|known| *known == owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_whom_it_was_given_to() {
        let (issued, marker) = (Issued::default(), Marker::default());
        issued.note(&marker, "resp_1", "a");
        assert!(issued.is_of(&marker, "resp_1", "a"));
        assert!(!issued.is_of(&marker, "resp_1", "b"));
        assert!(!issued.is_of(&marker, "resp_2", "a"));
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let (issued, marker) = (Issued::default(), Marker::default());
        issued.note(&marker, "first", "a");
        for number in 0..MOST_IN_HALF {
            issued.note(&marker, &number.to_string(), "a");
        }
        assert!(issued.is_of(&marker, "first", "a"));
        for number in 0..MOST_IN_HALF {
            issued.note(&marker, &(MOST_IN_HALF + number).to_string(), "a");
        }
        assert!(!issued.is_of(&marker, "first", "a"));
        assert!(issued.is_of(&marker, &(2 * MOST_IN_HALF - 1).to_string(), "a"));
    }
}
