//! One call of a model, stage by stage.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use airside_journal::Outcome;
use airside_metering::CallBound;
use airside_protocols::{Address, FrontDoor, RequestFields, RequestScan, scan_request, with_summaries};
use airside_routing::Plan;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::json;

use super::admit::{Applicant, NotAdmitted, reserve};
use super::array::{as_array, wants_array};
use super::ask::{Answered, Question, ask};
use super::hold::Start;
use super::identity::shortened;
use super::rate::pass;
use super::relay::relay;
use super::route::{route, route_of};
use super::setback::NoAnswer;
use super::settle::Call;
use super::shadow;
use super::stored::check_stored;
use super::stream::AnswerStream;
use super::told::Told;
use crate::active::Active;
use crate::authenticate::{Caller, authenticate};
use crate::body::{RequestBody, check_framing};
use crate::gateway::{Gateway, Worker};
use crate::metrics::Alias;
use crate::recorder::BodyCopy;
use crate::reply::Refusal;

/// How often budgets may turn one call to a cheaper model.
const MOST_DOWNGRADES: usize = 3;

/// A request for a model, before anything of it was looked at.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) address: Address,
    pub(crate) head: Box<Parts>,
    pub(crate) body: RequestBody,
    pub(crate) at: Instant,
}

/// Serve one call.
pub(crate) async fn serve(worker: &Arc<Worker>, mut arrived: Arrived) -> Response<AnswerStream> {
    let family = arrived.address.door.family();
    let now = worker.gateway.clock.now();
    let caller = match admitted(&worker.gateway, &arrived, now.seconds()).await {
        Ok(caller) => caller,
        Err(refusal) => {
            // A caller that waits to be asked for its body is not asked for it.
            if !arrived.head.headers.contains_key(EXPECT) {
                arrived.body.discard().await;
            }
            let id = worker.gateway.identifiers.new_id("call", now);
            return refusal.into_response(family, &id);
        }
    };
    let (gateway, version) = (Arc::clone(&worker.gateway), caller.active.compiled.snapshot.version);
    let headers = &arrived.head.headers;
    let mut call = Call::new(
        gateway,
        version,
        &caller.principal,
        arrived.address.door,
        headers,
        (arrived.at, now),
    );
    let is_array = wants_array(&arrived.address, arrived.head.uri.query());
    let prepared = prepare(worker, &mut call, &caller, arrived).await;
    worker.cohort.stage(0).await;
    let (outcome, refusal) = match prepared {
        Ok(answered) => return respond(call, answered, is_array),
        Err(Stopped::Unanswered(NoAnswer::Theirs(word))) => {
            call.record.status = word.status;
            call.hands_over(&word.body);
            call.end(Outcome::Failed);
            let body = AnswerStream::whole(word.body).telling(Told::of(&mut call));
            return theirs(word.status, word.headers, false).map(|()| body);
        }
        Err(Stopped::Refused(refusal)) => (Outcome::Refused, refusal),
        Err(Stopped::Unanswered(NoAnswer::Ours(refusal))) => (Outcome::Failed, refusal),
    };
    call.end_with_error(outcome, refusal.status, refusal.code);
    let response = refusal.into_response(family, &call.record.call_id);
    response.map(|body| body.telling(Told::of(&mut call)))
}

/// Who calls, if the gateway takes calls at all.
async fn admitted(gateway: &Gateway, arrived: &Arrived, now_s: i64) -> Result<Caller, Refusal> {
    if gateway.is_draining() {
        let message = "This gateway is stopping; another takes over.";
        return Err(Refusal::new(503, "draining", message).retry_after(Duration::from_secs(1)));
    }
    check_framing(&arrived.head.headers)?;
    let caller = authenticate(gateway, &arrived.head, arrived.address.door.family(), now_s).await?;
    let most = caller.active.compiled.snapshot.limits.max_concurrent_calls;
    if gateway.in_flight.load(Ordering::Relaxed) >= most {
        let message = format!("The gateway serves {most} calls at once, and they are all taken.");
        return Err(Refusal::new(429, "too_many_calls", message).retry_after(Duration::from_secs(1)));
    }
    Ok(caller)
}

/// Why a call got no answer.
enum Stopped {
    Refused(Refusal),
    Unanswered(NoAnswer),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

async fn prepare(
    worker: &Arc<Worker>,
    call: &mut Call,
    caller: &Caller,
    arrived: Arrived,
) -> Result<Answered, Stopped> {
    let active = &caller.active;
    let Arrived {
        address,
        mut head,
        mut body,
        ..
    } = arrived;
    if let Some(trace) = &call.trace {
        trace.hand_on(&mut head.headers);
    }
    let limit = active.compiled.snapshot.limits.max_body_bytes;
    let question = {
        let (body, fields) = understood(call, &address, &mut body, limit).await?;
        if active.compiled.model(&fields.model).is_some() {
            call.alias = Alias::Configured;
        }
        check_stored(call, &fields, &body)?;
        record_bodies(call, active, &body)?;
        Question {
            door: address.door,
            query: head.uri.query().map(str::to_owned),
            headers: head.headers,
            body,
            fields,
        }
    };
    let plan = route(call, active, &caller.principal, &question, &question.fields.model)?;
    call.record.timings.routed_us = call.elapsed_us();
    worker.cohort.stage(question.body.len() as u64).await;
    let (plan, bound) = admit(call, caller, plan, &question).await?;
    for skipped in &plan.skipped {
        call.skip(skipped);
    }
    open(worker, call, &bound, &plan)?;
    shadow::cast(worker, caller, call, &plan, &question);
    ask(worker, call, active, &plan, &question)
        .await
        .map_err(Stopped::Unanswered)
}

/// Read the body and what it says.
async fn understood(
    call: &mut Call,
    address: &Address,
    body: &mut RequestBody,
    limit: u64,
) -> Result<(Bytes, RequestFields), Refusal> {
    // What a body says is read while it comes, if it does not come at once.
    let mut begun = None;
    let see = |so_far: &[u8]| {
        let scan = begun.get_or_insert_with(|| Box::new(RequestScan::at(address.door)));
        scan.go_on(so_far);
    };
    let read = body.read_seeing(limit, see).await;
    call.waited_for(body.waited());
    let mut bytes = match read {
        Ok(bytes) => bytes,
        Err(refusal) => {
            body.discard().await;
            return Err(refusal);
        }
    };
    // A summary that stood for a conversation is opened again: nobody else can.
    if matches!(address.door, FrontDoor::Responses | FrontDoor::Compact)
        && let Some(opened) = with_summaries(&bytes)
    {
        (bytes, begun) = (opened, None);
    }
    call.record.bytes_in = bytes.len() as u64;
    let scanned = match begun {
        Some(scan) => scan.finish(&bytes, address),
        None => scan_request(&bytes, address),
    };
    let fields = scanned.map_err(|problem| Refusal::new(400, problem.code(), problem.to_string()))?;
    call.record.model = Some(shortened(&fields.model));
    call.streams(fields.stream);
    call.wanted_tier = fields.service_tier.unwrap_or_default();
    Ok((bytes, fields))
}

/// Take the call's place under the rate limits and in the budgets. A budget that cannot cover it may turn it to a
/// cheaper alias, whose plan is then the call's.
async fn admit<'a>(
    call: &mut Call,
    caller: &'a Caller,
    mut plan: Plan<'a>,
    question: &Question,
) -> Result<(Plan<'a>, CallBound), Refusal> {
    if !call.door.is_billed() {
        return Ok((plan, CallBound::default()));
    }
    let (gateway, active) = (Arc::clone(&call.gateway), &*caller.active);
    let mut alias = Cow::Borrowed(question.fields.model.as_str());
    // It is asked as soon as its route is known.
    let asked_us = call.record.timings.routed_us;
    for turn in 0..=MOST_DOWNGRADES {
        let session = call.thread.key.clone();
        let applicant = Applicant {
            principal: &caller.principal,
            active,
            alias: &alias,
            body: &question.body,
            fields: &question.fields,
            session: session.as_ref(),
            now_s: call.moment().seconds(),
        };
        if turn == 0 {
            call.pass = pass(&gateway, applicant, &mut plan, call.door.family())?;
        }
        let reserved = reserve(&gateway, applicant, &mut plan).await;
        let now_us = call.elapsed_us();
        call.record.timings.queue_us = now_us.saturating_sub(asked_us);
        let (to, because) = match reserved {
            Ok(admitted) => {
                let bound = admitted.bound;
                call.admitted(admitted, now_us);
                return Ok((plan, bound));
            }
            Err(NotAdmitted::Refused(refusal)) => return Err(refusal),
            Err(NotAdmitted::Downgrade { to, because }) => (to, because),
        };
        plan = route_of(call, active, &caller.principal, question, &to)?;
        call.downgraded(&to, because);
        alias = Cow::Owned(to);
    }
    let message = "The budgets of this call turn it from one model to the next, and none of them covers it.";
    Err(Refusal::new(402, "budget_exceeded", message))
}

/// Keep the bodies of this call, if its project wants that.
fn record_bodies(call: &mut Call, active: &Arc<Active>, request: &[u8]) -> Result<(), Refusal> {
    let Some(recording) = active.recording(&call.record.project) else {
        return Ok(());
    };
    if recording.is_audited && !call.gateway.recorder.store.has_room(recording.most_bytes()) {
        let message = "This project's calls are audited, and there is no room to record another.";
        return Err(Refusal::new(503, "bodies_full", message).retry_after(Duration::from_secs(5)));
    }
    call.copy = Some(Box::new(BodyCopy::new(recording, active, request)));
    Ok(())
}

/// Write down that this call is about to be made.
pub(super) fn open(worker: &Worker, call: &mut Call, bound: &CallBound, plan: &Plan<'_>) -> Result<(), Refusal> {
    let skipped = plan.skipped.iter().map(|skipped| skipped.target);
    let targets = skipped.chain(plan.candidates.iter().map(|candidate| candidate.target));
    call.open(
        bound,
        targets.map(|target| (target.provider.as_str(), target.model.as_str())),
    )
    .map_err(|fault| {
        worker
            .gateway
            .log
            .error("journal_full", json!({"detail": fault.to_string()}));
        let message = "The journal cannot take another call, and no call is made without a record. It needs room on the \
                       gateway's disk, or the control plane to take what is waiting.";
        Refusal::new(503, "journal_full", message).retry_after(Duration::from_secs(5))
    })
}

fn respond(mut call: Box<Call>, answered: Answered, is_array: bool) -> Response<AnswerStream> {
    let keeps_length = matches!(answered.start, Start::Plain { .. });
    let is_array = is_array && matches!(answered.start, Start::Events { .. });
    let mut response = theirs(answered.status, answered.headers, keeps_length);
    let mut told = Told::of(&mut call);
    match &answered.start {
        Start::Whole(_) => {
            if let Some(nanousd) = call.cost_so_far() {
                told.say_cost(nanousd);
            }
        }
        Start::Events { .. } if call.takes_trailers => told.announce_cost(),
        _ => {}
    }
    if is_array {
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response.map(|()| {
        let body = relay(answered.start, call, answered.idle).telling(told);
        if is_array { as_array(body) } else { body }
    })
}

/// The head of a provider's answer as the caller sees it.
fn theirs(status: u16, mut headers: HeaderMap, keeps_length: bool) -> Response<()> {
    if !keeps_length {
        headers.remove(CONTENT_LENGTH);
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers;
    response
}
