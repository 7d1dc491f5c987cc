//! Requests to the control plane.

use std::sync::Arc;
use std::time::Duration;

use airside_providers::Endpoint;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Uri};
use tokio_util::task::TaskTracker;

use crate::gateway::Gateway;
use crate::options::JoinToken;
use crate::upstream::{BodyFault, Destination, Message, OutBody, Pool, Way, send};

const CONNECT: Duration = Duration::from_secs(3);
/// No answer of the control plane is larger.
const MOST_ANSWER: usize = 256 << 20;

/// Why the control plane gave no usable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ControlFault {
    /// It cannot be reached or does not answer.
    Away,
    /// It said no.
    Refused { status: u16, said: String },
}

impl std::fmt::Display for ControlFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away => out.write_str("the control plane is away"),
            Self::Refused { status, said } => write!(out, "the control plane answered {status}: {said}"),
        }
    }
}

/// Speaks to one control plane. Connections are its own, not those of any worker.
#[derive(Debug)]
pub(crate) struct ControlClient {
    endpoint: Endpoint,
    origin: Arc<str>,
    host: HeaderValue,
    /// Sent with every request.
    headers: HeaderMap,
    pool: Arc<Pool>,
    tasks: TaskTracker,
}

impl ControlClient {
    pub(crate) fn new(url: &str, token: &JoinToken, tasks: TaskTracker) -> Result<Self, String> {
        let mut shown = HeaderValue::from_str(&format!("Bearer {}", token.0)).map_err(|error| error.to_string())?;
        shown.set_sensitive(true);
        Self::with_headers(url, [(AUTHORIZATION, shown)].into_iter().collect(), tasks)
    }

    /// One that sends these headers with every request.
    pub(crate) fn with_headers(url: &str, headers: HeaderMap, tasks: TaskTracker) -> Result<Self, String> {
        let endpoint = Endpoint::parse(url).map_err(|problem| problem.to_string())?;
        let host = HeaderValue::from_str(&endpoint.authority).map_err(|error| error.to_string())?;
        let origin = format!(
            "{}://{}:{}",
            if endpoint.is_tls { "https" } else { "http" },
            endpoint.host,
            endpoint.port
        );
        Ok(Self {
            endpoint,
            origin: origin.into(),
            host,
            headers,
            pool: Arc::default(),
            tasks,
        })
    }

    /// The body of a GET; `None` when there is nothing new.
    pub(crate) async fn get(
        &self,
        gateway: &Gateway,
        path: &str,
        query: &str,
        patience: Duration,
    ) -> Result<Option<Bytes>, ControlFault> {
        let body = OutBody::whole(Bytes::new());
        self.request(
            gateway,
            Method::GET,
            &self.endpoint.path_to(path, Some(query)),
            body,
            patience,
        )
        .await
    }

    /// The answer to a POST of JSON.
    pub(crate) async fn post(
        &self,
        gateway: &Gateway,
        path: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Bytes, ControlFault> {
        let body = OutBody::whole(Bytes::from(body));
        let answer = self
            .request(
                gateway,
                Method::POST,
                &self.endpoint.path_to(path, None),
                body,
                patience,
            )
            .await?;
        Ok(answer.unwrap_or_default())
    }

    async fn request(
        &self,
        gateway: &Gateway,
        method: Method,
        path: &str,
        body: OutBody,
        patience: Duration,
    ) -> Result<Option<Bytes>, ControlFault> {
        let to = Destination {
            endpoint: &self.endpoint,
            origin: &self.origin,
            host: &self.host,
            connect: CONNECT,
            first_byte: patience,
        };
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let path: Uri = path.parse().map_err(|_| ControlFault::Away)?;
        let way = Way {
            connector: &gateway.connector,
            pool: &self.pool,
            tasks: &self.tasks,
        };
        let message = || Message {
            method: method.clone(),
            path: path.clone(),
            headers: headers.clone(),
            body: body.clone(),
        };
        let sent = send(way, &to, message).await;
        let mut answer = sent.map_err(|_| ControlFault::Away)?;
        let mut whole = BytesMut::new();
        let reading = async {
            while let Some(chunk) = answer.body.chunk().await {
                whole.extend_from_slice(&chunk?);
                if whole.len() > MOST_ANSWER {
                    return Err(BodyFault);
                }
            }
            Ok(())
        };
        let read = tokio::time::timeout(patience, reading).await;
        if !matches!(read, Ok(Ok(()))) {
            return Err(ControlFault::Away);
        }
        match answer.status {
            204 | 304 => Ok(None),
            200..=299 => Ok(Some(whole.freeze())),
            status => {
                let said = String::from_utf8_lossy(whole.get(..whole.len().min(500)).unwrap_or_default()).into_owned();
                Err(ControlFault::Refused { status, said })
            }
        }
    }
}

/// Waits that grow while the control plane is away, with chance in them, so that gateways do not return all at once.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    const SHORTEST: Duration = Duration::from_millis(100);

    pub(crate) const fn new(longest: Duration) -> Self {
        Self {
            next: Self::SHORTEST,
            longest,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.next = Self::SHORTEST;
    }

    /// The next wait: between half and all of a time that doubles. `chance` is any number.
    pub(crate) fn wait(&mut self, chance: u32) -> Duration {
        let all = self.next;
        self.next = (all * 2).min(self.longest);
        all / 2 + all / 2 * (chance % 1000) / 1000
    }
}
