//! Where a request goes: by path and method, before anything else of it is read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use airside_protocols::{Address, Family, FrontDoor};
use http::header::{ALLOW, AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue, UPGRADE};
use http::request::Parts;
use http::{Method, Response};
use serde_json::json;

use crate::body::{RequestBody, check_head};
use crate::call::{AnswerStream, Arrived, serve};
use crate::caller::Connection;
use crate::compact::compact;
use crate::explained;
use crate::gateway::{Gateway, Worker};
use crate::health;
use crate::models;
use crate::reply::{self, Refusal};
use crate::socket;

const FLUSH_PATH: &str = "/internal/v1/journal/flush";
const EXPLAIN_PATH: &str = "/internal/v1/routes/explain";
const LONGEST_WISH: u64 = 4096;
const LONGEST_FLUSH: Duration = Duration::from_mins(1);

/// Answer one request.
pub(crate) async fn answer(
    worker: &Arc<Worker>,
    head: Box<Parts>,
    connection: &Arc<Connection>,
) -> Response<AnswerStream> {
    let at = Instant::now();
    worker.cohort.stage(connection.announced().unwrap_or_default()).await;
    if let Err(refusal) = check_head(&head) {
        let id = worker.gateway.identifiers.new_id("call", worker.gateway.clock.now());
        let mut response = refusal.into_response(family_of(head.uri.path(), &head.headers), &id);
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let address = Address::of(head.uri.path());
    if opens_socket(&head, address.as_ref()) {
        return Box::pin(socket::open(worker, *head, connection)).await;
    }
    let body = RequestBody::Coming(Arc::clone(connection));
    let mut response = match address {
        // Boxed: the rare way is by far the larger future.
        None => Box::pin(elsewhere(worker, head, body)).await,
        Some(address) if head.method == Method::POST => {
            let arrived = Arrived {
                address,
                head,
                body,
                at,
            };
            called(worker, arrived).await
        }
        Some(address) => at_wrong_method(worker, address.door, &head),
    };
    if worker.gateway.is_leaving() {
        // The next request is the other gateway's; closing after an answer loses none.
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn called(worker: &Arc<Worker>, arrived: Arrived) -> Response<AnswerStream> {
    match arrived.address.door {
        FrontDoor::Compact => Box::pin(compact(worker, arrived)).await,
        _ => Box::pin(serve(worker, arrived)).await,
    }
}

/// True for `GET /v1/responses` that wants to become a WebSocket.
fn opens_socket(head: &Parts, address: Option<&Address>) -> bool {
    head.method == Method::GET
        && address.is_some_and(|address| address.door == FrontDoor::Responses)
        && is_websocket(&head.headers)
}

/// A front door that was not knocked at with POST.
fn at_wrong_method(worker: &Worker, door: FrontDoor, head: &Parts) -> Response<AnswerStream> {
    let id = worker.gateway.identifiers.new_id("call", worker.gateway.clock.now());
    let family = door.family();
    if is_websocket(&head.headers) {
        let message = "WebSocket is not served here: use POST.";
        let mut response = Refusal::new(426, "websocket_unsupported", message).into_response(family, &id);
        // RFC 9110, 15.5.22: the answer names what it would take instead.
        response
            .headers_mut()
            .insert(UPGRADE, HeaderValue::from_static("HTTP/1.1"));
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("upgrade"));
        return response;
    }
    wrong_method(family, "POST", &id)
}

fn is_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn wrong_method(family: Family, allowed: &'static str, id: &str) -> Response<AnswerStream> {
    let message = format!("This path takes {allowed} only.");
    let mut response = Refusal::new(405, "wrong_method", message).into_response(family, id);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

async fn elsewhere(worker: &Worker, head: Box<Parts>, body: RequestBody) -> Response<AnswerStream> {
    let gateway = &worker.gateway;
    let id = gateway.identifiers.new_id("call", gateway.clock.now());
    let path = head.uri.path();
    let family = family_of(path, &head.headers);
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    match path {
        "/healthz" | "/readyz" | "/metrics" if !is_read => wrong_method(family, "GET", &id),
        "/healthz" => reply::json(200, json!({"alive": true}).to_string().into_bytes()),
        "/readyz" => health::readiness(gateway),
        "/metrics" => reply::text(200, "text/plain; version=0.0.4", health::metrics(gateway).into_bytes()),
        FLUSH_PATH | EXPLAIN_PATH if head.method != Method::POST => wrong_method(family, "POST", &id),
        FLUSH_PATH => flush(worker, &head, body, &id).await,
        EXPLAIN_PATH => explained::answer(gateway, &head, body, &id).await,
        // Of a POST, a colon begins what is to be done with a model, and what can be done has a door.
        _ if models::is_list(path) && (is_read || !path.contains(':')) => {
            if is_read {
                models::answer(gateway, &head, family, &id).await
            } else {
                wrong_method(family, "GET", &id)
            }
        }
        _ => Refusal::new(404, "no_such_path", "There is nothing at this path.").into_response(family, &id),
    }
}

/// The dialect to speak at a path that is no front door: the caller's, as far as can be told.
fn family_of(path: &str, headers: &HeaderMap) -> Family {
    if headers.contains_key("anthropic-version") || path.starts_with("/v1/messages") {
        Family::Anthropic
    } else if path.starts_with("/v1/responses") {
        Family::OpenaiResponses
    } else if headers.contains_key("x-goog-api-key") || path.starts_with("/v1beta/") {
        Family::Gemini
    } else {
        Family::OpenaiChat
    }
}

/// The dialect to speak where this is said in place of a request.
pub(crate) fn family_of_line(said: &[u8]) -> Family {
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    family_of(&String::from_utf8_lossy(target), &HeaderMap::new())
}

/// Wait until the control plane has every record numbered so far.
async fn flush(worker: &Worker, head: &Parts, mut body: RequestBody, id: &str) -> Response<AnswerStream> {
    #[derive(serde::Deserialize)]
    struct Wish {
        timeout_ms: u64,
    }
    let gateway = &worker.gateway;
    if let Err(refusal) = check_join_token(gateway, &head.headers) {
        return refusal.into_response(Family::OpenaiChat, id);
    }
    let text = body.read(LONGEST_WISH).await.unwrap_or_default();
    let wish = serde_json::from_slice(&text).unwrap_or(Wish { timeout_ms: 5_000 });
    let patience = Duration::from_millis(wish.timeout_ms).min(LONGEST_FLUSH);
    let sequence = gateway.spool.state().sequence;
    let acknowledged = gateway.flush.wait_for(sequence, patience).await;
    let answer = json!({"flushed": acknowledged >= sequence, "acknowledged": acknowledged, "sequence": sequence});
    reply::json(200, answer.to_string().into_bytes())
}

/// Only the control plane asks something of the gateway.
pub(crate) fn check_join_token(gateway: &Gateway, headers: &HeaderMap) -> Result<(), Refusal> {
    let shown = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let is_known = gateway
        .join_token
        .as_ref()
        .zip(shown)
        .is_some_and(|(token, shown)| is_same(&token.0, shown));
    if is_known {
        return Ok(());
    }
    Err(Refusal::new(
        401,
        "unauthenticated",
        "This takes the gateway's join token.",
    ))
}

/// Compares in a time that depends on lengths only.
fn is_same(ours: &str, theirs: &str) -> bool {
    ours.len() == theirs.len()
        && ours
            .bytes()
            .zip(theirs.bytes())
            .fold(0, |difference, (our, their)| difference | (our ^ their))
            == 0
}
