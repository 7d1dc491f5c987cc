//! From an HTTP request to a socket: RFC 6455, section 4.2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use airside_protocols::Family;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};

use super::session::{Session, hold};
use crate::authenticate::authenticate;
use crate::call::AnswerStream;
use crate::caller::Connection;
use crate::gateway::Worker;
use crate::reply::Refusal;

const FAMILY: Family = Family::OpenaiResponses;
const BETA: HeaderName = HeaderName::from_static("openai-beta");
/// The dialect served, as `openai-beta` names it; a caller that names none means it too.
const DIALECT: &str = "responses_websockets";
const DIALECT_VERSION: &str = "2026-02-06";
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// What RFC 6455 appends to the key.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Make a socket of this request, if its caller may have one.
pub(crate) async fn open(worker: &Arc<Worker>, mut head: Parts, connection: &Connection) -> Response<AnswerStream> {
    let gateway = &worker.gateway;
    let id = gateway.identifiers.new_id("call", gateway.clock.now());
    let accept = match admitted(worker, &head).await {
        Ok(accept) => accept,
        Err(refusal) => {
            let needs_version = refusal.code == "websocket_version";
            let mut response = refusal.into_response(FAMILY, &id);
            if needs_version {
                response.headers_mut().insert(SEC_WEBSOCKET_VERSION, VERSION);
            }
            return response;
        }
    };
    let counted = Counted::new(worker);
    head.method = Method::POST;
    head.headers = call_headers(&head.headers);
    let session = Session::new(Arc::clone(worker), head, connection.gently.clone());
    connection.becomes(async move |over| {
        let _counted = counted;
        Box::pin(hold(over, session)).await;
    });
    switching(accept)
}

/// The answer to the key, if the request is sound and its caller is known.
async fn admitted(worker: &Worker, head: &Parts) -> Result<HeaderValue, Refusal> {
    let (gateway, headers) = (&worker.gateway, &head.headers);
    if gateway.is_draining() {
        let message = "This gateway is stopping; another takes over.";
        return Err(Refusal::new(503, "draining", message).retry_after(Duration::from_secs(1)));
    }
    check_request(head.version, headers)?;
    let caller = authenticate(gateway, head, FAMILY, gateway.now_s()).await?;
    let most = caller.active.compiled.snapshot.limits.max_concurrent_calls;
    if gateway.sockets.load(Ordering::Relaxed) >= most {
        let message = format!("The gateway holds {most} sockets at once, and they are all taken.");
        return Err(Refusal::new(429, "too_many_sockets", message).retry_after(Duration::from_secs(1)));
    }
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    accept_of(key).ok_or_else(|| malformed("`sec-websocket-key` must be 16 bytes in base64."))
}

fn malformed(message: &str) -> Refusal {
    Refusal::new(400, "malformed_upgrade", message)
}

fn check_request(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    if version != Version::HTTP_11 {
        return Err(malformed("A socket is opened over HTTP/1.1."));
    }
    // A body would stand where frames are expected.
    if headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0") {
        return Err(malformed("A request that opens a socket has no body."));
    }
    if !has_token(headers, &CONNECTION, "upgrade") {
        return Err(malformed("`connection` must name `upgrade`."));
    }
    if headers.get(SEC_WEBSOCKET_VERSION) != Some(&VERSION) {
        return Err(Refusal::new(
            426,
            "websocket_version",
            "Version 13 of the WebSocket protocol is served here.",
        ));
    }
    let asks_for = named_dialect(headers);
    if asks_for.as_deref().is_some_and(|version| version != DIALECT_VERSION) {
        return Err(Refusal::new(
            426,
            "websocket_dialect",
            format!("Of {DIALECT}, {DIALECT_VERSION} is served here."),
        ));
    }
    Ok(())
}

/// What the caller wants to speak, by the values of `openai-beta`.
fn named_dialect(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(BETA).iter().filter_map(|value| value.to_str().ok());
    let mut values = values.flat_map(|value| value.split(',')).map(str::trim);
    values.find_map(|value| value.strip_prefix(DIALECT)?.strip_prefix('=').map(str::to_owned))
}

/// True when this header lists this word, whatever its case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut words = values.flat_map(|value| value.split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case(token))
}

fn accept_of(key: &[u8]) -> Option<HeaderValue> {
    if STANDARD.decode(key).ok()?.len() != 16 {
        return None;
    }
    // What the RFC asks for; it protects nothing.
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &[key, ACCEPT_SUFFIX].concat());
    HeaderValue::from_str(&STANDARD.encode(digest)).ok()
}

fn switching(accept: HeaderValue) -> Response<AnswerStream> {
    let mut response = Response::new(AnswerStream::whole(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The headers of each call over the socket: the caller's, less what made the socket.
fn call_headers(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in [
        CONNECTION,
        UPGRADE,
        CONTENT_LENGTH,
        SEC_WEBSOCKET_KEY,
        SEC_WEBSOCKET_VERSION,
        SEC_WEBSOCKET_EXTENSIONS,
        SEC_WEBSOCKET_PROTOCOL,
    ] {
        headers.remove(name);
    }
    let betas: Vec<String> = headers
        .get_all(BETA)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|value| !value.starts_with(DIALECT) && !value.is_empty())
        .map(str::to_owned)
        .collect();
    headers.remove(BETA);
    if let (false, Ok(value)) = (betas.is_empty(), HeaderValue::from_str(&betas.join(","))) {
        headers.insert(BETA, value);
    }
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(http::header::ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers
}

/// One of the sockets that are open.
struct Counted(Arc<Worker>);

impl Counted {
    fn new(worker: &Arc<Worker>) -> Self {
        count(worker).fetch_add(1, Ordering::Relaxed);
        worker.gateway.metrics.sockets_opened.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(worker))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        count(&self.0).fetch_sub(1, Ordering::Relaxed);
    }
}

fn count(worker: &Worker) -> &AtomicU64 {
    &worker.gateway.sockets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_rfc_is_answered_as_the_rfc_does() {
        let accept = accept_of(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        for bad in [&b""[..], b"x", b"dGhlIHNhbXBsZQ==", b"dGhlIHNhbXBsZSBub25jZQ== "] {
            assert_eq!(accept_of(bad), None);
        }
    }

    #[test]
    fn what_made_the_socket_is_in_no_call() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("openai-beta", "one, responses_websockets=2026-02-06 ,two"),
            ("sec-websocket-key", "k"),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("session-id", "s"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        assert_eq!(named_dialect(&headers).as_deref(), Some("2026-02-06"));
        let headers = call_headers(&headers);
        assert_eq!(headers["openai-beta"], "one,two");
        assert_eq!(headers["session-id"], "s");
        assert!(!headers.contains_key("sec-websocket-key") && !headers.contains_key("sec-websocket-extensions"));
    }
}
