//! What is remembered of a session between its calls: where its prompt cache is, who issued its thinking, how often it
//! may still be retried. A hint, never a truth: it is lost with the process, and every use of it must hold without it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use airside_metering::tier_for;
use airside_protocols::{Family, TokenUsage};
use airside_snapshot::{Price, Principal};

/// A session nobody speaks in for so long is forgotten.
pub const SESSION_LIFE: Duration = Duration::from_hours(1);
/// How long vendors keep a prompt cache that was not written for an hour.
const SHORT_CACHE_LIFE: Duration = Duration::from_mins(5);
/// Sessions remembered at most, over all shards and both generations.
const MOST_SESSIONS: usize = 1 << 16;
const SHARDS: usize = 16;
/// Threads of one session, and issuers of one thread, that are told apart.
const MOST_THREADS: usize = 8;
const MOST_ISSUERS: usize = 4;

/// One thread of one session: a conversation whose calls share a prompt cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SessionKey {
    session: Arc<str>,
    thread: u64,
}

impl SessionKey {
    /// The key of a call, if it can be told which session it belongs to: by its token, else by what the harness says,
    /// which counts only together with who says it.
    #[must_use]
    pub fn of(
        principal: &Principal,
        alias: &str,
        harness_session: Option<&str>,
        subagent: Option<&str>,
    ) -> Option<Self> {
        let session: Arc<str> = match (&principal.session_id, harness_session) {
            (Some(session), _) => session.as_str().into(),
            (None, Some(named)) => {
                let whose = principal.key_id.as_deref().unwrap_or_default();
                format!("{}\0{whose}\0{named}", principal.project).into()
            }
            (None, None) => return None,
        };
        let thread = hash_of(&(alias, harness_session, subagent));
        Some(Self { session, thread })
    }

    /// A number that is the same for every call of the session, as far as it can be told.
    #[must_use]
    pub fn session_hash(&self) -> u64 {
        hash_of(&*self.session)
    }
}

fn hash_of(value: &(impl std::hash::Hash + ?Sized)) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Where a thread was last answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The provider's name.
    pub provider: Arc<str>,
    /// Its name of the model.
    pub model: Arc<str>,
    /// The dialect it speaks.
    pub family: Family,
    /// Which key of the provider's pool.
    pub key: usize,
}

/// Who wrote thinking, reasoning or signatures that a thread's history may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The dialect it came in.
    pub family: Family,
    /// The provider's name.
    pub provider: Arc<str>,
}

/// An answer worth remembering.
#[derive(Debug, Clone)]
pub struct AnswerNote {
    /// Who gave it.
    pub place: Place,
    /// What it used.
    pub usage: TokenUsage,
    /// It may hold thinking that only its issuer takes back.
    pub issued_thinking: bool,
}

/// What is known of a thread at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionView {
    /// Where it was last answered, while that matters: its cache is warm there, or it is pinned.
    pub place: Option<Place>,
    /// It moved to another family not long ago, and what was stripped on the way cannot be brought back.
    pub is_pinned: bool,
    /// Tokens of its prompt that the place's cache holds, as far as its last answer told; 0 once they are cold.
    pub cached_tokens: u64,
    /// Who issued thinking in it, latest first.
    pub issuers: Vec<Issuer>,
}

impl SessionView {
    /// What a call there would pay for these tokens on top of a read from the cache: the cost of going elsewhere.
    #[must_use]
    pub fn cache_break_nanousd(&self, price: &Price) -> u64 {
        let Some(tier) = tier_for(&price.tiers, self.cached_tokens) else {
            return 0;
        };
        let more = u128::from(tier.input_uncached.saturating_sub(tier.cache_read));
        let nanousd = u128::from(self.cached_tokens).saturating_mul(more) / 1_000_000;
        u64::try_from(nanousd).unwrap_or(u64::MAX)
    }
}

/// How many retries a session has in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAllowance {
    /// So many.
    pub retries: u64,
    /// In this time.
    pub window: Duration,
}

#[derive(Debug)]
struct Thread {
    id: u64,
    place: Place,
    answered_at: Instant,
    cache_until: Instant,
    cached_tokens: u64,
    pinned_until: Option<Instant>,
    issuers: Vec<Issuer>,
}

/// Retries left, filled up again with time.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

#[derive(Debug)]
struct Session {
    used_at: Instant,
    threads: Vec<Thread>,
    retries: Option<Bucket>,
}

impl Session {
    const fn new(now: Instant) -> Self {
        Self {
            used_at: now,
            threads: Vec::new(),
            retries: None,
        }
    }
}

/// Two generations: who is used moves to the young one; when that is full, the old one is dropped whole.
#[derive(Debug, Default)]
struct Shard {
    young: HashMap<Arc<str>, Session>,
    old: HashMap<Arc<str>, Session>,
}

impl Shard {
    fn get(&mut self, name: &Arc<str>, now: Instant) -> Option<&mut Session> {
        if let Some(session) = self.old.remove(name) {
            self.insert(Arc::clone(name), session);
        }
        let is_over = |session: &Session| now.saturating_duration_since(session.used_at) >= SESSION_LIFE;
        if self.young.get(name).is_some_and(is_over) {
            self.young.remove(name);
        }
        self.young.get_mut(name)
    }

    fn get_or_new(&mut self, name: &Arc<str>, now: Instant) -> Option<&mut Session> {
        if self.get(name, now).is_none() {
            self.insert(Arc::clone(name), Session::new(now));
        }
        self.young.get_mut(name)
    }

    fn insert(&mut self, name: Arc<str>, session: Session) {
        if self.young.len() >= MOST_SESSIONS / SHARDS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, session);
    }
}

/// The memory of all sessions of one gateway. Kept over snapshots.
#[derive(Debug, Default)]
pub struct SessionMemory {
    shards: [Mutex<Shard>; SHARDS],
}

impl SessionMemory {
    fn shard(&self, key: &SessionKey) -> Option<MutexGuard<'_, Shard>> {
        let number = usize::try_from(key.session_hash() >> 32).unwrap_or_default() % SHARDS;
        let shard = self.shards.get(number)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is known of this thread now; nothing, if nothing is.
    #[must_use]
    pub fn view(&self, key: &SessionKey, now: Instant) -> SessionView {
        let Some(mut shard) = self.shard(key) else {
            return SessionView::default();
        };
        let session = shard.get(&key.session, now);
        let thread = session.and_then(|session| session.threads.iter().find(|thread| thread.id == key.thread));
        let Some(thread) = thread else {
            return SessionView::default();
        };
        let is_warm = now < thread.cache_until;
        let is_pinned = thread.pinned_until.is_some_and(|until| now < until);
        SessionView {
            place: (is_warm || is_pinned).then(|| thread.place.clone()),
            is_pinned,
            cached_tokens: if is_warm { thread.cached_tokens } else { 0 },
            issuers: thread.issuers.clone(),
        }
    }

    /// Remember an answer. A move to another family pins the thread to where it went.
    pub fn note_answer(&self, key: &SessionKey, note: AnswerNote, now: Instant) {
        let Some(mut shard) = self.shard(key) else { return };
        let Some(session) = shard.get_or_new(&key.session, now) else {
            return;
        };
        session.used_at = now;
        let known = session.threads.iter().position(|thread| thread.id == key.thread);
        let before = known.map(|at| session.threads.swap_remove(at));
        if session.threads.len() >= MOST_THREADS {
            forget_oldest(&mut session.threads);
        }
        session.threads.push(thread_after(key.thread, before, note, now));
    }

    /// Take one retry from the session's allowance; false when it is spent.
    #[must_use]
    pub fn spend_retry(&self, key: &SessionKey, allowance: RetryAllowance, now: Instant) -> bool {
        let Some(mut shard) = self.shard(key) else { return true };
        let Some(session) = shard.get_or_new(&key.session, now) else {
            return true;
        };
        session.used_at = now;
        let most = small(allowance.retries);
        let bucket = session.retries.get_or_insert(Bucket { left: most, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        let refill = passed * most / allowance.window.as_secs_f64().max(1.0);
        bucket.left = (bucket.left + refill).min(most);
        bucket.at = now;
        let may_retry = bucket.left >= 1.0;
        if may_retry {
            bucket.left -= 1.0;
        }
        may_retry
    }
}

/// An allowance as a float: it holds every count that makes sense here exactly.
fn small(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn forget_oldest(threads: &mut Vec<Thread>) {
    let oldest = threads.iter().enumerate().min_by_key(|(_, thread)| thread.answered_at);
    if let Some(at) = oldest.map(|(at, _)| at) {
        threads.swap_remove(at);
    }
}

fn thread_after(id: u64, before: Option<Thread>, note: AnswerNote, now: Instant) -> Thread {
    let AnswerNote {
        place,
        usage,
        issued_thinking,
    } = note;
    let has_moved = before
        .as_ref()
        .is_some_and(|before| before.place.family != place.family);
    let (pinned_until, mut issuers) = before.map_or((None, Vec::new()), |before| (before.pinned_until, before.issuers));
    if issued_thinking {
        let issuer = Issuer {
            family: place.family,
            provider: Arc::clone(&place.provider),
        };
        issuers.retain(|known| *known != issuer);
        issuers.insert(0, issuer);
        issuers.truncate(MOST_ISSUERS);
    }
    let cached = usage.cache_read.saturating_add(usage.cache_write_5m);
    let life = if usage.cache_write_1h > 0 {
        SESSION_LIFE
    } else {
        SHORT_CACHE_LIFE
    };
    Thread {
        id,
        place,
        answered_at: now,
        cache_until: now + life,
        cached_tokens: cached.saturating_add(usage.cache_write_1h),
        pinned_until: if has_moved {
            Some(now + SESSION_LIFE)
        } else {
            pinned_until
        },
        issuers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_snapshot::PriceTier;

    fn key(session: &str, alias: &str) -> SessionKey {
        SessionKey::of(&Principal::default(), alias, Some(session), None).unwrap()
    }

    fn note(provider: &str, family: Family, cached: u64) -> AnswerNote {
        AnswerNote {
            place: Place {
                provider: provider.into(),
                model: "x".into(),
                family,
                key: 0,
            },
            usage: TokenUsage {
                cache_read: cached,
                ..TokenUsage::default()
            },
            issued_thinking: true,
        }
    }

    #[test]
    fn a_session_is_known_by_its_token_else_by_the_harness_and_its_owner() {
        let token = Principal {
            session_id: Some("sesn_1".into()),
            ..Principal::default()
        };
        let of = |principal: &Principal, named| SessionKey::of(principal, "m", named, None);
        assert_eq!(of(&Principal::default(), None), None);
        assert!(of(&token, None).is_some());
        let other = Principal {
            key_id: Some("key_2".into()),
            ..Principal::default()
        };
        assert_ne!(of(&other, Some("a")), of(&Principal::default(), Some("a")));
        assert_ne!(key("a", "m"), key("a", "n"), "another alias has another cache");
    }

    #[test]
    fn a_thread_stays_where_its_cache_is_while_that_is_warm() {
        let (memory, now) = (SessionMemory::default(), Instant::now());
        let (main, title) = (key("a", "coder"), key("a", "small"));
        memory.note_answer(&main, note("p", Family::Anthropic, 9_000), now);
        memory.note_answer(&title, note("q", Family::OpenaiChat, 0), now);
        let view = memory.view(&main, now + Duration::from_secs(299));
        assert_eq!((&*view.place.unwrap().provider, view.cached_tokens), ("p", 9_000));
        let cold = memory.view(&main, now + Duration::from_mins(5));
        assert_eq!((cold.place, cold.cached_tokens), (None, 0));
        assert_eq!(cold.issuers.len(), 1, "who issued its thinking is known longer");
    }

    #[test]
    fn an_hour_of_cache_is_believed_for_an_hour() {
        let (memory, now) = (SessionMemory::default(), Instant::now());
        let mut written = note("p", Family::Anthropic, 0);
        written.usage.cache_write_1h = 70;
        memory.note_answer(&key("a", "m"), written, now);
        let view = memory.view(&key("a", "m"), now + Duration::from_mins(59));
        assert_eq!(view.cached_tokens, 70);
        assert_eq!(memory.view(&key("a", "m"), now + SESSION_LIFE), SessionView::default());
    }

    #[test]
    fn a_move_to_another_family_pins_the_thread() {
        let (memory, now, key) = (SessionMemory::default(), Instant::now(), key("a", "m"));
        memory.note_answer(&key, note("p", Family::Anthropic, 1), now);
        memory.note_answer(&key, note("p2", Family::Anthropic, 1), now);
        assert!(!memory.view(&key, now).is_pinned);
        memory.note_answer(&key, note("g", Family::Gemini, 1), now);
        let later = memory.view(&key, now + Duration::from_mins(30));
        assert!(later.is_pinned, "longer than its cache is warm");
        assert_eq!(&*later.place.unwrap().provider, "g");
        let issuers: Vec<&str> = later.issuers.iter().map(|issuer| &*issuer.provider).collect();
        assert_eq!(issuers, ["g", "p2", "p"]);
    }

    #[test]
    fn retries_are_counted_over_all_threads_and_come_back_with_time() {
        let (memory, now) = (SessionMemory::default(), Instant::now());
        let allowance = RetryAllowance {
            retries: 2,
            window: Duration::from_mins(10),
        };
        assert!(memory.spend_retry(&key("a", "m"), allowance, now));
        assert!(memory.spend_retry(&key("a", "n"), allowance, now));
        assert!(!memory.spend_retry(&key("a", "m"), allowance, now));
        assert!(memory.spend_retry(&key("b", "m"), allowance, now));
        let later = now + Duration::from_mins(5);
        assert!(memory.spend_retry(&key("a", "m"), allowance, later));
        assert!(!memory.spend_retry(&key("a", "m"), allowance, later));
    }

    #[test]
    fn memory_is_bounded_and_keeps_who_is_used() {
        let (memory, now) = (SessionMemory::default(), Instant::now());
        memory.note_answer(&key("kept", "m"), note("p", Family::Anthropic, 1), now);
        for number in 0..3 * MOST_SESSIONS {
            memory.note_answer(&key(&number.to_string(), "m"), note("p", Family::Anthropic, 1), now);
            if number % 512 == 0 {
                assert!(memory.view(&key("kept", "m"), now).place.is_some());
            }
        }
        let count = |shard: &Mutex<Shard>| {
            let shard = shard.lock().unwrap();
            shard.young.len() + shard.old.len()
        };
        assert!(memory.shards.iter().map(count).sum::<usize>() <= MOST_SESSIONS);
        for thread in 0..3 * MOST_THREADS {
            memory.note_answer(
                &key("kept", &thread.to_string()),
                note("p", Family::Anthropic, 1),
                now + Duration::from_secs(1),
            );
        }
        assert!(memory.view(&key("kept", "m"), now).place.is_none());
    }

    #[test]
    fn leaving_a_warm_cache_has_a_price() {
        let tier = PriceTier {
            above_input_tokens: 0,
            input_uncached: 3_000_000_000,
            cache_read: 300_000_000,
            cache_write_5m: 0,
            cache_write_1h: 0,
            output: 0,
        };
        let view = SessionView {
            cached_tokens: 100_000,
            ..SessionView::default()
        };
        assert_eq!(view.cache_break_nanousd(&Price::plain(vec![tier])), 270_000_000);
    }
}
