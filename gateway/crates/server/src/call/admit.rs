//! Room in every budget, before the first byte leaves.

use std::sync::Arc;
use std::time::Duration;

use airside_metering::{CallBound, Fingerprint, Hold, Refusal as NoRoom};
use airside_protocols::RequestFields;
use airside_routing::{Candidate, Plan, SessionKey, Skip, Skipped};
use airside_snapshot::{OnLimit, Principal, ScopeKind};
use futures_util::future::join_all;

use super::shares::{Cap, Share, dollars, shares_of, shares_of_provider};
use crate::active::Active;
use crate::control::Asked;
use crate::gateway::Gateway;
use crate::reply::Refusal;

/// How often a call asks for leases: once for each, once for more, and again where another call was quicker.
const MOST_ASKS: usize = 8;
/// A request smaller than this is bounded well enough by its bytes.
const LEAST_KNOWN_BYTES: usize = 16 << 10;
/// A conversation is remembered once a call of it may need more than this part of what is left.
const NEAR_THE_LIMIT: u64 = 8;

/// A call that asks to be let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applicant<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) active: &'a Active,
    /// The alias whose route it takes.
    pub(crate) alias: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) fields: &'a RequestFields,
    pub(crate) session: Option<&'a SessionKey>,
    /// When it asks.
    pub(crate) now_s: i64,
}

/// What a call was given.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) hold: Hold,
    pub(crate) bound: CallBound,
    /// To be remembered once it is known how many tokens the request was.
    pub(crate) fingerprint: Option<Fingerprint>,
    /// Budgets of which little is left, in words.
    pub(crate) warnings: Vec<String>,
}

/// Why a call was not let in.
#[derive(Debug)]
pub(crate) enum NotAdmitted {
    /// 402 when a budget cannot cover it, 503 when no lease could be had.
    Refused(Refusal),
    /// A budget cannot cover it and says which alias to try instead.
    Downgrade { to: String, because: String },
}

/// Set the worst case aside in all the budgets that the call falls under, in one step, asking for leases as needed.
/// Candidates that their provider's budget cannot cover, and later ones that are dearer than there is room for, leave
/// the plan.
pub(crate) async fn reserve(
    gateway: &Gateway,
    applicant: Applicant<'_>,
    plan: &mut Plan<'_>,
) -> Result<Admitted, NotAdmitted> {
    let mut room = Room::new(gateway, applicant);
    let (mut asks, mut now_s) = (0, applicant.now_s);
    loop {
        let bound = room.bound(&plan.candidates);
        let shares = room.shares(plan, bound);
        let parts = shares.iter().map(|(share, nanousd)| share.part(*nanousd)).collect();
        gateway
            .desk
            .grant_own(&gateway.ledger, shares.iter().map(|(share, _)| share), now_s);
        let no_room = match gateway.ledger.reserve(parts, now_s) {
            Ok(reserved) => {
                for scope in &reserved.running_dry {
                    gateway.desk.renew_ahead(scope);
                }
                let is_near = bound.total_nanousd > reserved.least_left_nanousd / NEAR_THE_LIMIT;
                return Ok(Admitted {
                    hold: reserved.hold,
                    bound,
                    fingerprint: if is_near { room.take_fingerprint() } else { None },
                    warnings: warnings(gateway, applicant.principal, &shares, now_s),
                });
            }
            Err(no_room) => no_room,
        };
        if room.look_closer(&no_room) {
            continue;
        }
        let answers = join_all(no_room.iter().map(|refusal| ask(gateway, refusal, bound.total_nanousd))).await;
        let mut refused = None;
        for (refusal, asked) in no_room.iter().zip(answers) {
            match asked {
                Asked::Granted => {}
                Asked::NoBudget => room.unlimited.push(Arc::clone(refusal.scope())),
                Asked::InVain | Asked::Unreachable => {
                    refused = refused.or(Some((refusal, asked == Asked::InVain)));
                }
            }
        }
        // Leases may have been waited for.
        (asks, now_s) = (asks + 1, gateway.now_s());
        let Some((refusal, is_final)) = refused else {
            if asks > MOST_ASKS {
                return Err(NotAdmitted::Refused(unavailable()));
            }
            continue;
        };
        let share = shares.iter().find(|(share, _)| share.scope == *refusal.scope());
        let Some((share, amount)) = share else {
            return Err(NotAdmitted::Refused(unavailable()));
        };
        if !room.make_do(plan, share) {
            return Err(room.refusal(refusal, share, *amount, is_final));
        }
    }
}

async fn ask(gateway: &Gateway, refusal: &NoRoom, amount: u64) -> Asked {
    match refusal {
        NoRoom::NoLease { scope } => gateway.desk.ask(scope, amount, false).await,
        NoRoom::TooLittle {
            scope,
            missing_nanousd,
            exhausted,
            ..
        } => gateway.desk.ask(scope, *missing_nanousd, *exhausted).await,
    }
}

/// A call on its way into its budgets.
struct Room<'a> {
    gateway: &'a Gateway,
    applicant: Applicant<'a>,
    /// The budgets it falls under whoever serves it.
    fixed: Vec<Share<'a>>,
    /// Scopes whose budget was lifted meanwhile.
    unlimited: Vec<Arc<str>>,
    fingerprint: Option<Fingerprint>,
    /// What is known of the conversation counts, not only the bytes.
    is_close: bool,
}

impl<'a> Room<'a> {
    fn new(gateway: &'a Gateway, applicant: Applicant<'a>) -> Self {
        Self {
            gateway,
            applicant,
            fixed: shares_of(applicant.active, applicant.principal, applicant.alias),
            unlimited: Vec::new(),
            fingerprint: None,
            is_close: false,
        }
    }

    /// Every budget that the call falls under with these candidates, of which this is the bound, and what it sets
    /// aside there.
    fn shares(&self, plan: &Plan<'a>, bound: CallBound) -> Vec<(Share<'a>, u64)> {
        let of_all = |share: &Share<'a>| (share.clone(), bound.total_nanousd);
        let mut shares: Vec<(Share<'a>, u64)> = self.fixed.iter().map(of_all).collect();
        for (at, candidate) in plan.candidates.iter().enumerate() {
            let provider = candidate.target.provider.as_str();
            let is_of_it = |other: &&Candidate<'_>| other.target.provider == provider;
            if plan.candidates.iter().take(at).any(|earlier| is_of_it(&earlier)) {
                continue;
            }
            let of_provider: Vec<Share<'a>> = shares_of_provider(self.applicant.active, provider).collect();
            if of_provider.is_empty() {
                continue;
            }
            let own = plan.candidates.iter().filter(is_of_it);
            let own_total = own.map(|other| self.bound_of(other).total_nanousd).max().unwrap_or(0);
            shares.extend(of_provider.into_iter().map(|share| (share, own_total)));
        }
        shares.retain(|(share, _)| !self.unlimited.contains(&share.scope));
        shares
    }

    /// The worst the call can cost at any of these.
    fn bound(&self, candidates: &[Candidate<'_>]) -> CallBound {
        let bounds = candidates.iter().map(|candidate| self.bound_of(candidate));
        bounds.fold(CallBound::default(), CallBound::or_dearer)
    }

    fn bound_of(&self, candidate: &Candidate<'_>) -> CallBound {
        let bytes = self.applicant.body.len() as u64;
        let known = self.fingerprint.as_ref().filter(|_| self.is_close).and_then(|print| {
            let target = candidate.target;
            let place = (self.applicant.session?, target.provider.as_str(), target.model.as_str());
            self.gateway.known.bound(self.gateway.known.key(&place), print)
        });
        let text_tokens = known.map_or(bytes, |known| known.min(bytes));
        CallBound::of(text_tokens, self.applicant.fields, candidate.target, candidate.price)
    }

    /// Count what is known of the conversation, if that was not done yet. False if there is nothing to be gained.
    fn look_closer(&mut self, no_room: &[NoRoom]) -> bool {
        let is_too_little = no_room
            .iter()
            .any(|refusal| matches!(refusal, NoRoom::TooLittle { .. }));
        if self.is_close || !is_too_little {
            return false;
        }
        self.is_close = true;
        self.fingerprint = self.take_fingerprint();
        self.fingerprint.is_some()
    }

    fn take_fingerprint(&mut self) -> Option<Fingerprint> {
        let Applicant {
            body, fields, session, ..
        } = self.applicant;
        // What the provider keeps or fetches by itself is not in the body, and so never known by it.
        let is_all_there = !fields.continues_stored_state && fields.server_tools == 0;
        if session.is_none() || !is_all_there || body.len() < LEAST_KNOWN_BYTES {
            return None;
        }
        let known = &self.gateway.known;
        Some(self.fingerprint.take().unwrap_or_else(|| known.fingerprint(body)))
    }

    /// Go on without what there is no room for: the candidates of a provider whose budget is spent, or a later one that
    /// is dearer than the first. False if nothing would be left of what the route wants.
    fn make_do(&self, plan: &mut Plan<'_>, share: &Share<'_>) -> bool {
        let dropped: Vec<usize> = if share.kind == ScopeKind::Provider {
            let of_it = plan.candidates.iter().enumerate();
            of_it
                .filter(|(_, candidate)| candidate.target.provider == share.id)
                .map(|(at, _)| at)
                .collect()
        } else {
            let bounds: Vec<u64> = plan
                .candidates
                .iter()
                .map(|one| self.bound_of(one).total_nanousd)
                .collect();
            let first = bounds.first().copied().unwrap_or(0);
            let dearest = bounds.iter().enumerate().max_by_key(|(_, bound)| **bound);
            dearest
                .filter(|(_, bound)| **bound > first)
                .map(|(at, _)| at)
                .into_iter()
                .collect()
        };
        if dropped.is_empty() || dropped.len() == plan.candidates.len() {
            return false;
        }
        for at in dropped.into_iter().rev() {
            let candidate = plan.candidates.remove(at);
            plan.skipped.push(Skipped {
                target: candidate.target,
                skip: Skip::Budget,
            });
        }
        true
    }

    fn refusal(&self, no_room: &NoRoom, share: &Share<'_>, amount: u64, is_final: bool) -> NotAdmitted {
        let NoRoom::TooLittle { left_nanousd, .. } = no_room else {
            return NotAdmitted::Refused(unavailable());
        };
        let principal = self.applicant.principal;
        let budget = share.in_words(principal);
        if let Some(to) = share.downgrade_to().filter(|to| *to != self.applicant.alias) {
            return NotAdmitted::Downgrade {
                to: to.to_owned(),
                because: budget,
            };
        }
        let why = if is_final {
            ""
        } else {
            " More could not be asked for: the control plane is away."
        };
        let then = match (share.on_limit(), &principal.session_id) {
            (OnLimit::Park, Some(_)) => " The session is parked until its budget allows it again.",
            _ => "",
        };
        let message = format!(
            "The budget of {budget}, cannot cover this call: it may cost up to {}, and {} is left here.{why}{then}",
            dollars(amount),
            dollars(*left_nanousd)
        );
        NotAdmitted::Refused(Refusal::new(402, "budget_exceeded", message))
    }
}

fn unavailable() -> Refusal {
    let message = "The budget of this call could not be reserved: the control plane gave no lease in time.";
    Refusal::new(503, "lease_unavailable", message).retry_after(Duration::from_secs(2))
}

/// The budgets that have passed their warning level, each once a window.
fn warnings(gateway: &Gateway, principal: &Principal, shares: &[(Share<'_>, u64)], now_s: i64) -> Vec<String> {
    let mut warnings = Vec::new();
    for (share, _) in shares {
        let Cap::Budget(budget) = share.cap else { continue };
        let Some(level) = budget.warn_at_nanousd else { continue };
        if let Some(spent) = gateway.ledger.warn_once(&share.scope, level, now_s) {
            warnings.push(format!("{} spent of {}", dollars(spent), share.in_words(principal)));
        }
    }
    warnings
}
