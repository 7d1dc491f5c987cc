//! What a call knows of its session when it begins, and what it leaves there for the next one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use airside_journal::{AttemptOutcome, Outcome};
use airside_protocols::TokenUsage;
use airside_providers::{Failure, Kind, Retry};
use airside_routing::{AnswerNote, Place, RetryAllowance, SessionKey, SessionView};
use airside_snapshot::{Limits, Model, Price, Principal};

use super::settle::Call;

/// The thread of a session that a call belongs to.
#[derive(Debug, Default)]
pub(crate) struct Thread {
    /// Which one, where that can be told.
    pub(crate) key: Option<SessionKey>,
    /// What was known of it when the call came.
    pub(crate) view: SessionView,
    /// What tokens cost where its cache is.
    warm_price: Option<Arc<Price>>,
    /// Requests of this call so far.
    asked: u64,
    /// Should the provider find the input too long, another one is left that may take more.
    pub(crate) has_wider: bool,
}

impl Call {
    /// Look up which thread this call belongs to, and what is remembered of it.
    pub(crate) fn joins(&mut self, principal: &Principal, model: &Model) {
        let caller = &self.record.caller;
        let (named, subagent) = (caller.harness_session.as_deref(), caller.subagent.as_deref());
        let Some(key) = SessionKey::of(principal, &model.name, named, subagent) else {
            return;
        };
        let view = self.gateway.sessions.view(&key, Instant::now());
        let warm_price = view.place.as_ref().and_then(|place| {
            let mut targets = model.targets();
            let target = targets.find(|target| *target.provider == *place.provider && *target.model == *place.model);
            target.and_then(|target| target.price.clone())
        });
        self.thread = Thread {
            key: Some(key),
            view,
            warm_price,
            asked: 0,
            has_wider: false,
        };
    }

    /// True if one more request may be made for this call. The first one is free, the others are the session's to give.
    pub(crate) fn may_ask(&mut self, limits: &Limits) -> bool {
        self.thread.asked += 1;
        if self.thread.asked == 1 {
            return true;
        }
        let allowance = RetryAllowance {
            retries: limits.session_retries,
            window: Duration::from_millis(limits.retry_window_ms),
        };
        let sessions = &self.gateway.sessions;
        let key = self.thread.key.as_ref();
        key.is_none_or(|key| sessions.spend_retry(key, allowance, Instant::now()))
    }

    /// Remember for the session's next call where this one was answered, and what it cost to move.
    pub(crate) fn note_answer(&mut self, usage: TokenUsage, price: &Price, now: Instant) {
        let (Some(provider), Some(model)) = (self.record.provider.clone(), self.record.provider_model.clone()) else {
            return;
        };
        if let Some(after) = self.time_to_content() {
            self.gateway.speeds.note_answered(&provider, &model, after, now);
        }
        let Some(session) = &self.thread.key else { return };
        let place = Place {
            provider,
            model,
            family: self.family,
            key: self.key,
        };
        let view = &self.thread.view;
        if view.cached_tokens > 0 && view.place.as_ref().is_some_and(|before| *before != place) {
            let price = self.thread.warm_price.as_deref().unwrap_or(price);
            self.record.cache_break_nanousd = Some(view.cache_break_nanousd(price));
        }
        let note = AnswerNote {
            place,
            usage,
            issued_thinking: usage.output > 0,
        };
        self.gateway.sessions.note_answer(session, note, now);
    }

    /// From the request that was answered to its first content.
    fn time_to_content(&self) -> Option<Duration> {
        let first_us = self.record.timings.first_byte_us?;
        let started_us = self.record.attempts.last()?.started_us;
        Some(Duration::from_micros(first_us.checked_sub(started_us)?))
    }

    /// False when this candidate is better left to another call, which finds out whether it is back.
    pub(crate) fn may_begin(&self, provider: &str, key: usize) -> bool {
        self.record.shadow || self.gateway.health.begin(provider, key, Instant::now())
    }

    /// An attempt failed: tell the health of who was asked.
    pub(crate) fn note_setback(&self, provider: &Arc<str>, failure: &Failure) {
        if self.record.shadow {
            return;
        }
        let wait = match failure.retry {
            Retry::SameTarget { after } => Some(after),
            _ => None,
        };
        self.gateway
            .health
            .note_failure(provider, self.key, failure.kind, wait, Instant::now());
    }

    /// The call is over: what does that say of who was asked last?
    pub(crate) fn note_end(&self, outcome: Outcome) {
        let Some(attempt) = self.record.attempts.last().filter(|_| !self.record.shadow) else {
            return;
        };
        match (outcome, attempt.outcome) {
            (Outcome::Cut, _) => self.note_setback(&attempt.provider, &Failure::at_provider(Kind::Cut)),
            (_, AttemptOutcome::Cancelled) if self.record.provider.is_none() => {
                self.gateway
                    .health
                    .note_nothing(&attempt.provider, self.key, Instant::now());
            }
            _ => {}
        }
    }
}
