//! `POST /v1/responses/compact`: passed through where the provider has it, made of an ordinary call where none has.

use std::sync::Arc;
use std::time::Instant;

use airside_protocols::{Address, Family, FrontDoor, compacted, summary_request};
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_LENGTH, TE};
use http_body_util::{BodyExt as _, Collected, Limited};

use crate::authenticate::authenticate;
use crate::body::{RequestBody, check_framing};
use crate::call::{AnswerStream, Arrived, CALL_ID, serve};
use crate::gateway::Worker;
use crate::reply::{self, Refusal, RefusalCode};

/// The longest summary that is taken for one.
const LONGEST_ANSWER: usize = 8 << 20;

/// Compact a conversation.
///
/// Where every provider that was asked says that there is no such thing, or the model is served in other dialects
/// only, the model is asked for a summary: a second call, with a record of its own.
pub(crate) async fn compact(worker: &Arc<Worker>, mut arrived: Arrived) -> Response<AnswerStream> {
    let body = match body_of(worker, &mut arrived).await {
        Ok(body) => body,
        Err(refusal) => {
            arrived.body.discard().await;
            let id = worker.gateway.identifiers.new_id("call", worker.gateway.clock.now());
            return refusal.into_response(Family::OpenaiResponses, &id);
        }
    };
    let again = arrived.head.clone();
    arrived.body = RequestBody::Here(body.clone());
    let answered = Box::pin(serve(worker, arrived)).await;
    let Some(request) = is_not_to_be_had(&answered).then(|| summary_request(&body)).flatten() else {
        return answered;
    };
    // Their refusal is heard to its end, which is what ends that call.
    let _ = Limited::new(answered.into_body(), LONGEST_ANSWER).collect().await;
    let mut head = again;
    head.headers.remove(CONTENT_LENGTH);
    // The answer is taken whole and said anew: nothing can follow it.
    head.headers.remove(TE);
    let arrived = Arrived {
        address: Address {
            door: FrontDoor::Responses,
            model: None,
            streams: false,
        },
        head,
        body: RequestBody::Here(Bytes::from(request)),
        at: Instant::now(),
    };
    let summary = Box::pin(serve(worker, arrived)).await;
    if summary.status().is_success() {
        return sealed(worker, &body, summary).await;
    }
    summary
}

/// The body, of a caller who is known: nobody else gets room for one.
async fn body_of(worker: &Worker, arrived: &mut Arrived) -> Result<Bytes, Refusal> {
    check_framing(&arrived.head.headers)?;
    let caller = authenticate(
        &worker.gateway,
        &arrived.head,
        Family::OpenaiResponses,
        worker.gateway.now_s(),
    )
    .await?;
    arrived
        .body
        .read(caller.active.compiled.snapshot.limits.max_body_bytes)
        .await
}

/// True when nobody compacts this conversation, which is no fault of the caller's.
fn is_not_to_be_had(answered: &Response<AnswerStream>) -> bool {
    match answered.extensions().get::<RefusalCode>() {
        Some(RefusalCode(code)) => *code == "wrong_family",
        None => matches!(answered.status().as_u16(), 404 | 405 | 501),
    }
}

async fn sealed(worker: &Worker, request: &[u8], summary: Response<AnswerStream>) -> Response<AnswerStream> {
    let mut answer = summary.into_body();
    // All that the summary's call says of itself: it is the one that made this answer.
    let told = std::mem::take(&mut answer.told);
    let gateway = &worker.gateway;
    let now = gateway.clock.now();
    let collected = Limited::new(answer, LONGEST_ANSWER).collect().await;
    let answer = collected.map(Collected::to_bytes).unwrap_or_default();
    let id = gateway.identifiers.new_id("air", now);
    let Some(body) = compacted(request, &answer, &id, now.seconds()) else {
        let refusal = Refusal::new(
            502,
            "compaction_failed",
            "The model gave no summary of this conversation.",
        );
        let refused = refusal.into_response(Family::OpenaiResponses, told.get(CALL_ID).unwrap_or_default());
        return refused.map(|body| body.telling(told));
    };
    reply::json(200, body).map(|body| body.telling(told))
}
