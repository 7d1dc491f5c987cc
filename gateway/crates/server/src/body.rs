//! Reading a request's body, within bounds.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

use crate::reply::Refusal;

/// A caller that sends nothing for this long is given up.
const IDLE: Duration = Duration::from_mins(1);
/// A refused body is still read up to here, so that the refusal is not lost in a reset.
const MOST_DISCARDED: usize = 128 << 20;
const LONGEST_DISCARD: Duration = Duration::from_secs(10);
/// Room set aside before the first byte is there to fill it.
const MOST_AHEAD: usize = 1 << 20;

/// The body of a request: still to come, or here already because it came as a message of its own.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Coming(Incoming),
    Here(Bytes),
}

impl RequestBody {
    /// The whole body.
    ///
    /// # Errors
    /// 413 beyond the limit, 408 when the caller goes silent, 400 when it breaks off.
    pub(crate) async fn read(&mut self, limit: u64) -> Result<Bytes, Refusal> {
        match self {
            Self::Coming(body) => read_body(body, limit).await,
            Self::Here(bytes) if bytes.len() as u64 > limit => {
                Err(too_large(usize::try_from(limit).unwrap_or(usize::MAX)))
            }
            Self::Here(bytes) => Ok(std::mem::take(bytes)),
        }
    }

    /// Read and forget what is left of a refused body, for a while.
    pub(crate) async fn discard(&mut self) {
        if let Self::Coming(body) = self {
            discard(body).await;
        }
    }
}

/// A request goes to one host, by one kind of target. What is said twice is how one request is taken for another by
/// whoever stands in front of the gateway (RFC 9112, 3.2).
pub(crate) fn check_head(head: &Parts) -> Result<(), Refusal> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let is_sound = match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, None) => head.version < Version::HTTP_11,
        _ => false,
    };
    if !is_sound {
        let message = "A request names one host, once.";
        return Err(Refusal::new(400, "malformed_host", message));
    }
    if head
        .uri
        .scheme_str()
        .is_some_and(|scheme| scheme != "http" && scheme != "https")
    {
        let message = "The target of a request is a path, or a URI of http or https.";
        return Err(Refusal::new(400, "malformed_target", message));
    }
    check_framing(&head.headers)
}

fn is_host(host: &[u8]) -> bool {
    !host.contains(&b'@') && (host.is_empty() || Authority::try_from(host).is_ok())
}

/// A body with two lengths is how one request is hidden in another.
pub(crate) fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        return Err(Refusal::new(
            400,
            "ambiguous_length",
            "A request has a content-length or a transfer-encoding, not both.",
        ));
    }
    Ok(())
}

async fn read_body(body: &mut Incoming, limit: u64) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let Some(first) = next(body).await? else {
        return Ok(Bytes::new());
    };
    if body.is_end_stream() && first.len() <= limit {
        return Ok(first);
    }
    let ahead = usize::try_from(announced).unwrap_or(usize::MAX).min(MOST_AHEAD);
    let mut whole = BytesMut::with_capacity(ahead.max(first.len()));
    whole.extend_from_slice(&first);
    while let Some(chunk) = next(body).await? {
        if whole.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&chunk);
    }
    if whole.len() > limit {
        Err(too_large(limit))
    } else {
        Ok(whole.freeze())
    }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout(IDLE, body.frame()).await;
        let frame = frame.map_err(|_| Refusal::new(408, "body_too_slow", "The request body stopped coming."))?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::new(400, "body_broken", "The request body broke off.")),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        413,
        "body_too_large",
        format!("The request body is larger than {limit} bytes."),
    )
}

async fn discard(body: &mut Incoming) {
    let mut left = MOST_DISCARDED;
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Whatever stops it, the connection is closed after the answer.
    let _ = tokio::time::timeout(LONGEST_DISCARD, reading).await;
}
