//! Which limits a call falls under, and what they are called in a sentence.

use std::sync::Arc;

use airside_metering::Part;
use airside_snapshot::{Budget, BudgetWindow, OnLimit, Principal, ScopeKind};

use crate::active::Active;

/// Scopes that are known before a provider is.
const OF_THE_CALLER: [ScopeKind; 6] = [
    ScopeKind::Project,
    ScopeKind::Team,
    ScopeKind::User,
    ScopeKind::Agent,
    ScopeKind::Deployment,
    ScopeKind::Session,
];

/// What limits a share.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cap<'a> {
    /// A budget of the snapshot.
    Budget(&'a Budget),
    /// The session's own cap.
    Session(u64),
}

/// One budget that a call is charged to.
#[derive(Debug, Clone)]
pub(crate) struct Share<'a> {
    /// As the ledger spells it.
    pub(crate) scope: Arc<str>,
    pub(crate) kind: ScopeKind,
    pub(crate) id: &'a str,
    pub(crate) cap: Cap<'a>,
}

impl<'a> Share<'a> {
    fn of_budget(kind: ScopeKind, id: &'a str, budget: &'a Budget) -> Self {
        Self {
            scope: scope_name(kind, id, budget.window),
            kind,
            id,
            cap: Cap::Budget(budget),
        }
    }

    /// What it sets aside of a bound.
    pub(crate) fn part(&self, nanousd: u64) -> Part {
        Part {
            scope: Arc::clone(&self.scope),
            nanousd,
            provider: (self.kind == ScopeKind::Provider).then(|| self.id.into()),
        }
    }

    pub(crate) const fn on_limit(&self) -> OnLimit {
        match self.cap {
            Cap::Budget(budget) => budget.on_limit,
            Cap::Session(_) => OnLimit::Park,
        }
    }

    /// The alias that serves instead when there is no room.
    pub(crate) fn downgrade_to(&self) -> Option<&'a str> {
        match self.cap {
            Cap::Budget(budget) if budget.on_limit == OnLimit::Downgrade => budget.downgrade_to.as_deref(),
            _ => None,
        }
    }

    /// Whose budget it is, and how much, in words.
    pub(crate) fn in_words(&self, principal: &Principal) -> String {
        let (limit, per) = match self.cap {
            Cap::Budget(budget) => (budget.limit_nanousd, per(budget.window)),
            Cap::Session(limit) => (limit, per(BudgetWindow::Total)),
        };
        format!("{}, {} {per}", whose(self.kind, self.id, principal), dollars(limit))
    }
}

/// As charges and leases spell it: kind and id, and the window unless it is the total.
pub(crate) fn scope_name(kind: ScopeKind, id: &str, window: BudgetWindow) -> Arc<str> {
    match window {
        BudgetWindow::Total => [kind.name(), ":", id].concat().into(),
        window => [kind.name(), ":", id, "/", window.name()].concat().into(),
    }
}

/// The kinds and ids that a call of this alias belongs to, whoever serves it.
pub(crate) fn scopes_of<'a>(principal: &'a Principal, alias: &'a str) -> impl Iterator<Item = (ScopeKind, &'a str)> {
    let own = OF_THE_CALLER
        .into_iter()
        .filter_map(|kind| Some((kind, principal.scope_id(kind)?)));
    own.chain([(ScopeKind::Model, alias)])
}

/// The budgets that a call is charged to whoever serves it.
pub(crate) fn shares_of<'a>(active: &'a Active, principal: &'a Principal, alias: &'a str) -> Vec<Share<'a>> {
    let mut shares = Vec::with_capacity(OF_THE_CALLER.len());
    if !active.compiled.snapshot.budgets.is_empty() {
        for (kind, id) in scopes_of(principal, alias) {
            let budgets = active.compiled.budgets_of(kind, id);
            shares.extend(budgets.map(|budget| Share::of_budget(kind, id, budget)));
        }
    }
    if let (Some(id), Some(limit)) = (&principal.session_id, principal.session_budget_nanousd) {
        let scope = scope_name(ScopeKind::Session, id, BudgetWindow::Total);
        // The session's own cap is the lower of the two already: both would be the same account.
        shares.retain(|share| share.scope != scope);
        shares.push(Share {
            scope,
            kind: ScopeKind::Session,
            id,
            cap: Cap::Session(limit),
        });
    }
    shares
}

/// The budgets of one provider.
pub(crate) fn shares_of_provider<'a>(active: &'a Active, provider: &'a str) -> impl Iterator<Item = Share<'a>> {
    let budgets = active.compiled.budgets_of(ScopeKind::Provider, provider);
    budgets.map(move |budget| Share::of_budget(ScopeKind::Provider, provider, budget))
}

/// A scope in words.
pub(crate) fn whose(kind: ScopeKind, id: &str, principal: &Principal) -> String {
    match kind {
        ScopeKind::Project => "this project".to_owned(),
        ScopeKind::Session => "this session".to_owned(),
        ScopeKind::Agent => format!("agent '{}'", principal.agent_name.as_deref().unwrap_or(id)),
        kind => format!("{} '{id}'", kind.name()),
    }
}

/// A window in words.
pub(crate) const fn per(window: BudgetWindow) -> &'static str {
    match window {
        BudgetWindow::Minute => "per minute",
        BudgetWindow::Hour => "per hour",
        BudgetWindow::Day => "per day",
        BudgetWindow::Week => "per week",
        BudgetWindow::Month => "per month",
        BudgetWindow::Total => "in all",
    }
}

/// Nano-dollars for people: cents, and more digits only where there are any.
pub(crate) fn dollars(nanousd: u64) -> String {
    let (whole, part) = (nanousd / 1_000_000_000, nanousd % 1_000_000_000);
    let digits = format!("{part:09}");
    let digits = digits.trim_end_matches('0');
    format!("${whole}.{digits:0<2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_for_people() {
        assert_eq!(dollars(5_000_000_000), "$5.00");
        assert_eq!(dollars(1_230_000_000), "$1.23");
        assert_eq!(dollars(1_234), "$0.000001234");
        assert_eq!(dollars(0), "$0.00");
    }

    #[test]
    fn a_scope_names_its_window_unless_it_is_the_total() {
        assert_eq!(&*scope_name(ScopeKind::Team, "x", BudgetWindow::Day), "team:x/day");
        assert_eq!(&*scope_name(ScopeKind::Session, "s", BudgetWindow::Total), "session:s");
    }
}
