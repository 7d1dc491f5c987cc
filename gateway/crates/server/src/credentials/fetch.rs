//! Small requests to the services that give out secrets.

use std::sync::Arc;
use std::time::Duration;

use airside_providers::Endpoint;
use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Uri};
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::upstream::{Destination, Message, OutBody, Pool, Way, send};

const CONNECT: Duration = Duration::from_secs(3);
const PATIENCE: Duration = Duration::from_secs(10);
const MOST: usize = 256 << 10;

/// A request.
#[derive(Debug, Default)]
pub(super) struct Wish<'a> {
    pub(super) method: Method,
    pub(super) url: &'a str,
    pub(super) headers: &'a [(&'static str, &'a str)],
    pub(super) body: String,
}

/// The body of a successful answer.
///
/// # Errors
/// A sentence that names the host and the status, and nothing of the bodies.
pub(super) async fn fetch(gateway: &Gateway, wish: &Wish<'_>) -> Result<Bytes, String> {
    let (base, _) = wish.url.split_once('?').unwrap_or((wish.url, ""));
    let endpoint = Endpoint::parse(base).map_err(|problem| problem.to_string())?;
    let away = |what: &str| format!("{} {what}", endpoint.authority);
    // Taken from the URL itself: a slash at its end counts.
    let url: Uri = wish.url.parse().map_err(|_| away("has a bad path"))?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let path: Uri = path.parse().map_err(|_| away("has a bad path"))?;
    let host = HeaderValue::from_str(&endpoint.authority).map_err(|_| away("is no host"))?;
    let mut headers = HeaderMap::new();
    for (name, value) in wish.headers {
        let value = HeaderValue::from_str(value).map_err(|_| away("cannot be shown a header"))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let (pool, tasks) = (Arc::<Pool>::default(), TaskTracker::new());
    let origin: Arc<str> = wish.url.into();
    let to = Destination {
        endpoint: &endpoint,
        origin: &origin,
        host: &host,
        connect: CONNECT,
        first_byte: PATIENCE,
    };
    let way = Way {
        connector: &gateway.connector,
        pool: &pool,
        tasks: &tasks,
    };
    let body = Bytes::from(wish.body.clone());
    let message = || Message {
        method: wish.method.clone(),
        path: path.clone(),
        headers: headers.clone(),
        body: OutBody::whole(body.clone()),
    };
    let sent = send(way, &to, message).await;
    let mut answer = sent.map_err(|_| away("cannot be reached"))?;
    let status = answer.status;
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(chunk) = answer.body.chunk().await {
            whole.extend_from_slice(&chunk.ok()?);
            if whole.len() > MOST {
                return None;
            }
        }
        Some(whole.freeze())
    };
    let read = tokio::time::timeout(PATIENCE, reading).await.ok().flatten();
    match status {
        200..=299 => read.ok_or_else(|| away("broke off its answer")),
        _ => Err(away(&format!("answered {status}"))),
    }
}

/// A form, as token endpoints take it.
pub(super) fn form(pairs: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        use std::fmt::Write as _;
        text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(byte.into());
            } else {
                let _ = write!(out, "%{byte:02X}");
            }
            out
        })
    };
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", escaped(value)))
        .collect();
    pairs.join("&")
}

/// The header that goes with a form.
pub(super) const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
