//! The books of this gateway: for every scope and window what is granted, settled and held.
//!
//! `settled + held <= granted` holds in every account after every `reserve`, because a call's whole hold is entered in
//! all its scopes in one step or in none. A hold is the worst case, so settling only ever gives back.

use foldhash::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::lease::{Lease, LeaseReturn, Leases};
use crate::window::Window;

/// The part of a call's cost that counts against one budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// Kind and id of the scope, and the window unless it is the total: `agent:<id>/day`, `session:<id>`.
    pub scope: Arc<str>,
    /// Seconds since 1970; 0 for a budget without windows.
    pub window_start: i64,
    /// How much.
    pub nanousd: u64,
}

/// What a call wants to set aside in one scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Which, as `Charge` spells it.
    pub scope: Arc<str>,
    /// How much.
    pub nanousd: u64,
    /// In a budget of one provider: which. It is charged only if that provider answers.
    pub provider: Option<Arc<str>>,
}

/// A charge of a journal record that an earlier process left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedCharge {
    /// Of the record.
    pub sequence: u64,
    /// What it charged.
    pub charge: Charge,
}

#[derive(Debug)]
struct HeldPart {
    part: Part,
    window: Window,
}

impl HeldPart {
    /// What this part is charged for a cost. Where nobody knows who answered, every provider that may have.
    fn charge(&self, nanousd: u64, answered_by: Option<&str>) -> u64 {
        match (&self.part.provider, answered_by) {
            (Some(provider), Some(answered_by)) if &**provider != answered_by => 0,
            (Some(_), None) => nanousd.min(self.part.nanousd),
            _ => nanousd,
        }
    }
}

/// Room set aside for one call. It must come back through `settle`.
#[derive(Debug, Default)]
#[must_use = "a hold that is not settled blocks its budget"]
pub struct Hold {
    parts: Vec<HeldPart>,
    nanousd: u64,
}

impl Hold {
    /// The most that is set aside in any scope.
    #[must_use]
    pub const fn nanousd(&self) -> u64 {
        self.nanousd
    }

    /// What each scope would be charged for this cost, if this provider answered.
    #[must_use]
    pub fn charges(&self, nanousd: u64, answered_by: Option<&str>) -> Vec<Charge> {
        let charge = |held: &HeldPart| Charge {
            scope: Arc::clone(&held.part.scope),
            window_start: held.window.start,
            nanousd: held.charge(nanousd, answered_by),
        };
        self.parts.iter().map(charge).collect()
    }
}

/// A hold that was entered, and whether a scope is about to run dry.
#[derive(Debug)]
pub struct Reserved {
    /// The hold.
    pub hold: Hold,
    /// Scopes whose lease should be renewed ahead of need.
    pub running_dry: Vec<Arc<str>>,
    /// The least that was left in any scope before.
    pub least_left_nanousd: u64,
}

/// Why a hold was not entered. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No lease is known for the present window of this scope.
    NoLease {
        /// Which.
        scope: Arc<str>,
    },
    /// The lease leaves too little.
    TooLittle {
        /// Which.
        scope: Arc<str>,
        /// What more would have to be granted.
        missing_nanousd: u64,
        /// What is left now.
        left_nanousd: u64,
        /// What was granted in this window.
        granted_nanousd: u64,
        /// The cap itself leaves no more, as far as is known.
        exhausted: bool,
    },
}

impl Refusal {
    /// The scope that has no room.
    #[must_use]
    pub const fn scope(&self) -> &Arc<str> {
        match self {
            Self::NoLease { scope } | Self::TooLittle { scope, .. } => scope,
        }
    }
}

#[derive(Debug)]
struct Account {
    window: Window,
    granted: u64,
    settled: u64,
    held: u64,
    /// What other gateways had settled when the lease was given.
    others_settled: u64,
    exhausted: bool,
    expires_at: Option<i64>,
    /// Somebody was told that little is left.
    warned: bool,
    /// False once the control plane no longer names this window: only its holds still run out.
    current: bool,
}

impl Account {
    fn left(&self) -> u64 {
        self.granted.saturating_sub(self.used())
    }

    /// What cannot be given back.
    fn used(&self) -> u64 {
        self.settled.saturating_add(self.held)
    }

    /// True if a call of this moment counts here.
    fn is_for(&self, now_s: i64) -> bool {
        self.current && self.window.holds(now_s)
    }

    /// True if it stands as granting this whole limit would leave it.
    fn is_whole(&self, window: Window, limit_nanousd: u64) -> bool {
        let is_granted = self.granted == limit_nanousd && self.exhausted && self.expires_at.is_none();
        self.current && self.window == window && is_granted && self.others_settled == 0
    }

    fn is_expired(&self, now_s: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now_s)
    }
}

#[derive(Debug, Default)]
struct Scope {
    accounts: Vec<Account>,
    last_used_s: i64,
}

/// The books. Shared by all calls; one lock, held for nanoseconds.
#[derive(Debug, Default)]
pub struct Ledger {
    scopes: Mutex<HashMap<Arc<str>, Scope>>,
    carried: Vec<CarriedCharge>,
}

impl Ledger {
    /// Empty books that know what earlier processes charged.
    #[must_use]
    pub fn new(carried: Vec<CarriedCharge>) -> Self {
        Self {
            scopes: Mutex::default(),
            carried,
        }
    }

    fn books(&self) -> MutexGuard<'_, HashMap<Arc<str>, Scope>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Set aside every part, in every window of its scope, or none.
    ///
    /// # Errors
    /// The scopes that cannot cover theirs; nothing was entered.
    pub fn reserve(&self, parts: Vec<Part>, now_s: i64) -> Result<Reserved, Vec<Refusal>> {
        let mut reserved = Reserved {
            hold: Hold::default(),
            running_dry: Vec::new(),
            least_left_nanousd: u64::MAX,
        };
        if parts.is_empty() {
            return Ok(reserved);
        }
        let mut books = self.books();
        let refusals: Vec<Refusal> = parts.iter().filter_map(|part| check(&books, part, now_s)).collect();
        if !refusals.is_empty() {
            return Err(refusals);
        }
        reserved.hold.parts.reserve(parts.len());
        for part in parts {
            reserved.hold.nanousd = reserved.hold.nanousd.max(part.nanousd);
            let Some(entry) = books.get_mut(&part.scope) else {
                continue;
            };
            entry.last_used_s = now_s;
            for account in entry.accounts.iter_mut().filter(|account| account.is_for(now_s)) {
                reserved.least_left_nanousd = reserved.least_left_nanousd.min(account.left());
                account.held = account.held.saturating_add(part.nanousd);
                if !account.exhausted && account.left() < part.nanousd.saturating_mul(2) {
                    reserved.running_dry.push(Arc::clone(&part.scope));
                }
                reserved.hold.parts.push(HeldPart {
                    part: part.clone(),
                    window: account.window,
                });
            }
        }
        Ok(reserved)
    }

    /// Give a hold back and charge what the call did cost, and where it cost it.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a hold is settled once: it is gone afterwards"
    )]
    pub fn settle(&self, hold: Hold, cost_nanousd: u64, answered_by: Option<&str>) -> Vec<Charge> {
        let charges = hold.charges(cost_nanousd, answered_by);
        if hold.parts.is_empty() {
            return charges;
        }
        let mut books = self.books();
        for held in &hold.parts {
            let Some(entry) = books.get_mut(&held.part.scope) else {
                continue;
            };
            if let Some(account) = entry.accounts.iter_mut().find(|account| account.window == held.window) {
                account.held = account.held.saturating_sub(held.part.nanousd);
                account.settled = account.settled.saturating_add(held.charge(cost_nanousd, answered_by));
            }
        }
        charges
    }

    /// What all gateways have settled in a scope as far as is known here, if that reaches a level for the first time
    /// in its window.
    pub fn warn_once(&self, scope: &str, level_nanousd: u64, now_s: i64) -> Option<u64> {
        let mut books = self.books();
        let accounts = &mut books.get_mut(scope)?.accounts;
        let account = accounts.iter_mut().find(|account| account.is_for(now_s))?;
        let spent = account.settled.saturating_add(account.others_settled);
        if spent < level_nanousd || account.warned {
            return None;
        }
        account.warned = true;
        Some(spent)
    }

    /// Give back what is granted and not used in a scope, to be told to the control plane.
    pub fn give_back(&self, scope: &str) -> Vec<LeaseReturn> {
        let mut books = self.books();
        let accounts = books.get_mut(scope).into_iter().flat_map(|scope| &mut scope.accounts);
        let mut returns = Vec::new();
        for account in accounts.filter(|account| account.granted > account.used()) {
            returns.push(LeaseReturn {
                window_start: account.window.start,
                from_nanousd: account.granted,
                to_nanousd: account.used(),
            });
            account.granted = account.used();
            // There is more to be had, by asking.
            account.exhausted = false;
        }
        returns
    }

    /// Scopes with something to give back that nobody reserved in since this moment.
    #[must_use]
    pub fn idle_since(&self, before_s: i64) -> Vec<Arc<str>> {
        let books = self.books();
        let idle = books.iter().filter(|(_, scope)| {
            scope.last_used_s < before_s && scope.accounts.iter().any(|account| account.granted > account.used())
        });
        idle.map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Take in the control plane's answer. A lease replaces what was granted before; what this process settled stays
    /// its own knowledge, and what earlier processes settled is added once, when an account is opened.
    pub fn grant(&self, leases: &Leases, now_s: i64) {
        let mut books = self.books();
        for lease in &leases.leases {
            for account in books
                .get_mut(lease.scope.as_str())
                .into_iter()
                .flat_map(|scope| &mut scope.accounts)
            {
                account.current = false;
            }
        }
        for lease in &leases.leases {
            let carried = self.carried_after(&lease.scope, lease.window_start, leases.journal_through);
            let settled = lease.settled_nanousd.saturating_add(carried);
            enter(&mut books, lease, settled, now_s);
        }
        for scope in books.values_mut() {
            scope.accounts.retain(|account| {
                account.held > 0 || (account.current && account.window.end.is_none_or(|end| end > now_s))
            });
        }
    }

    /// Without a control plane: the whole limit is the gateway's own lease.
    pub fn grant_whole(
        &self,
        scope: &Arc<str>,
        (window, limit_nanousd): (Window, u64),
        settled: impl Fn(Window) -> u64,
        now_s: i64,
    ) {
        let mut books = self.books();
        if let Some(entry) = books.get_mut(scope) {
            // As it was for the call before, nearly always.
            if let [account] = entry.accounts.as_slice()
                && account.is_whole(window, limit_nanousd)
            {
                return;
            }
            for account in &mut entry.accounts {
                account.current = false;
            }
        }
        let lease = Lease {
            scope: scope.to_string(),
            window_start: window.start,
            window_end: window.end,
            granted_nanousd: limit_nanousd,
            exhausted: true,
            ..Lease::default()
        };
        enter(&mut books, &lease, settled(window), now_s);
        if let Some(entry) = books.get_mut(scope) {
            entry.accounts.retain(|account| account.current || account.held > 0);
        }
    }

    /// What earlier processes charged here in records after this one.
    #[must_use]
    pub fn carried_after(&self, scope: &str, window_start: i64, sequence: u64) -> u64 {
        let matching = self.carried.iter().filter(|carried| {
            carried.sequence > sequence
                && &*carried.charge.scope == scope
                && carried.charge.window_start == window_start
        });
        matching.fold(0, |sum, carried| sum.saturating_add(carried.charge.nanousd))
    }

    /// Forget scopes that were last used before this moment and hold nothing. Call it only when every record they
    /// charged is acknowledged: a later lease then brings back what they settled.
    pub fn forget_idle(&self, before_s: i64) {
        self.books()
            .retain(|_, scope| scope.last_used_s >= before_s || scope.accounts.iter().any(|account| account.held > 0));
    }

    /// Scopes that have an account.
    #[must_use]
    pub fn known_scopes(&self) -> Vec<Arc<str>> {
        self.books().keys().map(Arc::clone).collect()
    }

    /// What is settled and held in the present windows of a scope; for tests and gauges.
    #[must_use]
    pub fn position(&self, scope: &str, now_s: i64) -> Vec<(u64, u64, u64)> {
        let books = self.books();
        let accounts = books
            .get(scope)
            .map(|scope| scope.accounts.as_slice())
            .unwrap_or_default();
        let present = accounts.iter().filter(|account| account.is_for(now_s));
        present
            .map(|account| (account.granted, account.settled, account.held))
            .collect()
    }
}

fn check(books: &HashMap<Arc<str>, Scope>, part: &Part, now_s: i64) -> Option<Refusal> {
    let accounts = books
        .get(&part.scope)
        .map(|entry| entry.accounts.as_slice())
        .unwrap_or_default();
    let mut present = accounts.iter().filter(|account| account.is_for(now_s)).peekable();
    if present.peek().is_none_or(|account| account.is_expired(now_s)) {
        return Some(Refusal::NoLease {
            scope: Arc::clone(&part.scope),
        });
    }
    let account = present.find(|account| account.left() < part.nanousd)?;
    Some(Refusal::TooLittle {
        scope: Arc::clone(&part.scope),
        missing_nanousd: part.nanousd - account.left(),
        left_nanousd: account.left(),
        granted_nanousd: account.granted,
        exhausted: account.exhausted,
    })
}

fn enter(books: &mut HashMap<Arc<str>, Scope>, lease: &Lease, settled: u64, now_s: i64) {
    let scope: Arc<str> = lease.scope.as_str().into();
    let entry = books.entry(scope).or_insert_with(|| Scope {
        accounts: Vec::new(),
        last_used_s: now_s,
    });
    let window = lease.window();
    match entry.accounts.iter_mut().find(|account| account.window == window) {
        Some(account) => {
            account.granted = lease.granted_nanousd;
            account.others_settled = lease.others_settled_nanousd;
            account.exhausted = lease.exhausted;
            account.expires_at = lease.expires_at;
            account.current = true;
        }
        None => entry.accounts.push(Account {
            window,
            granted: lease.granted_nanousd,
            settled,
            held: 0,
            others_settled: lease.others_settled_nanousd,
            exhausted: lease.exhausted,
            expires_at: lease.expires_at,
            warned: false,
            current: true,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(scope: &str, granted: u64, settled: u64, window: Window) -> Lease {
        Lease {
            scope: scope.into(),
            window_start: window.start,
            window_end: window.end,
            granted_nanousd: granted,
            settled_nanousd: settled,
            ..Lease::default()
        }
    }

    fn ledger(leases: Vec<Lease>) -> Ledger {
        let ledger = Ledger::default();
        ledger.grant(
            &Leases {
                journal_through: 0,
                order: 0,
                leases,
                unknown_scopes: Vec::new(),
            },
            0,
        );
        ledger
    }

    fn parts(scopes: &[&str], nanousd: u64) -> Vec<Part> {
        let part = |scope: &&str| Part {
            scope: Arc::from(*scope),
            nanousd,
            provider: scope.strip_prefix("provider:").map(Arc::from),
        };
        scopes.iter().map(part).collect()
    }

    #[test]
    fn all_scopes_take_a_hold_or_none_does() {
        let ledger = ledger(vec![
            lease("agent:a", 100, 0, Window::TOTAL),
            lease("session:s", 10, 0, Window::TOTAL),
        ]);
        let refused = ledger.reserve(parts(&["agent:a", "session:s"], 11), 0).unwrap_err();
        assert!(matches!(
            refused[..],
            [Refusal::TooLittle {
                missing_nanousd: 1,
                left_nanousd: 10,
                ..
            }]
        ));
        assert_eq!(ledger.position("agent:a", 0), [(100, 0, 0)]);
        let reserved = ledger.reserve(parts(&["agent:a", "session:s"], 10), 0).unwrap();
        assert_eq!(ledger.position("session:s", 0), [(10, 0, 10)]);
        let charges = ledger.settle(reserved.hold, 4, Some("p"));
        assert_eq!(charges.len(), 2);
        assert_eq!(ledger.position("session:s", 0), [(10, 4, 0)]);
    }

    #[test]
    fn a_scope_without_a_lease_is_told_from_an_empty_one() {
        let day = Window {
            start: 0,
            end: Some(100),
        };
        let ledger = ledger(vec![lease("agent:a", 5, 0, day)]);
        let why = |scope, nanousd, now_s| ledger.reserve(parts(&[scope], nanousd), now_s).unwrap_err();
        assert!(matches!(why("agent:a", 6, 99)[..], [Refusal::TooLittle { .. }]));
        assert!(matches!(why("agent:a", 1, 100)[..], [Refusal::NoLease { .. }]));
        assert!(matches!(why("agent:b", 1, 0)[..], [Refusal::NoLease { .. }]));
    }

    #[test]
    fn a_hold_is_settled_in_the_window_it_was_made_in() {
        let (first, second) = (
            Window {
                start: 0,
                end: Some(100),
            },
            Window {
                start: 100,
                end: Some(200),
            },
        );
        let ledger = ledger(vec![lease("agent:a", 10, 0, first), lease("agent:a", 10, 0, second)]);
        let hold = ledger.reserve(parts(&["agent:a"], 10), 99).unwrap().hold;
        let charges = ledger.settle(hold, 7, Some("p"));
        assert_eq!(charges[0].window_start, 0);
        assert_eq!(ledger.position("agent:a", 100), [(10, 0, 0)]);
    }

    #[test]
    fn what_earlier_processes_charged_counts_once() {
        let charge = |sequence, nanousd| CarriedCharge {
            sequence,
            charge: Charge {
                scope: "agent:a".into(),
                window_start: 0,
                nanousd,
            },
        };
        let ledger = Ledger::new(vec![charge(4, 30), charge(5, 20)]);
        let answer = Leases {
            journal_through: 4,
            order: 0,
            leases: vec![lease("agent:a", 100, 30, Window::TOTAL)],
            unknown_scopes: Vec::new(),
        };
        ledger.grant(&answer, 0);
        assert_eq!(ledger.position("agent:a", 0), [(100, 50, 0)]);
        ledger.grant(&answer, 0);
        assert_eq!(ledger.position("agent:a", 0), [(100, 50, 0)]);
    }

    #[test]
    fn a_window_that_is_no_longer_named_stops_counting_but_keeps_its_holds() {
        let (day, month) = (
            Window {
                start: 0,
                end: Some(100),
            },
            Window {
                start: 0,
                end: Some(3000),
            },
        );
        let ledger = ledger(vec![lease("agent:a", 10, 0, day)]);
        let hold = ledger.reserve(parts(&["agent:a"], 10), 1).unwrap().hold;
        ledger.grant(
            &Leases {
                journal_through: 0,
                order: 0,
                leases: vec![lease("agent:a", 50, 0, month)],
                unknown_scopes: Vec::new(),
            },
            1,
        );
        assert!(ledger.reserve(parts(&["agent:a"], 40), 1).is_ok());
        assert_eq!(ledger.settle(hold, 3, Some("p"))[0].nanousd, 3);
    }

    #[test]
    fn idle_scopes_are_forgotten_and_busy_ones_are_not() {
        let ledger = ledger(vec![
            lease("session:a", 9, 0, Window::TOTAL),
            lease("session:b", 9, 0, Window::TOTAL),
        ]);
        let hold = ledger.reserve(parts(&["session:b"], 1), 0).unwrap().hold;
        ledger.forget_idle(10);
        assert_eq!(ledger.known_scopes(), [Arc::from("session:b")]);
        let _ = ledger.settle(hold, 0, Some("p"));
    }

    #[test]
    fn only_the_provider_that_answers_is_charged() {
        let ledger = ledger(vec![
            lease("agent:a", 100, 0, Window::TOTAL),
            lease("provider:p", 100, 0, Window::TOTAL),
            lease("provider:q", 100, 0, Window::TOTAL),
        ]);
        let all = ["agent:a", "provider:p", "provider:q"];
        let hold = ledger.reserve(parts(&all, 10), 0).unwrap().hold;
        let if_lost = hold.charges(6, None);
        assert_eq!(
            if_lost.iter().map(|charge| charge.nanousd).collect::<Vec<_>>(),
            [6, 6, 6]
        );
        let charges = ledger.settle(hold, 6, Some("q"));
        assert_eq!(
            charges.iter().map(|charge| charge.nanousd).collect::<Vec<_>>(),
            [6, 0, 6]
        );
        assert_eq!(ledger.position("provider:p", 0), [(100, 0, 0)]);
        assert_eq!(ledger.position("provider:q", 0), [(100, 6, 0)]);
    }

    #[test]
    fn what_is_not_used_goes_back_and_what_is_held_stays() {
        let ledger = ledger(vec![lease("agent:a", 100, 0, Window::TOTAL)]);
        let spent = ledger.reserve(parts(&["agent:a"], 30), 5).unwrap().hold;
        let _ = ledger.settle(spent, 20, None);
        let hold = ledger.reserve(parts(&["agent:a"], 10), 5).unwrap().hold;
        assert!(ledger.idle_since(5).is_empty());
        assert_eq!(ledger.idle_since(6), [Arc::from("agent:a")]);
        let back = LeaseReturn {
            window_start: 0,
            from_nanousd: 100,
            to_nanousd: 30,
        };
        assert_eq!(ledger.give_back("agent:a"), [back]);
        assert_eq!(ledger.position("agent:a", 6), [(30, 20, 10)]);
        assert!(ledger.give_back("agent:a").is_empty() && ledger.idle_since(6).is_empty());
        assert!(ledger.reserve(parts(&["agent:a"], 1), 6).is_err());
        let _ = ledger.settle(hold, 10, None);
    }

    #[test]
    fn an_expired_lease_is_none_until_it_is_renewed() {
        let expiring = Lease {
            expires_at: Some(50),
            ..lease("agent:a", 100, 0, Window::TOTAL)
        };
        let ledger = ledger(vec![expiring]);
        let hold = ledger.reserve(parts(&["agent:a"], 1), 49).unwrap().hold;
        let refused = ledger.reserve(parts(&["agent:a"], 1), 50).unwrap_err();
        assert!(matches!(refused[..], [Refusal::NoLease { .. }]));
        assert_eq!(ledger.settle(hold, 1, None).len(), 1);
    }

    #[test]
    fn a_level_is_told_once_a_window_counting_what_others_spent() {
        let known = Lease {
            others_settled_nanousd: 70,
            ..lease("agent:a", 30, 5, Window::TOTAL)
        };
        let ledger = ledger(vec![known]);
        assert_eq!(ledger.warn_once("agent:a", 80, 0), None);
        let hold = ledger.reserve(parts(&["agent:a"], 10), 0).unwrap().hold;
        let _ = ledger.settle(hold, 6, None);
        assert_eq!(ledger.warn_once("agent:a", 80, 0), Some(81));
        assert_eq!(ledger.warn_once("agent:a", 80, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn settled_and_held_never_pass_what_is_granted(
            cap in 0_u64..2_000, session_cap in 0_u64..1_000,
            calls in prop::collection::vec((0_u64..200, 0_u64..=100, any::<bool>()), 200),
        ) {
            let ledger = ledger(vec![lease("agent:a", cap, 0, Window::TOTAL), lease("session:s", session_cap, 0, Window::TOTAL)]);
            let settled = std::sync::atomic::AtomicU64::new(0);
            std::thread::scope(|threads| {
                for chunk in calls.chunks(50) {
                    let (ledger, settled) = (&ledger, &settled);
                    threads.spawn(move || {
                        let mut open = Vec::new();
                        for (bound, percent, with_session) in chunk {
                            let of: &[&str] = if *with_session { &["agent:a", "session:s"] } else { &["agent:a"] };
                            if let Ok(reserved) = ledger.reserve(parts(of, *bound), 0) {
                                open.push((reserved.hold, bound * percent / 100));
                            }
                            for scope in ["agent:a", "session:s"] {
                                for (granted, settled, held) in ledger.position(scope, 0) {
                                    assert!(settled + held <= granted);
                                }
                            }
                            if open.len() > 3 {
                                let (hold, cost) = open.remove(0);
                                settled.fetch_add(cost, std::sync::atomic::Ordering::Relaxed);
                                let _ = ledger.settle(hold, cost, Some("p"));
                            }
                        }
                        for (hold, cost) in open {
                            settled.fetch_add(cost, std::sync::atomic::Ordering::Relaxed);
                            let _ = ledger.settle(hold, cost, Some("p"));
                        }
                    });
                }
            });
            let total = settled.into_inner();
            prop_assert!(total <= cap);
            prop_assert_eq!(ledger.position("agent:a", 0), vec![(cap, total, 0)]);
        }
    }

    #[test]
    fn a_whole_limit_is_granted_once_and_follows_the_snapshot_and_the_clock() {
        let (ledger, scope) = (Ledger::default(), Arc::<str>::from("s"));
        let window = |start: i64| Window {
            start,
            end: Some(start + 10),
        };
        let grant = |start: i64, limit: u64| ledger.grant_whole(&scope, (window(start), limit), |_| 5, start);
        let accounts = || ledger.books().get("s").unwrap().accounts.len();
        grant(0, 100);
        let part = Part {
            scope: Arc::clone(&scope),
            nanousd: 10,
            provider: None,
        };
        let hold = ledger.reserve(vec![part], 0).unwrap().hold;
        for limit in [100, 100, 50, 100] {
            grant(0, limit);
            assert_eq!(ledger.position("s", 0), [(limit, 5, 10)]);
        }
        for _ in 0..2 {
            grant(10, 100);
            assert_eq!((ledger.position("s", 10), accounts()), (vec![(100, 5, 0)], 2));
        }
        ledger.settle(hold, 1, None);
        grant(10, 100);
        assert_eq!((ledger.position("s", 10), accounts()), (vec![(100, 5, 0)], 1));
    }
}
