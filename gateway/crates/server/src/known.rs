//! Keys and tokens that were checked before, found again without digesting them.
//!
//! A SHA-256 of what the caller shows would be the dearest thing about a short call. What was checked once is found by
//! a mark instead: 128 bits of a keyed hash whose keys this process drew at its start. So neither a secret nor anything
//! that tells about it is kept, and nobody outside can find two texts of one mark.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

use airside_snapshot::{CLOCK_TOLERANCE_S, Principal};
use foldhash::HashMap;

const MOST_KNOWN: usize = 20_000;

/// Stands for one secret in this process.
pub(crate) type Mark = [u64; 2];

/// Makes marks.
#[derive(Debug, Default)]
pub(crate) struct Marker {
    halves: [RandomState; 2],
}

impl Marker {
    pub(crate) fn mark(&self, secret: &str) -> Mark {
        self.halves.each_ref().map(|half| half.hash_one(secret))
    }
}

/// Whose these secrets are. Those that have expired are forgotten first when there are too many.
#[derive(Debug, Default)]
pub(crate) struct Known {
    principals: Mutex<HashMap<Mark, Arc<Principal>>>,
}

impl Known {
    pub(crate) fn get(&self, marker: &Marker, secret: &str, now_s: i64) -> Option<Arc<Principal>> {
        let mark = marker.mark(secret);
        let principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        let found = principals.get(&mark).filter(|principal| is_current(principal, now_s));
        found.map(Arc::clone)
    }

    pub(crate) fn put(&self, marker: &Marker, secret: &str, principal: &Arc<Principal>, now_s: i64) {
        let mark = marker.mark(secret);
        let mut principals = self.principals.lock().unwrap_or_else(PoisonError::into_inner);
        if principals.len() >= MOST_KNOWN {
            principals.retain(|_, principal| is_current(principal, now_s));
        }
        if principals.len() >= MOST_KNOWN {
            principals.clear();
        }
        principals.insert(mark, Arc::clone(principal));
    }
}

/// False once a key or token has expired.
pub(crate) fn is_current(principal: &Principal, now_s: i64) -> bool {
    let tolerance = if principal.session_id.is_some() {
        CLOCK_TOLERANCE_S
    } else {
        0
    };
    principal
        .expires_at
        .is_none_or(|expires| now_s < expires.saturating_add(tolerance))
}
