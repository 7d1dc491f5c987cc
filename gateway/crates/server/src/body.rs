//! Reading a request's body, within bounds.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Version;
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use http::request::Parts;
use http::uri::Authority;

use crate::caller::{BodyFault, Connection};
use crate::reply::Refusal;

/// A caller that sends nothing for this long is given up.
const IDLE: Duration = Duration::from_mins(1);
/// A refused body that is here so soon is read, which keeps the connection. Of any other the rest is read behind the
/// answer.
const LONGEST_DISCARD: Duration = Duration::from_millis(50);
/// A longer name of a host is left to the parser.
const LONGEST_PLAIN_HOST: usize = 255;

/// The body of a request: still to come, or here already because it came as a message of its own.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Coming(Arc<Connection>),
    Here(Bytes),
}

impl RequestBody {
    /// The whole body.
    ///
    /// # Errors
    /// As `read_seeing`.
    pub(crate) async fn read(&mut self, limit: u64) -> Result<Bytes, Refusal> {
        self.read_seeing(limit, |_| {}).await
    }

    /// The whole body. What has come of one whose length is named is shown while more comes, from its first byte on.
    ///
    /// # Errors
    /// 413 beyond the limit, 408 when the caller goes silent, 400 when it breaks off.
    pub(crate) async fn read_seeing(&mut self, limit: u64, see: impl FnMut(&[u8])) -> Result<Bytes, Refusal> {
        match self {
            Self::Coming(connection) => read_body(connection, limit, see).await,
            Self::Here(bytes) if bytes.len() as u64 > limit => {
                Err(too_large(usize::try_from(limit).unwrap_or(usize::MAX)))
            }
            Self::Here(bytes) => Ok(std::mem::take(bytes)),
        }
    }

    /// How long it was waited for so far.
    pub(crate) fn waited(&self) -> Duration {
        match self {
            Self::Coming(connection) => connection.waited(),
            Self::Here(_) => Duration::ZERO,
        }
    }

    /// Read and forget what is left of a refused body, if it is about to be there.
    pub(crate) async fn discard(&mut self) {
        if let Self::Coming(connection) = self {
            discard(connection).await;
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
    is_plain_host(host) || (!host.contains(&b'@') && (host.is_empty() || Authority::try_from(host).is_ok()))
}

/// True for the names, addresses and ports that nearly every request has, which need no parser.
fn is_plain_host(host: &[u8]) -> bool {
    let name = host
        .iter()
        .take(LONGEST_PLAIN_HOST)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    match host.split_at_checked(name.count()) {
        Some(([_, ..], [])) => true,
        Some(([_, ..], [b':', port @ ..])) => matches!(port.len(), 1..=5) && port.iter().all(u8::is_ascii_digit),
        _ => false,
    }
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

async fn read_body(connection: &Connection, limit: u64, see: impl FnMut(&[u8])) -> Result<Bytes, Refusal> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if let Some(length) = connection.announced() {
        let length = usize::try_from(length).ok().filter(|length| *length <= limit);
        let length = length.ok_or_else(|| too_large(limit))?;
        return Ok(connection.whole_body(length, IDLE, see).await?);
    }
    let Some(first) = connection.next_of_body(IDLE).await? else {
        return Ok(Bytes::new());
    };
    let mut whole = BytesMut::from(first);
    while let Some(chunk) = connection.next_of_body(IDLE).await? {
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

impl From<BodyFault> for Refusal {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::Silent => Self::new(408, "body_too_slow", "The request body stopped coming."),
            BodyFault::Broken => Self::new(400, "body_broken", "The request body broke off."),
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

async fn discard(connection: &Connection) {
    if connection.asks_first() {
        return;
    }
    let reading = async { while let Ok(Some(_)) = connection.next_of_body(LONGEST_DISCARD).await {} };
    // Whatever stops it, the connection is closed after the answer.
    let _ = tokio::time::timeout(LONGEST_DISCARD, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_plain_is_what_the_parser_takes(host in "[a-zA-Z0-9.:@ /-]{0,12}(:[0-9]{0,7})?") {
            let parses = !host.contains('@') && Authority::try_from(host.as_bytes()).is_ok();
            prop_assert!(!is_plain_host(host.as_bytes()) || parses);
        }
    }

    #[test]
    fn most_hosts_are_plain() {
        for host in ["localhost", "127.0.0.1:8080", "Gateway-1.example.com:443", "a:1", "-.-"] {
            assert!(is_plain_host(host.as_bytes()) && is_host(host.as_bytes()), "{host}");
        }
        for host in ["", ":80", "a:", "a:123456", "[::1]:80", "a@b", "a b", "a:8o", "h\u{e4}"] {
            assert!(!is_plain_host(host.as_bytes()), "{host}");
        }
        assert!(!is_plain_host("a".repeat(256).as_bytes()) && is_host(b"[::1]:80"));
    }
}
