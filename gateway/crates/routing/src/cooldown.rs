//! Providers that asked to be left alone for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Nobody is believed for longer than this.
const LONGEST: Duration = Duration::from_hours(24);

/// Until when which provider is left alone. Kept over snapshots, by name.
#[derive(Debug, Default)]
pub struct Cooldowns {
    until: Mutex<HashMap<String, Instant>>,
    /// So that the path of a call takes no lock while nobody cools down.
    count: AtomicUsize,
}

impl Cooldowns {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave this provider alone for so long from now on. A later, shorter wish does not shorten it.
    pub fn cool(&self, provider: &str, wait: Duration, now: Instant) {
        let until = now + wait.min(LONGEST);
        let mut entries = self.entries();
        entries.retain(|_, until| *until > now);
        let entry = entries.entry(provider.to_owned()).or_insert(until);
        *entry = (*entry).max(until);
        self.count.store(entries.len(), Ordering::Release);
    }

    /// True while this provider is to be left alone.
    #[must_use]
    pub fn is_cooling(&self, provider: &str, now: Instant) -> bool {
        self.count.load(Ordering::Acquire) > 0 && self.entries().get(provider).is_some_and(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_left_alone_until_its_time_is_over() {
        let (cooldowns, now) = (Cooldowns::default(), Instant::now());
        assert!(!cooldowns.is_cooling("a", now));
        cooldowns.cool("a", Duration::from_secs(5), now);
        cooldowns.cool("a", Duration::from_secs(1), now);
        assert!(cooldowns.is_cooling("a", now + Duration::from_secs(4)));
        assert!(!cooldowns.is_cooling("a", now + Duration::from_secs(5)));
        assert!(!cooldowns.is_cooling("b", now));
    }
}
