//! How fast something may be called: requests and tokens per window, and calls at once.
//!
//! A window's worth may be taken at once and comes back evenly over the window, so that no boundary lets twice as much
//! through. Kept in memory only: a gateway that starts again begins with everything free. Tokens are taken by an
//! estimate and put right when the call is over.

use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use airside_snapshot::RateLimit;

/// Beyond so many limits, those nobody uses any more are forgotten.
const MOST_IDLE: usize = 10_000;

/// One limit that a call falls under.
#[derive(Debug, Clone)]
pub struct RateAsk<'a> {
    /// Kind and id of the scope, and the window: `team:x/minute`.
    pub scope: Arc<str>,
    /// The limit.
    pub limit: &'a RateLimit,
    /// In a limit of one provider: which.
    pub provider: Option<Arc<str>>,
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateKind {
    /// Calls per window.
    Requests,
    /// Tokens per window.
    Tokens,
    /// Calls at once.
    Concurrent,
}

/// How one counter of a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateState {
    /// What a window holds, here.
    pub limit: u64,
    /// What can be taken now.
    pub remaining: u64,
    /// Until all of it can be taken.
    pub full_in_us: u64,
}

/// A call that came too fast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limited {
    /// Under which limit; the place of it among those asked.
    pub at: usize,
    /// What ran out.
    pub kind: RateKind,
    /// When it would pass. For calls at once nobody knows: a second.
    pub wait_us: u64,
    /// How requests stand, if they are limited.
    pub requests: Option<RateState>,
    /// How tokens stand, if they are limited.
    pub tokens: Option<RateState>,
}

/// A call's place under its limits. It must come back through `settle`.
#[derive(Debug, Default)]
#[must_use = "a pass that is not settled keeps its place"]
pub struct RatePass {
    taken: Vec<Taken>,
}

impl RatePass {
    /// True of a call that falls under no limit.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }
}

#[derive(Debug)]
struct Taken {
    scope: Arc<str>,
    provider: Option<Arc<str>>,
    window_us: u64,
    requests: Option<u64>,
    tokens: Option<(u64, u64)>,
}

/// A counter that fills up evenly: known by the moment at which everything taken will have come back.
#[derive(Debug, Clone, Copy, Default)]
struct Meter {
    clear_at_us: u64,
}

impl Meter {
    fn state(self, limit: u64, window_us: u64, now_us: u64) -> RateState {
        let full_in_us = self.clear_at_us.saturating_sub(now_us);
        let free = u128::from(window_us.saturating_sub(full_in_us));
        let remaining = free * u128::from(limit) / u128::from(window_us.max(1));
        RateState {
            limit,
            remaining: u64::try_from(remaining).unwrap_or(limit),
            full_in_us,
        }
    }

    /// How long until so much can be taken. More than a window holds can be taken from a full one.
    fn wait_us(self, amount: u64, limit: u64, window_us: u64, now_us: u64) -> u64 {
        let full_in_us = self.clear_at_us.saturating_sub(now_us);
        let filled = full_in_us.saturating_add(length_us(amount.min(limit), limit, window_us));
        filled.saturating_sub(window_us)
    }

    fn take(&mut self, amount: u64, limit: u64, window_us: u64, now_us: u64) {
        let from = self.clear_at_us.max(now_us);
        self.clear_at_us = from.saturating_add(length_us(amount, limit, window_us));
    }

    fn put_back(&mut self, amount: u64, limit: u64, window_us: u64) {
        self.clear_at_us = self.clear_at_us.saturating_sub(length_us(amount, limit, window_us));
    }
}

/// How long so much takes to come back.
fn length_us(amount: u64, limit: u64, window_us: u64) -> u64 {
    if limit == 0 {
        return window_us;
    }
    let product = u128::from(amount) * u128::from(window_us);
    u64::try_from(product.div_ceil(u128::from(limit))).unwrap_or(u64::MAX)
}

#[derive(Debug, Default)]
struct Counters {
    requests: Meter,
    tokens: Meter,
    at_once: u64,
}

impl Counters {
    fn is_idle(&self, now_us: u64) -> bool {
        self.at_once == 0 && self.requests.clear_at_us <= now_us && self.tokens.clear_at_us <= now_us
    }
}

/// The counters of this gateway. `now_us` is any clock of microseconds that never goes back.
#[derive(Debug, Default)]
pub struct Rates {
    counters: Mutex<HashMap<Arc<str>, Counters>>,
}

/// The share of a limit that one of so many gateways keeps. All shares together are at most the limit, as long as it
/// is no smaller than their number.
fn share(limit: u64, gateways: u64) -> u64 {
    let own = limit / gateways.max(1);
    if limit > 0 { own.max(1) } else { 0 }
}

fn window_us(limit: &RateLimit) -> u64 {
    use airside_snapshot::BudgetWindow::{Day, Hour, Minute, Month, Total, Week};
    let seconds = match limit.window {
        Minute => 60,
        Hour => 3_600,
        Day => 86_400,
        Week => 7 * 86_400,
        Month | Total => 30 * 86_400,
    };
    seconds * 1_000_000
}

impl Rates {
    fn counters(&self) -> MutexGuard<'_, HashMap<Arc<str>, Counters>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Take a call's place under all its limits, or under none.
    ///
    /// # Errors
    /// The limit that has to be waited for longest.
    pub fn admit(&self, asks: &[RateAsk<'_>], tokens: u64, gateways: u64, now_us: u64) -> Result<RatePass, Limited> {
        let mut pass = RatePass::default();
        if asks.is_empty() {
            return Ok(pass);
        }
        let mut counters = self.counters();
        if counters.len() > MOST_IDLE {
            counters.retain(|_, kept| !kept.is_idle(now_us));
        }
        let limited = asks.iter().enumerate().filter_map(|(at, ask)| {
            let known = counters.get(&ask.scope);
            check(at, ask, known, tokens, gateways, now_us)
        });
        if let Some(limited) = limited.max_by_key(|limited| limited.wait_us) {
            return Err(limited);
        }
        for ask in asks {
            let entry = counters.entry(Arc::clone(&ask.scope)).or_default();
            let window_us = window_us(ask.limit);
            entry.at_once += 1;
            let requests = ask.limit.requests.map(|limit| share(limit, gateways));
            if let Some(limit) = requests {
                entry.requests.take(1, limit, window_us, now_us);
            }
            let of_tokens = ask.limit.tokens.map(|limit| share(limit, gateways));
            if let Some(limit) = of_tokens {
                entry.tokens.take(tokens.min(limit), limit, window_us, now_us);
            }
            pass.taken.push(Taken {
                scope: Arc::clone(&ask.scope),
                provider: ask.provider.clone(),
                window_us,
                requests,
                tokens: of_tokens.map(|limit| (limit, tokens.min(limit))),
            });
        }
        Ok(pass)
    }

    /// A call is over and took so many tokens. A provider that did not answer was not used.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a pass is settled once: it is gone afterwards"
    )]
    pub fn settle(&self, pass: RatePass, tokens: u64, answered_by: Option<&str>, now_us: u64) {
        if pass.is_empty() {
            return;
        }
        let mut counters = self.counters();
        for taken in &pass.taken {
            let Some(entry) = counters.get_mut(&taken.scope) else {
                continue;
            };
            entry.at_once = entry.at_once.saturating_sub(1);
            let was_used = taken
                .provider
                .as_deref()
                .is_none_or(|provider| answered_by == Some(provider));
            if let Some(limit) = taken.requests.filter(|_| !was_used) {
                entry.requests.put_back(1, limit, taken.window_us);
            }
            if let Some((limit, estimate)) = taken.tokens {
                let used = if was_used { tokens } else { 0 };
                entry
                    .tokens
                    .put_back(estimate.saturating_sub(used), limit, taken.window_us);
                let more = used.saturating_sub(estimate);
                if more > 0 {
                    entry.tokens.take(more, limit, taken.window_us, now_us);
                }
            }
        }
    }

    /// Calls at once under a limit; for tests and gauges.
    #[must_use]
    pub fn at_once(&self, scope: &str) -> u64 {
        self.counters().get(scope).map_or(0, |counters| counters.at_once)
    }
}

fn check(
    at: usize,
    ask: &RateAsk<'_>,
    known: Option<&Counters>,
    tokens: u64,
    gateways: u64,
    now_us: u64,
) -> Option<Limited> {
    const NOBODY_KNOWS_US: u64 = 1_000_000;
    let fresh = Counters::default();
    let known = known.unwrap_or(&fresh);
    let (limit, window_us) = (ask.limit, window_us(ask.limit));
    let of = |limit: Option<u64>| limit.map(|limit| share(limit, gateways));
    let (requests, of_tokens, at_once) = (of(limit.requests), of(limit.tokens), of(limit.concurrent));
    let request_wait = requests.map_or(0, |limit| known.requests.wait_us(1, limit, window_us, now_us));
    let token_wait = of_tokens.map_or(0, |limit| known.tokens.wait_us(tokens, limit, window_us, now_us));
    let is_full = at_once.is_some_and(|limit| known.at_once >= limit);
    let (kind, wait_us) = if request_wait > 0 || requests == Some(0) {
        (RateKind::Requests, request_wait.max(token_wait).max(1))
    } else if token_wait > 0 || of_tokens == Some(0) {
        (RateKind::Tokens, token_wait.max(1))
    } else if is_full {
        (RateKind::Concurrent, NOBODY_KNOWS_US)
    } else {
        return None;
    };
    Some(Limited {
        at,
        kind,
        wait_us,
        requests: requests.map(|limit| known.requests.state(limit, window_us, now_us)),
        tokens: of_tokens.map(|limit| known.tokens.state(limit, window_us, now_us)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_snapshot::{BudgetWindow, ScopeKind};
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    fn limit(requests: Option<u64>, tokens: Option<u64>, concurrent: Option<u64>) -> RateLimit {
        RateLimit {
            scope: ScopeKind::Team,
            scope_id: "x".into(),
            window: BudgetWindow::Minute,
            requests,
            tokens,
            concurrent,
        }
    }

    fn ask<'a>(scope: &str, limit: &'a RateLimit) -> RateAsk<'a> {
        RateAsk {
            scope: scope.into(),
            limit,
            provider: scope.strip_prefix("provider:").map(Arc::from),
        }
    }

    #[test]
    fn a_window_can_be_taken_at_once_and_comes_back_evenly() {
        let (rates, limit) = (Rates::default(), limit(Some(6), None, None));
        let admit = |now_us| rates.admit(&[ask("team:x/minute", &limit)], 0, 1, now_us);
        for _ in 0..6 {
            assert!(admit(0).is_ok());
        }
        let limited = admit(SECOND).unwrap_err();
        assert_eq!((limited.kind, limited.wait_us), (RateKind::Requests, 9 * SECOND));
        assert_eq!(limited.requests.unwrap().remaining, 0);
        assert!(admit(10 * SECOND).is_ok());
        assert!(admit(10 * SECOND).is_err());
    }

    #[test]
    fn tokens_are_put_right_when_the_call_is_over() {
        let (rates, limit) = (Rates::default(), limit(None, Some(600), None));
        let admit = |tokens| rates.admit(&[ask("team:x/minute", &limit)], tokens, 1, 0);
        let pass = admit(500).unwrap();
        assert_eq!(admit(200).unwrap_err().kind, RateKind::Tokens);
        rates.settle(pass, 100, None, 0);
        let pass = admit(200).unwrap();
        rates.settle(pass, 900, None, 0);
        let limited = admit(10).unwrap_err();
        assert_eq!(limited.wait_us, 41 * SECOND, "400 too many, and 10 more");
    }

    #[test]
    fn a_call_larger_than_a_window_passes_when_nothing_was_taken() {
        let (rates, limit) = (Rates::default(), limit(None, Some(600), None));
        assert!(rates.admit(&[ask("team:x/minute", &limit)], 5_000, 1, 0).is_ok());
        assert!(
            rates
                .admit(&[ask("team:x/minute", &limit)], 5_000, 1, 30 * SECOND)
                .is_err()
        );
        assert!(
            rates
                .admit(&[ask("team:x/minute", &limit)], 5_000, 1, 60 * SECOND)
                .is_ok()
        );
    }

    #[test]
    fn all_limits_take_a_call_or_none_does() {
        let (wide, narrow) = (limit(Some(9), None, Some(9)), limit(None, None, Some(1)));
        let rates = Rates::default();
        let admit = || rates.admit(&[ask("team:x/minute", &wide), ask("user:y/minute", &narrow)], 0, 1, 0);
        let pass = admit().unwrap();
        let limited = admit().unwrap_err();
        assert_eq!((limited.at, limited.kind), (1, RateKind::Concurrent));
        assert_eq!((rates.at_once("team:x/minute"), rates.at_once("user:y/minute")), (1, 1));
        rates.settle(pass, 0, None, 0);
        assert!(admit().is_ok());
    }

    #[test]
    fn gateways_share_a_limit() {
        let (rates, limit) = (Rates::default(), limit(Some(7), None, None));
        let taken = (0..7).filter(|_| rates.admit(&[ask("a", &limit)], 0, 2, 0).is_ok());
        assert_eq!(taken.count(), 3);
    }

    #[test]
    fn a_provider_that_did_not_answer_was_not_called() {
        let (rates, limit) = (Rates::default(), limit(Some(1), Some(60), None));
        let asks = [ask("provider:p/minute", &limit)];
        let asks = [RateAsk {
            provider: Some("p".into()),
            ..asks[0].clone()
        }];
        let pass = rates.admit(&asks, 60, 1, 0).unwrap();
        rates.settle(pass, 60, Some("q"), 0);
        let pass = rates.admit(&asks, 60, 1, 0).unwrap();
        rates.settle(pass, 60, Some("p"), 0);
        assert!(rates.admit(&asks, 1, 1, 0).is_err());
    }

    proptest! {
        #[test]
        fn no_window_ever_lets_more_than_two_limits_through_and_none_is_lost(
            most in 1_u64..50, steps in prop::collection::vec(0_u64..8_000_000, 1..200),
        ) {
            let (rates, limit) = (Rates::default(), limit(Some(most), None, None));
            let (mut now_us, mut passed) = (0, Vec::new());
            for step in steps {
                now_us += step;
                match rates.admit(&[ask("a", &limit)], 0, 1, now_us) {
                    Ok(pass) => { passed.push(now_us); rates.settle(pass, 0, None, now_us); }
                    // What is told to wait passes then.
                    Err(limited) => prop_assert!(limited.wait_us <= 60 * SECOND / most + 1),
                }
            }
            for from in &passed {
                let within = passed.iter().filter(|at| *at >= from && **at < from + 60 * SECOND).count() as u64;
                prop_assert!(within <= 2 * most);
            }
            prop_assert_eq!(rates.at_once("a"), 0);
        }
    }
}
