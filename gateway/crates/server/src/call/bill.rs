//! What a call cost: the tokens that count, their price, and what was held for it turned into that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use airside_journal::{AttemptOutcome, Outcome, UsageSource};
use airside_metering::{cost_of, estimate_input, estimate_output, input_bound, output_bound, unseen_input};
use airside_protocols::{Consumption, Family, FrontDoor, ServiceTier, TokenUsage, Wishes};
use airside_routing::Candidate;
use airside_snapshot::Price;
use serde_json::json;

use super::ask::Question;
use super::settle::Call;

/// Tokens that the bytes of a call do not show to whoever has to guess them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Unseen {
    /// What the request only points to.
    input: u64,
    /// What a whole answer may have been, if the model thought in secret and nobody counts it.
    output: u64,
}

impl Unseen {
    /// The most it can be at this candidate.
    pub(super) fn of(question: &Question, candidate: &Candidate<'_>) -> Self {
        let (fields, target) = (&question.fields, candidate.target);
        let input = unseen_input(fields);
        let is_uncounted = question.door == FrontDoor::Chat
            && candidate.family == Family::OpenaiChat
            && fields.stream
            && !fields.includes_usage;
        let thinks = || Wishes::of(&question.body, &fields.wished, Family::OpenaiChat).thinking;
        Self {
            input: if input == 0 {
                0
            } else {
                input.min(input_bound(0, fields, target))
            },
            output: if is_uncounted && thinks() {
                output_bound(fields, target)
            } else {
                0
            },
        }
    }
}

impl Call {
    /// What the answer costs by what was counted so far; `None` where no provider has the call or nothing is billed.
    pub(crate) fn cost_so_far(&self) -> Option<u64> {
        let price = self.price.as_ref().filter(|_| self.door.is_billed())?;
        Some(cost_of(price, &self.consumed(self.counted().0)))
    }

    /// Turn the hold into the true cost.
    pub(super) fn bill(&mut self, outcome: Outcome, now: Instant) {
        let owes = matches!(outcome, Outcome::Completed | Outcome::Cut | Outcome::Cancelled) && self.door.is_billed();
        let price = self.price.take().filter(|_| owes);
        if let Some(price) = price {
            let (usage, source) = self.counted();
            self.record.usage = usage;
            self.record.usage_source = source;
            self.record.cost_nanousd = self.priced(&price, usage);
            self.note_answer(usage, &price, now);
        }
        let hold = std::mem::take(&mut self.hold);
        if hold.nanousd() > 0 && self.record.cost_nanousd > hold.nanousd() {
            self.gateway.metrics.holds_exceeded.fetch_add(1, Ordering::Relaxed);
            let fields = json!({"call_id": self.record.call_id, "hold_nanousd": hold.nanousd(),
                                "cost_nanousd": self.record.cost_nanousd});
            self.gateway.log.warn("hold_exceeded", fields);
        }
        self.gateway
            .metrics
            .held_nanousd
            .fetch_sub(hold.nanousd(), Ordering::Relaxed);
        let answered_by = self.answered_by();
        let cost_nanousd = self.record.cost_nanousd;
        self.record.charges = self.gateway.ledger.settle(hold, cost_nanousd, answered_by.as_deref());
        let tokens = self.record.usage.total_input().saturating_add(self.record.usage.output);
        let pass = std::mem::take(&mut self.pass);
        self.gateway.rates.settle(pass, tokens, answered_by.as_deref());
        self.remember_size();
    }

    /// Whose answer is billed: of the provider that gave it, or that had the request when the caller left.
    fn answered_by(&self) -> Option<Arc<str>> {
        let asked = self.record.attempts.last();
        let asked = asked.filter(|attempt| attempt.outcome != AttemptOutcome::Skipped);
        let provider = self.record.provider.as_ref();
        provider
            .or_else(|| asked.map(|attempt| &attempt.provider))
            .map(Arc::clone)
    }

    /// Remember how many tokens the request was, so that the next one of its conversation needs no guess.
    fn remember_size(&mut self) {
        let Some(print) = self.fingerprint.take() else { return };
        let is_counted = self.is_answer_whole && self.record.usage_source == UsageSource::Provider;
        let place = self
            .thread
            .key
            .as_ref()
            .zip(self.record.provider.as_ref().zip(self.record.provider_model.as_ref()));
        if let (true, Some((session, (provider, model)))) = (is_counted, place) {
            let known = &self.gateway.known;
            let key = known.key(&(session, &**provider, &**model));
            known.remember(key, &print, self.record.usage.total_input());
        }
    }

    /// What these tokens and the provider's own tools cost, as the service tier that answered.
    fn priced(&mut self, price: &Price, usage: TokenUsage) -> u64 {
        let (consumed, fees) = (self.consumed(usage), price.tool_fees);
        if consumed.service_tier != ServiceTier::Standard {
            self.record.service_tier = Some(consumed.service_tier.name().to_owned());
        }
        for (tool, uses, fee) in [
            ("web_search", consumed.tool_uses.web_searches, fees.web_search),
            ("file_search", consumed.tool_uses.file_searches, fees.file_search),
        ] {
            if uses > 0 {
                self.record
                    .note_server_tool(tool, uses, uses.saturating_mul(fee).div_ceil(1_000));
            }
        }
        cost_of(price, &consumed)
    }

    fn consumed(&self, usage: TokenUsage) -> Consumption {
        Consumption {
            usage,
            tool_uses: self.usage.tool_uses(),
            service_tier: self.usage.service_tier().unwrap_or(self.asked_tier),
        }
    }

    /// The provider's count where it is whole; else the more of what it said and what was seen.
    fn counted(&self) -> (TokenUsage, UsageSource) {
        let seen_output = estimate_output(self.content_bytes);
        match self.usage.usage().filter(|usage| !usage.is_empty()) {
            Some(usage) if self.is_answer_whole => (usage, UsageSource::Provider),
            Some(usage) => (
                TokenUsage {
                    output: usage.output.max(seen_output),
                    ..usage
                },
                UsageSource::Estimated,
            ),
            None => {
                let input_uncached = estimate_input(self.record.bytes_in).max(self.unseen.input);
                let unseen_output = if self.is_answer_whole { self.unseen.output } else { 0 };
                (
                    TokenUsage {
                        input_uncached,
                        output: seen_output.max(unseen_output),
                        ..TokenUsage::default()
                    },
                    UsageSource::Estimated,
                )
            }
        }
    }
}
