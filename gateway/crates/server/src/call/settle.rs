//! One call from its acceptance to its record: what it holds, what it cost, how it ended.
//!
//! A call that is dropped in the middle, because its caller hung up or the gateway stops, settles and records itself:
//! there is no way out of this type that forgets money.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use airside_journal::{Attempt, AttemptOutcome, ModelCall, Outcome, Ticket, Translation, UsageSource};
use airside_metering::{CallBound, Fingerprint, Hold, RatePass};
use airside_protocols::{Family, FrontDoor, ServiceTier, TokenUsage};
use airside_providers::UsageTap;
use airside_routing::{Candidate, Skipped};
use airside_snapshot::{Moment, Price, Principal};
use airside_translation::Loss;
use http::header::HeaderMap;

use super::admit::Admitted;
use super::bill::Unseen;
use super::identity::Claims;
use super::thread::Thread;
use crate::gateway::Gateway;
use crate::metrics::Alias;
use crate::recorder::BodyCopy;
use crate::spans::Trace;

/// One call under way.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) door: FrontDoor,
    /// The dialect of the provider that has the request: the caller's own, unless the call is translated.
    pub(crate) family: Family,
    pub(crate) record: ModelCall,
    pub(crate) usage: UsageTap,
    /// Bytes of the model's own words that went by.
    pub(crate) content_bytes: u64,
    /// The provider said that its answer, and so its count, is whole.
    pub(crate) is_answer_whole: bool,
    /// How the alias it asks for is counted.
    pub(crate) alias: Alias,
    /// Its place in a trace, where spans are wanted.
    pub(crate) trace: Option<Trace>,
    /// What is kept of its bodies, where its project wants them.
    pub(crate) copy: Option<Box<BodyCopy>>,
    /// The caller takes what is known only at the end of a stream.
    pub(crate) takes_trailers: bool,
    /// What it knows of its session.
    pub(crate) thread: Thread,
    /// Which key of the provider has the request.
    pub(crate) key: usize,
    /// Budgets of which little is left, in words.
    pub(crate) budget_warnings: Vec<String>,
    /// Which budget turned it to a cheaper model, in words.
    pub(crate) downgraded_because: Option<String>,
    /// Its place under the rate limits.
    pub(crate) pass: RatePass,
    /// The request, to be remembered with the tokens that its provider counts.
    pub(crate) fingerprint: Option<Fingerprint>,
    started: Instant,
    /// When the clock was last looked at for this call.
    looked: Instant,
    /// By the clock on the wall.
    arrived: Moment,
    pub(super) hold: Hold,
    pub(super) ticket: Option<Ticket>,
    /// Of the target that has the request; `None` while none has it.
    pub(super) price: Option<Arc<Price>>,
    /// What a guess at its tokens has to allow for.
    pub(super) unseen: Unseen,
    /// The service tier that the caller wants.
    pub(crate) wanted_tier: ServiceTier,
    /// The service tier that the target was asked for, until the answer says another.
    pub(crate) asked_tier: ServiceTier,
    waited: Duration,
    is_over: bool,
}

impl Call {
    /// A call that was just accepted.
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        snapshot_version: u64,
        principal: &Principal,
        door: FrontDoor,
        headers: &HeaderMap,
        (started, now): (Instant, Moment),
    ) -> Box<Self> {
        let call_id = gateway.identifiers.new_id("call", now);
        let claims = Claims::of(headers);
        let trace = gateway
            .spans
            .is_on()
            .then(|| Trace::begin(headers, &gateway.identifiers, now));
        let record = ModelCall {
            snapshot_version,
            session_id: principal.session_id.clone(),
            agent_id: principal.agent_id.clone(),
            agent_name: principal.agent_name.clone(),
            agent_version: principal.agent_version,
            deployment_id: principal.deployment_id.clone(),
            key_id: principal.key_id.clone(),
            caller: claims.identity(),
            trace_id: trace
                .as_ref()
                .map(|trace| trace.id.clone())
                .or_else(|| claims.trace_id()),
            ..ModelCall::accepted(call_id, now.to_string(), principal.project.clone(), door.name())
        };
        gateway.in_flight.fetch_add(1, Ordering::Relaxed);
        gateway.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
        Box::new(Self {
            gateway,
            door,
            family: door.family(),
            record,
            usage: UsageTap::default(),
            content_bytes: 0,
            is_answer_whole: false,
            alias: Alias::Other,
            trace,
            copy: None,
            takes_trailers: claims.takes_trailers(),
            thread: Thread::default(),
            key: 0,
            budget_warnings: Vec::new(),
            downgraded_because: None,
            pass: RatePass::default(),
            fingerprint: None,
            started,
            looked: started,
            arrived: now,
            hold: Hold::default(),
            ticket: None,
            price: None,
            unseen: Unseen::default(),
            wanted_tier: ServiceTier::Standard,
            asked_tier: ServiceTier::Standard,
            waited: Duration::ZERO,
            is_over: false,
        })
    }

    /// Microseconds since the call was accepted.
    pub(crate) fn elapsed_us(&mut self) -> u64 {
        self.looked = Instant::now();
        self.us_until(self.looked)
    }

    /// About now, without a look at the clock: what it did itself since it was accepted is left out.
    pub(crate) fn about_now(&self) -> Instant {
        self.started + self.waited
    }

    /// The same by the clock on the wall.
    pub(crate) fn moment(&self) -> Moment {
        let waited = i64::try_from(self.waited.as_micros()).unwrap_or(i64::MAX);
        Moment {
            micros: self.arrived.micros.saturating_add(waited),
        }
    }

    /// The same, until this moment.
    fn us_until(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX)
    }

    /// Microseconds of so many in which the gateway was at work itself.
    pub(crate) fn gateway_us_of(&self, elapsed_us: u64) -> u64 {
        let waited_us = u64::try_from(self.waited.as_micros()).unwrap_or(u64::MAX);
        elapsed_us.saturating_sub(waited_us)
    }

    /// Since this moment the gateway did nothing. Returns the present one.
    pub(crate) fn waited_since(&mut self, moment: Instant) -> Instant {
        let now = Instant::now();
        self.waited_for(now.saturating_duration_since(moment));
        now
    }

    /// Time that went by without the gateway doing anything.
    pub(crate) fn waited_for(&mut self, time: Duration) {
        self.waited += time;
    }

    /// Enter whether a stream is asked for.
    pub(crate) fn streams(&mut self, is_stream: bool) {
        self.record.stream = is_stream;
        self.gateway
            .metrics
            .streams_in_flight
            .fetch_add(u64::from(is_stream), Ordering::Relaxed);
    }

    /// Enter what was reserved, and when.
    pub(crate) fn admitted(&mut self, admitted: Admitted, now_us: u64) {
        self.record.hold_nanousd = admitted.hold.nanousd();
        self.gateway
            .metrics
            .held_nanousd
            .fetch_add(admitted.hold.nanousd(), Ordering::Relaxed);
        self.hold = admitted.hold;
        self.fingerprint = admitted.fingerprint;
        self.budget_warnings = admitted.warnings;
        self.record.timings.admitted_us = now_us;
    }

    /// A budget turned the call to a cheaper alias.
    pub(crate) fn downgraded(&mut self, to: &str, because: String) {
        self.record.downgraded_to = Some(to.to_owned());
        self.downgraded_because = Some(because);
    }

    /// Write down that this call is about to be made. After this nothing can happen to it that leaves no record.
    ///
    /// If this process dies, the call counts as lost and is billed for its input at the bound that was reserved:
    /// the most it can have read, and nothing for an answer nobody saw.
    ///
    /// `targets`: provider and model of everything it may be asked of.
    pub(crate) fn open<'a>(
        &mut self,
        bound: &CallBound,
        targets: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<(), airside_journal::SpoolFault> {
        // The record itself for a moment, and not a copy with its dozen texts.
        self.record.outcome = Outcome::Lost;
        self.record.error_code = Some("gateway_died");
        if self.door.is_billed() {
            self.record.usage.input_uncached = bound.input_tokens;
            self.record.usage_source = UsageSource::Estimated;
            self.record.cost_nanousd = bound.input_nanousd;
            self.record.charges = self.hold.charges(bound.input_nanousd, None);
        }
        let room = self.record.room_to_grow(targets);
        let begun = self.gateway.spool.begin(&self.record, room);
        self.record.outcome = Outcome::Cancelled;
        self.record.error_code = None;
        self.record.usage = TokenUsage::default();
        self.record.usage_source = UsageSource::None;
        self.record.cost_nanousd = 0;
        self.record.charges = Vec::new();
        self.ticket = Some(begun?);
        Ok(())
    }

    /// A target that is not asked.
    pub(crate) fn skip(&mut self, skipped: &Skipped<'_>) {
        let now_us = self.elapsed_us();
        self.record.attempts.push(Attempt {
            outcome: AttemptOutcome::Skipped,
            reason: Some(skipped.skip.reason()),
            ..Attempt::begun(
                skipped.target.provider.as_str().into(),
                skipped.target.model.as_str().into(),
                now_us,
            )
        });
    }

    /// This target is asked now. If nothing more is heard, the caller hung up meanwhile.
    pub(crate) fn begin_attempt(&mut self, candidate: &Candidate<'_>, provider: &Arc<str>) {
        let is_translated = candidate.family != self.door.family();
        self.record.translation = is_translated.then(|| Translation::to(candidate.family.name()));
        let is_first = self.record.attempts.is_empty();
        // The first is begun as soon as the call is admitted.
        let now_us = if is_first {
            self.us_until(self.looked)
        } else {
            self.elapsed_us()
        };
        let model = candidate.target.model.as_str().into();
        self.record
            .attempts
            .push(Attempt::begun(Arc::clone(provider), model, now_us));
        self.price = Some(Arc::clone(candidate.price));
        self.asked_tier = self.wanted_tier;
        self.family = candidate.family;
        self.key = candidate.key;
        self.usage = UsageTap::default();
        (self.record.finish_reason, self.record.reasoning_tokens) = (None, None);
        self.content_bytes = 0;
    }

    /// Translation leaves this out.
    pub(crate) fn loses(&mut self, losses: Vec<Loss>) {
        if let Some(translation) = &mut self.record.translation {
            for loss in losses {
                self.asked_tier = tier_without(&loss.field).unwrap_or(self.asked_tier);
                translation.lose(loss.field);
            }
        }
    }

    /// A request leaves this out although it is said in the target's own family.
    pub(crate) fn loses_within(&mut self, family: Family, fields: impl IntoIterator<Item = Cow<'static, str>>) {
        for field in fields {
            let translation = &mut self.record.translation;
            let translation = translation.get_or_insert_with(|| Translation::to(family.name()));
            self.asked_tier = tier_without(&field).unwrap_or(self.asked_tier);
            translation.lose(field);
        }
    }

    /// The head of its answer came then; opening a connection for it took so long, unless one was kept.
    pub(crate) fn attempt_answers(&mut self, status: u16, connected_in: Option<Duration>, at: Instant) {
        let now_us = self.us_until(at);
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.status = Some(status);
            attempt.connect_us = connected_in.map(|time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
            attempt.first_byte_us = Some(now_us);
        }
    }

    /// It is over. A failed attempt owes nothing.
    pub(crate) fn end_attempt(
        &mut self,
        outcome: AttemptOutcome,
        reason: Option<&'static str>,
        wait: Option<Duration>,
    ) {
        let now_us = self.elapsed_us();
        if let Some(attempt) = self.record.attempts.last_mut() {
            attempt.outcome = outcome;
            attempt.reason = reason;
            attempt.retry_after_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
            attempt.ended_us = now_us;
        }
        if matches!(outcome, AttemptOutcome::Failed | AttemptOutcome::Refused) {
            self.price = None;
        }
    }

    /// From here on the answer is this attempt's.
    pub(crate) fn commit(&mut self, status: u16) {
        self.record.status = status;
        if let Some(attempt) = self.record.attempts.last() {
            self.record.provider = Some(Arc::clone(&attempt.provider));
            self.record.provider_model = Some(Arc::clone(&attempt.model));
            self.record.timings.connect_us = attempt.connect_us;
            self.record.timings.head_us = attempt.first_byte_us;
            let health = &self.gateway.health;
            if !self.record.shadow && !health.is_all_well() {
                health.note_success(&attempt.provider, self.key, self.about_now());
            }
        }
    }

    /// The first content goes to the caller.
    pub(crate) fn first_content(&mut self) {
        if self.record.timings.first_byte_us.is_none() {
            self.record.timings.first_byte_us = Some(self.elapsed_us());
        }
    }

    /// So many bytes of the model's own words went by so far.
    pub(crate) fn content_passed(&mut self, bytes: u64) {
        if bytes > self.content_bytes {
            self.content_bytes = bytes;
            let now_us = self.elapsed_us();
            self.record.timings.first_byte_us.get_or_insert(now_us);
            self.record.timings.last_content_us = Some(now_us);
        }
    }

    /// These bytes of its answer are for the caller.
    pub(crate) fn hands_over(&mut self, bytes: &[u8]) {
        self.record.bytes_out += bytes.len() as u64;
        if let Some(copy) = &mut self.copy {
            copy.answers(bytes);
        }
    }

    /// The whole answer is about to be handed to the caller, or the verdict of a provider.
    pub(crate) fn end_answered(&mut self) {
        let is_success = (200..300).contains(&self.record.status);
        let last = self.record.attempts.last();
        let is_refused = last.is_some_and(|attempt| attempt.outcome == AttemptOutcome::Refused);
        let outcome = if is_success && !is_refused {
            Outcome::Completed
        } else {
            Outcome::Failed
        };
        // Its head was made a moment ago.
        self.end_at(outcome, self.looked);
    }

    /// Refused before any provider was asked, or failed after all were.
    pub(crate) fn end_with_error(&mut self, outcome: Outcome, status: u16, code: &'static str) {
        self.record.status = status;
        self.record.error_code = Some(code);
        self.end(outcome);
    }

    /// Settle and write down. Does nothing the second time.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.end_at(outcome, Instant::now());
    }

    fn end_at(&mut self, outcome: Outcome, now: Instant) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        self.settle(outcome, now);
        self.write_down();
        // Last: where no call is under way, each has its record.
        self.leave();
    }

    /// Turn what was held for it into what it cost, and count it.
    fn settle(&mut self, outcome: Outcome, now: Instant) {
        self.record.outcome = outcome;
        let now_us = self.us_until(now);
        if let Some(attempt) = self.record.attempts.last_mut()
            && attempt.outcome == AttemptOutcome::Cancelled
        {
            attempt.ended_us = now_us;
            match outcome {
                Outcome::Completed => attempt.outcome = AttemptOutcome::Answered,
                Outcome::Cut => attempt.outcome = AttemptOutcome::Cut,
                _ => {}
            }
        }
        self.note_end(outcome);
        self.bill(outcome, now);
        self.record.timings.total_us = now_us;
        self.record.timings.gateway_us = self.gateway_us_of(now_us);
        self.record.timings.spread_over(self.record.usage.output);
        self.gateway.metrics.count(self.door, &self.record, self.alias);
    }

    /// Give its places back.
    fn leave(&self) {
        let metrics = &self.gateway.metrics;
        metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        metrics
            .streams_in_flight
            .fetch_sub(u64::from(self.record.stream), Ordering::Relaxed);
        self.gateway.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let outcome = if self.is_answer_whole {
            Outcome::Completed
        } else {
            Outcome::Cancelled
        };
        self.end(outcome);
    }
}

/// The tier that a target is asked for which is not told of this field, if the field is the one that says the tier.
fn tier_without(field: &str) -> Option<ServiceTier> {
    matches!(field, "speed" | "service_tier" | "serviceTier").then_some(ServiceTier::Standard)
}
