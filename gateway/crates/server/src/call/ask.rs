//! Asking the candidates of a call, one after the other, until one gives an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use airside_journal::AttemptOutcome;
use airside_protocols::{FrontDoor, RequestFields};
use airside_providers::{
    Asked, Kind, Shown, StatusMeaning, answer_headers, is_too_long, meaning_of_status, retry_after,
};
use airside_routing::{Candidate, Course, NextStep, Plan, Skip, Skipped, jittered};
use airside_snapshot::Target;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};

use super::bill::Unseen;
use super::hold::{Failed, Patience, Start, hold_document, hold_events, note_failure, read_short};
use super::inside::Inside;
use super::lane::Lane;
use super::outgoing::Outgoing;
use super::setback::{LastWord, LastWords, NoAnswer, Setback};
use super::settle::Call;
use crate::active::{Active, ActiveProvider};
use crate::gateway::Worker;
use crate::upstream::{Answer, AnswerBody, Destination, SendFault, Way, send};

/// The most that is kept of an error nobody may ever see, and how long it may take.
const MOST_KEPT: usize = 256 << 10;
const LONGEST_KEPT: Duration = Duration::from_secs(10);

/// Anthropic and `OpenAI` say with it whether asking again may help.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What a call asks for.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) door: FrontDoor,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Option<String>,
    pub(crate) body: Bytes,
    pub(crate) fields: RequestFields,
}

impl Question {
    /// What is asked of this target, at the door where it is asked. The caller's query is for
    /// its own door only.
    pub(crate) fn asked<'a>(&'a self, door: FrontDoor, target: &'a Target) -> Asked<'a> {
        Asked {
            door,
            model: &target.model,
            streams: self.fields.stream,
            query: self.query.as_deref().filter(|_| door == self.door),
            follows_schemas: target.capabilities.structured_output == Some(true),
        }
    }
}

/// An answer that is committed to.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) start: Start,
    pub(crate) idle: Duration,
}

impl Answered {
    /// From here on the answer is this one.
    pub(super) fn committed(
        call: &mut Call,
        (status, headers): (u16, HeaderMap),
        start: Start,
        idle: Duration,
    ) -> Self {
        call.commit(status);
        Self {
            status,
            headers,
            start,
            idle,
        }
    }
}

/// Ask until there is an answer.
pub(crate) async fn ask(
    worker: &Worker,
    call: &mut Call,
    active: &Active,
    plan: &Plan<'_>,
    question: &Question,
) -> Result<Answered, NoAnswer> {
    let limits = &active.compiled.snapshot.limits;
    let mut course = Course::new(&plan.candidates, Duration::from_millis(limits.short_retry_after_ms));
    let mut last = LastWords::default();
    loop {
        let at = match course.next_step() {
            NextStep::Ask(at) => at,
            NextStep::WaitAndAsk(wait, at) => {
                let began = Instant::now();
                let dice = worker.gateway.clock.now().micros.unsigned_abs();
                tokio::time::sleep(jittered(wait, dice)).await;
                call.waited_since(began);
                at
            }
            NextStep::GiveUp => break,
        };
        let Some(candidate) = plan.candidates.get(at) else {
            break;
        };
        let Some(provider) = active.providers.get(candidate.provider) else {
            break;
        };
        if course.has_next() && !call.may_begin(&provider.name, candidate.key) {
            call.skip(&Skipped {
                target: candidate.target,
                skip: Skip::CoolingDown,
            });
            continue;
        }
        if !call.may_ask(limits) {
            break;
        }
        call.thread.has_wider = course.has_wider(at);
        match attempt(worker, call, active, candidate, provider, question).await {
            Ok(answered) => return Ok(answered),
            Err(setback) => {
                note_failure(call, &setback.failed);
                course.failed(at, &setback.failed.failure, setback.may_wait);
                call.note_setback(&provider.name, &setback.failed.failure);
                last.note(*setback, &provider.name);
            }
        }
    }
    Err(last.into_answer())
}

pub(super) type Attempted = Result<Answered, Box<Setback>>;

async fn attempt(
    worker: &Worker,
    call: &mut Call,
    active: &Active,
    candidate: &Candidate<'_>,
    provider: &ActiveProvider,
    question: &Question,
) -> Attempted {
    call.begin_attempt(candidate, &provider.name);
    call.unseen = Unseen::of(question, candidate);
    let lane = Lane::to(call, active, candidate, question).map_err(Setback::untranslatable)?;
    let answer = exchange(worker, call, candidate, provider, question, &lane).await?;
    judge(worker, call, active, provider, &lane, answer).await
}

/// Put the question to the candidate; the head of its answer.
async fn exchange(
    worker: &Worker,
    call: &mut Call,
    candidate: &Candidate<'_>,
    provider: &ActiveProvider,
    question: &Question,
    lane: &Lane,
) -> Result<Answer, Box<Setback>> {
    let destination = Destination {
        endpoint: &provider.endpoint,
        origin: &provider.origin,
        host: &provider.host,
        connect: Duration::from_millis(provider.timeouts.connect_ms),
        first_byte: Duration::from_millis(provider.timeouts.first_byte_ms),
    };
    let mut outgoing = Outgoing::to(candidate, provider, question, lane).map_err(Setback::untranslatable)?;
    call.loses_within(candidate.family, std::mem::take(&mut outgoing.losses));
    let shown = shown_by(call, provider, candidate.key).await?;
    let moment = call.moment();
    let message = || outgoing.message(&shown, moment);
    let way = Way {
        connector: &worker.gateway.connector,
        pool: &worker.pool,
        tasks: &worker.tasks,
    };
    worker.cohort.stage(question.body.len() as u64).await;
    let began = Instant::now();
    let sent = send(way, &destination, message).await;
    let now = call.waited_since(began);
    worker.cohort.stage(0).await;
    let answer = sent.map_err(|fault| {
        let kind = match fault {
            SendFault::Connect => Kind::Connect,
            SendFault::Timeout => Kind::Timeout,
        };
        Setback::new(Failed::silent(kind), None)
    })?;
    call.attempt_answers(answer.status, answer.connected_in, now);
    let mut answer = outgoing.received(answer);
    answer.headers = answer_headers(answer.headers, shown.secret());
    Ok(answer)
}

/// What this key of the provider shows now.
async fn shown_by(call: &mut Call, provider: &ActiveProvider, key: usize) -> Result<Arc<Shown>, Box<Setback>> {
    let none = || Setback::new(Failed::silent(Kind::CredentialMissing), None);
    let key = provider.keys.get(key).ok_or_else(none)?;
    if provider.keys.len() > 1
        && let Some(attempt) = call.record.attempts.last_mut()
    {
        attempt.key_id = Some(Arc::clone(&key.id));
    }
    let shown = if let Some(shown) = key.shown().now_or_never() {
        shown
    } else {
        let began = Instant::now();
        let shown = key.shown().await;
        call.waited_since(began);
        shown
    };
    shown.map_err(|_| none())
}

/// Decide by its head what an answer is, and hold its start.
async fn judge(
    worker: &Worker,
    call: &mut Call,
    active: &Active,
    provider: &ActiveProvider,
    lane: &Lane,
    mut answer: Answer,
) -> Attempted {
    // When to ask again only a failure says.
    let is_success = (200..300).contains(&answer.status);
    let wait = (!is_success)
        .then(|| retry_after(&answer.headers, worker.gateway.now_s()))
        .flatten();
    let may_wait = is_success || answer.headers.get(&SHOULD_RETRY).is_none_or(|value| value != "false");
    let kind = BodyKind::of(&answer.headers);
    let headers = lane.answer_headers(std::mem::take(&mut answer.headers));
    let patience = Patience::new(&active.compiled.snapshot.limits, provider.timeouts.idle_ms);
    let status = answer.status;
    match meaning_of_status(status, wait) {
        StatusMeaning::Verdict => {
            let said = words_of_refusal(call, lane, &mut answer, &headers).await?;
            call.end_attempt(AttemptOutcome::Refused, None, None);
            // Boxed, so that an answer carries no room for what is rarer.
            let (status, start) = Box::pin(verdict(call, lane, answer, said)).await;
            Ok(Answered::committed(call, (status, headers), start, patience.idle))
        }
        StatusMeaning::Failed(failure) => {
            let body = if is_theirs_to_say(failure.kind) {
                words_of(call, &mut answer.body).await
            } else {
                None
            };
            let word = body.map(|body| {
                let (status, body) = lane.error(status, body, &call.record.call_id);
                LastWord { status, headers, body }
            });
            let mut setback = Setback::new(Failed { failure, said: None }, word);
            setback.may_wait = may_wait;
            Err(setback)
        }
        StatusMeaning::Answer => {
            let start = match kind {
                BodyKind::Packed => Err(Failed::silent(Kind::Garbage)),
                BodyKind::Events => hold_events(answer.body, call, lane, patience).await,
                BodyKind::Document => hold_document(answer.body, call, lane, patience).await,
            };
            match start {
                Ok(start) => Ok(Answered::committed(call, (status, headers), start, patience.idle)),
                Err(Failed { said: Some(said), .. }) => {
                    let inside = Inside {
                        said,
                        is_stream: kind == BodyKind::Events,
                        headers,
                    };
                    inside.judge(call, lane, patience.idle)
                }
                Err(failed) => Err(Setback::new(failed, None)),
            }
        }
    }
}

/// False where a provider's words would tell the caller of the gateway's own affairs.
pub(super) const fn is_theirs_to_say(kind: Kind) -> bool {
    !matches!(kind, Kind::CredentialRejected | Kind::Redirected)
}

/// A provider's words that are not passed on as they come. It is waited for them.
async fn words_of(call: &mut Call, body: &mut AnswerBody) -> Option<Bytes> {
    let began = Instant::now();
    let words = read_short(body, MOST_KEPT, LONGEST_KEPT).await;
    call.waited_since(began);
    words
}

/// The words of a refusal, read where a wider target is left that may not share it. `None`: they were not looked at.
///
/// `Err` if the input is too long for this target, or the words cannot be read.
async fn words_of_refusal(
    call: &mut Call,
    lane: &Lane,
    answer: &mut Answer,
    headers: &HeaderMap,
) -> Result<Option<Bytes>, Box<Setback>> {
    if !call.thread.has_wider || !matches!(answer.status, 400 | 413) {
        return Ok(None);
    }
    let Some(body) = words_of(call, &mut answer.body).await else {
        return Err(Setback::new(Failed::silent(Kind::Garbage), None));
    };
    if !is_too_long(call.family, answer.status, &body) {
        return Ok(Some(body));
    }
    let (status, body) = lane.error(answer.status, body, &call.record.call_id);
    let word = LastWord {
        status,
        headers: headers.clone(),
        body,
    };
    Err(Setback::too_long(word))
}

/// A provider's verdict on the request: passed on as it is, or said in the caller's dialect.
async fn verdict(call: &mut Call, lane: &Lane, mut answer: Answer, said: Option<Bytes>) -> (u16, Start) {
    let status = answer.status;
    match (said, lane.is_translated()) {
        (Some(body), false) => (status, Start::Whole(body)),
        (None, false) => {
            let start = Start::Plain {
                held: Vec::new(),
                body: answer.body,
            };
            (status, start)
        }
        (said, true) => {
            let body = match said {
                Some(body) => Some(body),
                None => words_of(call, &mut answer.body).await,
            };
            let (status, body) = lane.error(status, body.unwrap_or_default(), &call.record.call_id);
            (status, Start::Whole(body))
        }
    }
}

/// What the head of an answer says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyKind {
    Document,
    Events,
    /// Asked for as it is, it came packed: it can be neither counted nor bounded.
    Packed,
}

impl BodyKind {
    fn of(headers: &HeaderMap) -> Self {
        let encoding = headers.get(CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Self::Packed;
        }
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let start = content_type.and_then(|value| value.get(..EVENT_STREAM.len()));
        if start.is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM)) {
            Self::Events
        } else {
            Self::Document
        }
    }
}
