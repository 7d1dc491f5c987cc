//! Copies of calls, sent to a target on trial. Nobody sees the answer and nobody waits for it; it is billed and recorded
//! like any call. A copy says nothing about a provider's health and remembers nothing of its session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use airside_journal::Outcome;
use airside_routing::{Plan, shadow_plan};
use http_body_util::BodyExt as _;

use super::admit::{Applicant, NotAdmitted, reserve};
use super::ask::{Question, ask};
use super::relay::relay;
use super::serve::open;
use super::setback::NoAnswer;
use super::settle::Call;
use crate::authenticate::Caller;
use crate::gateway::{Gateway, Worker};
use crate::reply::Refusal;

/// One of the places for copies; given back when it is dropped.
struct Place(Arc<Gateway>);

impl Place {
    fn take(gateway: &Arc<Gateway>, most: u64) -> Option<Self> {
        let taken = gateway
            .shadows
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < most).then_some(taken + 1)
            });
        taken.ok().map(|_| Self(Arc::clone(gateway)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.shadows.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Send a copy of this call if its step has a shadow and there is room for one. Returns at once.
pub(crate) fn cast(worker: &Arc<Worker>, caller: &Caller, call: &Call, plan: &Plan<'_>, question: &Question) {
    // A call that a budget turned to a cheaper model leaves no money for trials.
    let is_downgraded = call.record.downgraded_to.is_some();
    let Some(shadow) = plan.shadow.as_ref().filter(|_| !is_downgraded) else {
        return;
    };
    let limits = &caller.active.compiled.snapshot.limits;
    let in_flight = worker.gateway.in_flight.load(Ordering::Relaxed);
    // A copy must never be what fills the gateway up.
    if in_flight.saturating_mul(2) > limits.max_concurrent_calls {
        return;
    }
    let Some(place) = Place::take(&worker.gateway, limits.max_shadow_calls) else {
        return;
    };
    let mut copy = Call::new(
        Arc::clone(&worker.gateway),
        caller.active.compiled.snapshot.version,
        &caller.principal,
        question.door,
        &question.headers,
        (Instant::now(), worker.gateway.clock.now()),
    );
    let (original, record) = (&call.record, &mut copy.record);
    record.shadow = true;
    record.shadow_of = Some(original.call_id.clone());
    record.model.clone_from(&original.model);
    record.task = original.task;
    record.bytes_in = original.bytes_in;
    record.route_rule.clone_from(&original.route_rule);
    record.route_step = original.route_step;
    record.route_reason = Some("a copy for a target on trial".to_owned());
    let (caller, question) = (caller.clone(), question.clone());
    let (step, key) = (plan.rule.index, shadow.key);
    let theirs = Arc::clone(worker);
    worker.tasks.spawn(async move {
        run(&theirs, copy, &caller, &question, step, key).await;
        drop(place);
    });
}

async fn run(worker: &Worker, mut call: Box<Call>, caller: &Caller, question: &Question, step: usize, key: usize) {
    let active = &caller.active;
    let model = active.compiled.model(&question.fields.model);
    let plan = model.and_then(|model| shadow_plan(&active.compiled, model, step, key));
    let Some(mut plan) = plan else { return };
    let applicant = Applicant {
        principal: &caller.principal,
        active,
        alias: &question.fields.model,
        body: &question.body,
        fields: &question.fields,
        session: None,
        now_s: worker.gateway.now_s(),
    };
    let opened = match reserve(&worker.gateway, applicant, &mut plan).await {
        Ok(admitted) => {
            let bound = admitted.bound;
            let now_us = call.elapsed_us();
            call.admitted(admitted, now_us);
            open(worker, &mut call, &bound, &plan)
        }
        Err(NotAdmitted::Refused(refusal)) => Err(refusal),
        // A trial is not worth a call of another model.
        Err(NotAdmitted::Downgrade { because, .. }) => Err(Refusal::new(
            402,
            "budget_exceeded",
            format!("The budget of {because}, does not cover a copy."),
        )),
    };
    if let Err(refusal) = opened {
        call.end_with_error(Outcome::Refused, refusal.status, refusal.code);
        return;
    }
    match ask(worker, &mut call, active, &plan, question).await {
        Ok(answered) => {
            let mut body = relay(answered.start, call, answered.idle);
            while let Some(Ok(_)) = body.frame().await {}
        }
        Err(NoAnswer::Ours(refusal)) => call.end_with_error(Outcome::Failed, refusal.status, refusal.code),
        Err(NoAnswer::Theirs(word)) => {
            call.record.status = word.status;
            call.end(Outcome::Failed);
        }
    }
}
