//! A place under every rate limit that a call falls under, and the words for one that came too fast.

use std::time::Duration;

use airside_metering::{Limited, RateAsk, RateKind, RatePass, RateState, estimate_input};
use airside_protocols::Family;
use airside_routing::{Plan, Skip, Skipped};
use airside_snapshot::{Moment, RateLimit, ScopeKind};
use http::header::{HeaderName, HeaderValue};

use super::admit::Applicant;
use super::shares::{per, scope_name, scopes_of, whose};
use crate::active::Active;
use crate::gateway::Gateway;
use crate::reply::Refusal;

/// Most of an answer that is counted before it is there.
const MOST_OUTPUT_AHEAD: u64 = 1_000;

/// One limit, and what it is on.
struct Ruled<'a> {
    kind: ScopeKind,
    id: &'a str,
    limit: &'a RateLimit,
}

impl<'a> Ruled<'a> {
    fn ask(&self) -> RateAsk<'a> {
        RateAsk {
            scope: scope_name(self.kind, self.id, self.limit.window),
            limit: self.limit,
            provider: (self.kind == ScopeKind::Provider).then(|| self.id.into()),
        }
    }
}

/// Take the call's place under all its limits at once. Candidates whose provider is called as fast as it may be leave
/// the plan while others are left.
///
/// # Errors
/// 429 with the time to wait, in the words of the caller's dialect.
pub(crate) fn pass(
    gateway: &Gateway,
    applicant: Applicant<'_>,
    plan: &mut Plan<'_>,
    family: Family,
) -> Result<RatePass, Refusal> {
    let active = applicant.active;
    if active.compiled.snapshot.rate_limits.is_empty() {
        return Ok(RatePass::default());
    }
    let output = applicant.fields.output_limit.unwrap_or(0).min(MOST_OUTPUT_AHEAD);
    let tokens = estimate_input(applicant.body.len() as u64).saturating_add(output);
    loop {
        let limits = limits_of(active, applicant, plan);
        let asks: Vec<RateAsk<'_>> = limits.iter().map(Ruled::ask).collect();
        let limited = match gateway.rates.admit(&asks, tokens) {
            Ok(pass) => return Ok(pass),
            Err(limited) => limited,
        };
        let Some(limit) = limits.get(limited.at) else {
            return Ok(RatePass::default());
        };
        if !make_do(plan, limit) {
            let whose = whose(limit.kind, limit.id, applicant.principal);
            return Err(refusal(gateway, limit.limit, &limited, &whose, family));
        }
    }
}

fn limits_of<'a>(active: &'a Active, applicant: Applicant<'a>, plan: &Plan<'a>) -> Vec<Ruled<'a>> {
    let providers = plan.candidates.iter().map(|one| one.target.provider.as_str());
    let mut scopes: Vec<(ScopeKind, &str)> = scopes_of(applicant.principal, applicant.alias).collect();
    for provider in providers.map(|provider| (ScopeKind::Provider, provider)) {
        if !scopes.contains(&provider) {
            scopes.push(provider);
        }
    }
    let limits = scopes.into_iter().flat_map(|(kind, id)| {
        let found = active.compiled.rate_limits_of(kind, id);
        found.map(move |limit| Ruled { kind, id, limit })
    });
    limits.collect()
}

/// Go on without a provider that is called too fast. False if no other is left.
fn make_do(plan: &mut Plan<'_>, ruled: &Ruled<'_>) -> bool {
    let is_of_it = |provider: &str| ruled.kind == ScopeKind::Provider && provider == ruled.id;
    let of_it = plan.candidates.iter().filter(|one| is_of_it(&one.target.provider));
    let of_it: Vec<Skipped<'_>> = of_it
        .map(|one| Skipped {
            target: one.target,
            skip: Skip::RateLimit,
        })
        .collect();
    if of_it.is_empty() || of_it.len() == plan.candidates.len() {
        return false;
    }
    plan.candidates.retain(|one| !is_of_it(&one.target.provider));
    plan.skipped.extend(of_it);
    true
}

fn refusal(gateway: &Gateway, limit: &RateLimit, limited: &Limited, whose: &str, family: Family) -> Refusal {
    let (number, what) = match limited.kind {
        RateKind::Requests => (limit.requests, "calls"),
        RateKind::Tokens => (limit.tokens, "tokens"),
        RateKind::Concurrent => (limit.concurrent, "calls at once"),
    };
    let per = match limited.kind {
        RateKind::Concurrent => String::new(),
        _ => format!(" {}", per(limit.window)),
    };
    let message = format!(
        "The rate limit of {whose} is reached: {} {what}{per}.",
        number.unwrap_or(0)
    );
    let wait = Duration::from_micros(limited.wait_us);
    let mut refusal = Refusal::new(429, "rate_limited", message).retry_after(wait);
    let now = gateway.clock.now();
    for (what, state) in [("requests", limited.requests), ("tokens", limited.tokens)] {
        let Some(state) = state else { continue };
        refusal.headers.extend(state_headers(family, what, state, now));
    }
    refusal
}

/// How a counter stands, in the vendor's own headers. Gemini has none.
fn state_headers(family: Family, what: &str, state: RateState, now: Moment) -> Vec<(HeaderName, HeaderValue)> {
    let named = match family {
        Family::Anthropic => {
            let full_at = now
                .seconds()
                .saturating_add_unsigned(state.full_in_us.div_ceil(1_000_000));
            let name = |part: &str| format!("anthropic-ratelimit-{what}-{part}");
            [
                (name("limit"), state.limit.to_string()),
                (name("remaining"), state.remaining.to_string()),
                (name("reset"), Moment::from_seconds(full_at).to_string()),
            ]
        }
        Family::OpenaiResponses | Family::OpenaiChat => {
            let name = |part: &str| format!("x-ratelimit-{part}-{what}");
            [
                (name("limit"), state.limit.to_string()),
                (name("remaining"), state.remaining.to_string()),
                (name("reset"), format!("{}ms", state.full_in_us.div_ceil(1_000))),
            ]
        }
        Family::Gemini => return Vec::new(),
    };
    let header = |(name, value): (String, String)| {
        Some((
            HeaderName::from_bytes(name.as_bytes()).ok()?,
            HeaderValue::from_str(&value).ok()?,
        ))
    };
    named.into_iter().filter_map(header).collect()
}
