//! Which providers and keys are worth asking: a breaker for each, and the rest they asked for.
//!
//! What fails a provider (no connection, 5xx, silence) counts against all its keys; what fails a key (429, 401) counts
//! against that key. While nothing is amiss the path of a call takes no lock.

use foldhash::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use airside_providers::Kind;

/// Nobody is believed for longer than this.
const LONGEST: Duration = Duration::from_hours(24);
/// So many failures in a row open the breaker.
const MOST_IN_A_ROW: u32 = 5;
/// So do half of the calls, once there were so many of them lately.
const FEWEST_FOR_A_RATE: f64 = 10.0;
/// How fast calls are forgotten: half of them in this time.
const HALF_LIFE: Duration = Duration::from_secs(30);
const FIRST_REST: Duration = Duration::from_secs(5);
const LONGEST_REST: Duration = Duration::from_mins(1);
/// A key whose credential was rejected, or that gave 429 without a time.
const REST_OF_A_REJECTED_KEY: Duration = Duration::from_mins(1);
const REST_OF_A_LIMITED_KEY: Duration = Duration::from_secs(1);
/// A probe that says nothing for so long was lost.
const PROBE: Duration = Duration::from_mins(2);
const MOST_PROVIDERS: usize = 1_000;

/// Whether somebody can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Ready,
    /// It rests until a time it was given.
    Resting,
    /// It failed, rested, and one call is finding out whether it is back.
    Probed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Closed,
    /// Left alone until then; `is_breaker`: comes back by a probe only.
    Open {
        until: Instant,
        is_breaker: bool,
    },
    HalfOpen {
        until: Instant,
    },
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    state: State,
    in_a_row: u32,
    trips: u32,
    failures: f64,
    calls: f64,
    counted_at: Instant,
}

impl Entry {
    const fn new(now: Instant) -> Self {
        Self {
            state: State::Closed,
            in_a_row: 0,
            trips: 0,
            failures: 0.0,
            calls: 0.0,
            counted_at: now,
        }
    }

    fn standing(&self, now: Instant) -> Standing {
        match self.state {
            State::Open { until, .. } if now < until => Standing::Resting,
            State::HalfOpen { until } if now < until => Standing::Probed,
            _ => Standing::Ready,
        }
    }

    /// True if the call may go ahead; where a probe is due, the first who asks is the probe.
    fn begin(&mut self, now: Instant) -> bool {
        match self.state {
            State::Open {
                until,
                is_breaker: true,
            } if now >= until => {
                self.state = State::HalfOpen { until: now + PROBE };
                true
            }
            State::HalfOpen { until } => {
                let was_lost = now >= until;
                if was_lost {
                    self.state = State::HalfOpen { until: now + PROBE };
                }
                was_lost
            }
            _ => true,
        }
    }

    fn count(&mut self, failed: bool, now: Instant) {
        let halves = now.saturating_duration_since(self.counted_at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        let left = 0.5_f64.powf(halves);
        self.failures = self.failures * left + f64::from(u8::from(failed));
        self.calls = self.calls * left + 1.0;
        self.counted_at = now;
    }

    fn rest(&mut self, wait: Duration, is_breaker: bool, now: Instant) {
        let mut until = now + wait.min(LONGEST);
        let mut by_probe = is_breaker;
        if let State::Open {
            until: before,
            is_breaker,
        } = self.state
        {
            until = until.max(before);
            by_probe |= is_breaker;
        }
        self.state = State::Open {
            until,
            is_breaker: by_probe,
        };
    }

    fn fail(&mut self, wait: Option<Duration>, trips: bool, now: Instant) {
        self.count(true, now);
        self.in_a_row = self.in_a_row.saturating_add(1);
        let is_rate = self.calls >= FEWEST_FOR_A_RATE && self.failures * 2.0 >= self.calls;
        let was_probe = matches!(self.state, State::HalfOpen { .. });
        if let Some(wait) = wait {
            self.rest(wait, false, now);
        }
        if trips && (was_probe || self.in_a_row >= MOST_IN_A_ROW || is_rate) {
            let rest = FIRST_REST.saturating_mul(1 << self.trips.min(8)).min(LONGEST_REST);
            self.trips = self.trips.saturating_add(1);
            self.rest(rest, true, now);
        }
    }

    /// False when there is nothing left to remember.
    fn succeed(&mut self, now: Instant) -> bool {
        self.count(false, now);
        self.state = State::Closed;
        self.in_a_row = 0;
        self.trips = 0;
        self.failures >= 0.5
    }
}

#[derive(Debug, Default)]
struct Provider {
    whole: Option<Entry>,
    keys: Vec<(usize, Entry)>,
}

impl Provider {
    fn of_key(&mut self, key: usize, now: Instant) -> Option<&mut Entry> {
        if !self.keys.iter().any(|(known, _)| *known == key) {
            self.keys.push((key, Entry::new(now)));
        }
        self.keys
            .iter_mut()
            .find(|(known, _)| *known == key)
            .map(|(_, entry)| entry)
    }

    fn concerning(&self, key: usize) -> impl Iterator<Item = &Entry> {
        let keyed = self.keys.iter().filter(move |(known, _)| *known == key);
        self.whole.iter().chain(keyed.map(|(_, entry)| entry))
    }
}

/// How a provider or one of its keys stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthNote {
    /// The provider's name.
    pub provider: String,
    /// One key of it; `None`: the provider as a whole.
    pub key: Option<usize>,
    /// `resting`, `open`, `probe_due`, `probing` or `failing`.
    pub state: &'static str,
    /// For how much longer.
    pub for_ms: u64,
    /// Failures in a row.
    pub failures: u32,
}

/// The health of all providers, kept over snapshots, by name.
#[derive(Debug, Default)]
pub struct Health {
    providers: Mutex<HashMap<String, Provider>>,
    /// So that the path of a call takes no lock while all is well.
    tracked: AtomicUsize,
}

impl Health {
    fn providers(&self) -> MutexGuard<'_, HashMap<String, Provider>> {
        self.providers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True while there is nothing bad to be remembered of anybody.
    #[must_use]
    pub fn is_all_well(&self) -> bool {
        self.tracked.load(Ordering::Acquire) == 0
    }

    /// Whether this key of this provider can be asked.
    #[must_use]
    pub fn standing(&self, provider: &str, key: usize, now: Instant) -> Standing {
        if self.is_all_well() {
            return Standing::Ready;
        }
        let providers = self.providers();
        let Some(known) = providers.get(provider) else {
            return Standing::Ready;
        };
        let standings = known.concerning(key).map(|entry| entry.standing(now));
        standings
            .filter(|standing| *standing != Standing::Ready)
            .min_by_key(|standing| *standing == Standing::Probed)
            .unwrap_or(Standing::Ready)
    }

    /// True while a provider, or a key of it, is left alone.
    #[must_use]
    pub fn is_resting(&self, provider: &str, now: Instant) -> bool {
        let rests =
            |note: &HealthNote| note.provider == provider && matches!(note.state, "open" | "resting" | "probing");
        self.notes(now).iter().any(rests)
    }

    /// A call is about to ask. False when it had better go elsewhere: another call is the probe.
    #[must_use]
    pub fn begin(&self, provider: &str, key: usize, now: Instant) -> bool {
        if self.is_all_well() {
            return true;
        }
        let mut providers = self.providers();
        let Some(known) = providers.get_mut(provider) else {
            return true;
        };
        let of_whole = known.whole.as_mut().is_none_or(|entry| entry.begin(now));
        let mut keyed = known.keys.iter_mut().filter(|(known, _)| *known == key);
        of_whole && keyed.next().is_none_or(|(_, entry)| entry.begin(now))
    }

    /// It failed, and perhaps said how long to wait.
    pub fn note_failure(&self, provider: &str, key: usize, kind: Kind, wait: Option<Duration>, now: Instant) {
        if matches!(kind, Kind::Untranslatable | Kind::TooLong) {
            return;
        }
        let mut providers = self.providers();
        if providers.len() >= MOST_PROVIDERS && !providers.contains_key(provider) {
            providers.clear();
        }
        let known = providers.entry(provider.to_owned()).or_default();
        match kind {
            Kind::RateLimited | Kind::CredentialRejected => {
                if let Some(entry) = known.of_key(key, now) {
                    let rest = if kind == Kind::CredentialRejected {
                        REST_OF_A_REJECTED_KEY
                    } else {
                        REST_OF_A_LIMITED_KEY.saturating_mul(1 << entry.in_a_row.min(5))
                    };
                    entry.fail(Some(wait.unwrap_or(rest)), false, now);
                }
            }
            _ => known.whole.get_or_insert(Entry::new(now)).fail(wait, true, now),
        }
        self.tracked.store(providers.len(), Ordering::Release);
    }

    /// It answered.
    pub fn note_success(&self, provider: &str, key: usize, now: Instant) {
        if self.is_all_well() {
            return;
        }
        let mut providers = self.providers();
        let Some(known) = providers.get_mut(provider) else {
            return;
        };
        if known.whole.as_mut().is_some_and(|entry| !entry.succeed(now)) {
            known.whole = None;
        }
        known.keys.retain_mut(|(of, entry)| *of != key || entry.succeed(now));
        if known.whole.is_none() && known.keys.is_empty() {
            providers.remove(provider);
        }
        self.tracked.store(providers.len(), Ordering::Release);
    }

    /// A call that was begun ended without a word on the provider: whoever comes next may probe.
    pub fn note_nothing(&self, provider: &str, key: usize, now: Instant) {
        if self.is_all_well() {
            return;
        }
        let mut providers = self.providers();
        let Some(known) = providers.get_mut(provider) else {
            return;
        };
        let keyed = known.keys.iter_mut().filter(|(known, _)| *known == key);
        for entry in known.whole.iter_mut().chain(keyed.map(|(_, entry)| entry)) {
            if let State::HalfOpen { .. } = entry.state {
                entry.state = State::Open {
                    until: now,
                    is_breaker: true,
                };
            }
        }
    }

    /// Everything that is amiss, by name.
    #[must_use]
    pub fn notes(&self, now: Instant) -> Vec<HealthNote> {
        if self.is_all_well() {
            return Vec::new();
        }
        let providers = self.providers();
        let mut notes: Vec<HealthNote> = providers
            .iter()
            .flat_map(|(name, provider)| {
                let keys = provider.keys.iter().map(|(key, entry)| (Some(*key), entry));
                let all = provider.whole.iter().map(|entry| (None, entry)).chain(keys);
                all.map(|(key, entry)| note_of(name, key, entry, now))
            })
            .collect();
        notes.sort_by(|left, right| (&left.provider, left.key).cmp(&(&right.provider, right.key)));
        notes
    }
}

fn note_of(provider: &str, key: Option<usize>, entry: &Entry, now: Instant) -> HealthNote {
    let (state, until) = match entry.state {
        State::Closed => ("failing", now),
        State::Open { until, is_breaker } => match (now < until, is_breaker) {
            (true, true) => ("open", until),
            (true, false) => ("resting", until),
            (false, true) => ("probe_due", now),
            (false, false) => ("failing", now),
        },
        State::HalfOpen { until } => ("probing", until),
    };
    let left = until.saturating_duration_since(now).as_millis();
    HealthNote {
        provider: provider.to_owned(),
        key,
        state,
        for_ms: u64::try_from(left).unwrap_or(u64::MAX),
        failures: entry.in_a_row,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(now: Instant, seconds: u64) -> Instant {
        now + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_left_alone_as_long_as_it_asked_and_the_others_are_not() {
        let (health, now) = (Health::default(), Instant::now());
        let wait = Some(Duration::from_secs(5));
        health.note_failure("a", 1, Kind::RateLimited, wait, now);
        health.note_failure("a", 1, Kind::RateLimited, Some(Duration::from_secs(1)), now);
        assert_eq!(health.standing("a", 1, after(now, 4)), Standing::Resting);
        assert_eq!(health.standing("a", 0, now), Standing::Ready);
        assert_eq!(health.standing("b", 1, now), Standing::Ready);
        assert_eq!(health.standing("a", 1, after(now, 5)), Standing::Ready);
        assert!(health.begin("a", 1, after(now, 5)), "no probe: it said when");
        assert!(health.begin("a", 1, after(now, 5)));
    }

    #[test]
    fn failures_in_a_row_open_the_breaker_for_every_key() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..4 {
            health.note_failure("a", 0, Kind::Connect, None, now);
        }
        assert_eq!(health.standing("a", 0, now), Standing::Ready);
        health.note_failure("a", 0, Kind::ServerError, None, now);
        assert_eq!(health.standing("a", 3, now), Standing::Resting);
        assert_eq!(health.notes(now)[0].state, "open");
    }

    #[test]
    fn one_probe_finds_out_and_the_rest_grows() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..5 {
            health.note_failure("a", 0, Kind::Timeout, None, now);
        }
        let back = after(now, 5);
        assert_eq!(health.standing("a", 0, back), Standing::Ready);
        assert!(health.begin("a", 0, back));
        assert!(!health.begin("a", 0, back), "the second goes elsewhere");
        assert_eq!(health.standing("a", 0, back), Standing::Probed);
        health.note_failure("a", 0, Kind::Timeout, None, back);
        assert_eq!(health.standing("a", 0, after(back, 9)), Standing::Resting);
        let again = after(back, 10);
        assert!(health.begin("a", 0, again));
        health.note_success("a", 0, again);
        assert_eq!(health.standing("a", 0, again), Standing::Ready);
        assert!(health.begin("a", 0, again) && health.begin("a", 0, again));
    }

    #[test]
    fn a_probe_that_nobody_heard_of_again_is_given_to_another() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..5 {
            health.note_failure("a", 0, Kind::Timeout, None, now);
        }
        let back = after(now, 5);
        assert!(health.begin("a", 0, back));
        health.note_nothing("a", 0, back);
        assert!(health.begin("a", 0, back));
        assert!(!health.begin("a", 0, back));
        assert!(health.begin("a", 0, after(back, 120)));
    }

    #[test]
    fn half_of_many_calls_failing_opens_the_breaker_too() {
        let (health, now) = (Health::default(), Instant::now());
        let mut opened = false;
        for _ in 0..12 {
            health.note_failure("a", 0, Kind::Stalled, None, now);
            opened |= health.standing("a", 0, now) == Standing::Resting;
            if opened {
                break;
            }
            health.note_success("a", 0, now);
        }
        assert!(opened);
    }

    #[test]
    fn success_is_forgetful_and_a_rejected_key_rests() {
        let (health, now) = (Health::default(), Instant::now());
        health.note_failure("a", 0, Kind::CredentialRejected, None, now);
        assert_eq!(health.standing("a", 0, after(now, 59)), Standing::Resting);
        health.note_failure("b", 0, Kind::Connect, None, now);
        health.note_success("b", 0, after(now, 60));
        health.note_success("a", 0, after(now, 60));
        assert!(health.is_all_well(), "{:?}", health.notes(now));
        health.note_failure("a", 0, Kind::Untranslatable, None, now);
        assert!(health.is_all_well(), "that is nobody's fault");
    }

    #[test]
    fn a_limited_key_without_a_time_rests_a_little_longer_each_time() {
        let (health, now) = (Health::default(), Instant::now());
        health.note_failure("a", 0, Kind::RateLimited, None, now);
        assert_eq!(health.standing("a", 0, after(now, 1)), Standing::Ready);
        health.note_failure("a", 0, Kind::RateLimited, None, after(now, 1));
        assert_eq!(health.standing("a", 0, after(now, 2)), Standing::Resting);
    }
}
