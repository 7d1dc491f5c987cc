//! Room in every budget, before the first byte leaves.

use std::sync::Arc;
use std::time::Duration;

use airside_metering::{CallBound, Hold, Refusal as NoRoom};
use airside_protocols::RequestFields;
use airside_routing::Plan;
use airside_snapshot::{Budget, BudgetWindow, OnLimit, Principal};

use crate::active::Active;
use crate::control::Asked;
use crate::gateway::Gateway;
use crate::reply::Refusal;

/// A scope may be asked for twice in one call: once for a lease, once for more of it.
const MOST_ASKS: usize = 4;

/// The worst a call can cost at any of its candidates.
pub(crate) fn bound_of(plan: &Plan<'_>, body_bytes: u64, fields: &RequestFields) -> CallBound {
    let bounds = plan.candidates.iter();
    let bounds = bounds.map(|candidate| CallBound::of(body_bytes, fields, candidate.target, candidate.price));
    bounds.fold(CallBound::default(), CallBound::or_dearer)
}

/// The scopes a call is charged to.
fn scopes_of(principal: &Principal, active: &Active) -> Vec<Arc<str>> {
    let mut scopes = Vec::with_capacity(2);
    if let Some(agent) = &principal.agent_id
        && active.compiled.agent_budgets(agent).next().is_some()
    {
        scopes.push(format!("agent:{agent}").into());
    }
    if let (Some(session), Some(_)) = (&principal.session_id, principal.session_budget_nanousd) {
        scopes.push(format!("session:{session}").into());
    }
    scopes
}

/// Set the bound aside in all the caller's budgets, asking for leases as needed.
///
/// # Errors
/// 402 when a budget cannot cover it; 503 when no lease could be had.
pub(crate) async fn reserve(
    gateway: &Gateway,
    principal: &Principal,
    active: &Active,
    bound: &CallBound,
) -> Result<Hold, Refusal> {
    let mut scopes = scopes_of(principal, active);
    let amount = bound.total_nanousd;
    for _ in 0..MOST_ASKS {
        gateway
            .desk
            .grant_own(&gateway.ledger, principal, active, &scopes, gateway.now_s());
        let no_room = match gateway.ledger.reserve(&scopes, amount, gateway.now_s()) {
            Ok(reserved) => {
                for scope in &reserved.running_dry {
                    gateway.desk.renew_ahead(scope);
                }
                return Ok(reserved.hold);
            }
            Err(no_room) => no_room,
        };
        let (scope, need, exhausted) = match &no_room {
            NoRoom::NoLease { scope } => (Arc::clone(scope), amount, false),
            NoRoom::TooLittle {
                scope,
                missing_nanousd,
                exhausted,
                ..
            } => (Arc::clone(scope), *missing_nanousd, *exhausted),
        };
        match gateway.desk.ask(&scope, need, exhausted).await {
            Asked::Granted => {}
            Asked::NoBudget => scopes.retain(|kept| *kept != scope),
            Asked::InVain => return Err(refusal(&no_room, principal, active, amount, true)),
            Asked::Unreachable => return Err(refusal(&no_room, principal, active, amount, false)),
        }
    }
    Err(unavailable())
}

fn unavailable() -> Refusal {
    let message = "The budget of this call could not be reserved: the control plane gave no lease in time.";
    Refusal::new(503, "lease_unavailable", message).retry_after(Duration::from_secs(2))
}

fn refusal(no_room: &NoRoom, principal: &Principal, active: &Active, amount: u64, is_final: bool) -> Refusal {
    let NoRoom::TooLittle {
        scope, left_nanousd, ..
    } = no_room
    else {
        return unavailable();
    };
    let (whose, on_limit) = described(scope, principal, active);
    let why = if is_final {
        ""
    } else {
        " More could not be asked for: the control plane is away."
    };
    let then = match (on_limit, &principal.session_id) {
        (OnLimit::Park, Some(_)) => " The session is parked until its budget allows it again.",
        _ => "",
    };
    let message = format!(
        "The budget of {whose} cannot cover this call: it may cost up to {}, and {} is left here.{why}{then}",
        dollars(amount),
        dollars(*left_nanousd)
    );
    Refusal::new(402, "budget_exceeded", message)
}

/// Whose budget a scope is, in words, and what happens at its limit.
fn described(scope: &str, principal: &Principal, active: &Active) -> (String, OnLimit) {
    if scope.starts_with("session:") {
        let limit = principal.session_budget_nanousd.unwrap_or(0);
        return (format!("this session, {} in all,", dollars(limit)), OnLimit::Park);
    }
    let id = principal.agent_id.as_deref().unwrap_or_default();
    let name = principal.agent_name.as_deref().unwrap_or(id);
    let budgets: Vec<&Budget> = active.compiled.agent_budgets(id).collect();
    let limits: Vec<String> = budgets.iter().map(|budget| limit_in_words(budget)).collect();
    let on_limit = budgets.first().map_or(OnLimit::Park, |budget| budget.on_limit);
    (format!("agent '{name}', {},", limits.join(" and ")), on_limit)
}

fn limit_in_words(budget: &Budget) -> String {
    let per = match budget.window {
        BudgetWindow::Minute => "per minute",
        BudgetWindow::Hour => "per hour",
        BudgetWindow::Day => "per day",
        BudgetWindow::Week => "per week",
        BudgetWindow::Month => "per month",
        BudgetWindow::Total => "in all",
    };
    format!("{} {per}", dollars(budget.limit_nanousd))
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
}
