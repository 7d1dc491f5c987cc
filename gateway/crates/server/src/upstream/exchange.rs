//! One request to a provider and its answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use airside_providers::{Decoder, Endpoint};
use bytes::Bytes;
use http::header::HeaderValue;
use http::{HeaderMap, Method, Request, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use super::body::OutBody;
use super::connect::{Connection, Connector};
use super::decoded::DecodedBody;
use super::http1::{self, Http1, NoHead};
use super::pool::{Http2, Pool};
use crate::alarm::{Alarm, Wait};
use crate::http1::Framing;

/// Where a request goes and how long it may take.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) origin: &'a Arc<str>,
    pub(crate) host: &'a HeaderValue,
    pub(crate) connect: Duration,
    pub(crate) first_byte: Duration,
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendFault {
    /// No connection, or it broke before the answer's head.
    Connect,
    /// Too slow.
    Timeout,
}

impl From<NoHead> for SendFault {
    fn from(no_head: NoHead) -> Self {
        match no_head {
            NoHead::Late => Self::Timeout,
            NoHead::Unanswered | NoHead::Broken => Self::Connect,
        }
    }
}

/// The answer's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyFault;

/// Nothing came in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Late;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
    /// How long opening the connection took; `None` over one that was kept.
    pub(crate) connected_in: Option<Duration>,
}

/// The body of an answer. Dropping it before its end closes the connection, or resets the stream of a shared one.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// Over a connection of its own.
    Http1(Http1Body),
    /// Over a shared one.
    Http2(Incoming),
    /// Either, in a format of the vendor's own.
    Decoded(Box<DecodedBody>),
}

/// A body that comes over a connection of its own.
#[derive(Debug)]
pub(crate) struct Http1Body {
    connection: Option<Box<Http1>>,
    framing: Framing,
    keeps: bool,
    home: Arc<Pool>,
    origin: Arc<str>,
}

impl Http1Body {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        let Some(connection) = &mut self.connection else {
            return Poll::Ready(None);
        };
        let chunk = ready!(connection.poll_body(cx, &mut self.framing));
        match &chunk {
            Some(Ok(_)) if !self.framing.is_over() => {}
            Some(Err(_)) => {
                // Whatever it says from now on belongs to a broken answer.
                self.connection = None;
                return Poll::Ready(Some(Err(BodyFault)));
            }
            Some(Ok(_)) | None => self.keep_connection(),
        }
        Poll::Ready(chunk.map(|bytes| bytes.map_err(|_| BodyFault)))
    }

    /// The answer is over: the connection is free for the next one.
    fn keep_connection(&mut self) {
        self.framing = Framing::OVER;
        if let Some(connection) = self.connection.take().filter(|_| self.keeps) {
            self.home.put(&self.origin, connection);
        }
    }
}

impl AnswerBody {
    /// The next bytes; `None` at the proper end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BodyFault>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The same, if it does not take longer than this.
    pub(crate) async fn chunk_within(&mut self, wait: &mut Wait) -> Result<Option<Result<Bytes, BodyFault>>, Late> {
        let mut spare = Alarm::default();
        poll_fn(|cx| match self.poll_chunk(cx) {
            Poll::Ready(chunk) => Poll::Ready(Ok(chunk)),
            Poll::Pending => wait.poll(self.alarm().unwrap_or(&mut spare), cx).map(|()| Err(Late)),
        })
        .await
    }

    /// The alarm of its connection, if that is its own.
    pub(super) fn alarm(&mut self) -> Option<&mut Alarm> {
        match self {
            Self::Http1(body) => body.connection.as_mut().map(|connection| connection.alarm()),
            Self::Http2(_) => None,
            Self::Decoded(body) => body.alarm(),
        }
    }

    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        match self {
            Self::Http1(body) => body.poll_chunk(cx),
            Self::Http2(incoming) => poll_incoming(incoming, cx),
            Self::Decoded(body) => body.poll_chunk(cx),
        }
    }

    /// The same body as this decoder says it.
    pub(crate) fn decoded_by(self, decoder: Box<dyn Decoder>) -> Self {
        Self::Decoded(Box::new(DecodedBody::new(self, decoder)))
    }

    /// True when nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::Http1(body) => body.framing.is_over(),
            Self::Http2(incoming) => incoming.is_end_stream(),
            Self::Decoded(body) => body.is_over(),
        }
    }
}

fn poll_incoming(incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
    loop {
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
                // Trailers say nothing that is passed on.
            }
            Some(Err(_)) => return Poll::Ready(Some(Err(BodyFault))),
            None => return Poll::Ready(None),
        }
    }
}

/// What a request travels by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) tasks: &'a TaskTracker,
}

/// A request, apart from where it goes.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) method: Method,
    pub(crate) path: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: OutBody,
}

/// Send one request and wait for the head of its answer.
///
/// A kept connection that the provider had closed before it sent a byte is replaced by a fresh one, once.
///
/// `message` is made anew for a second connection, so that the first, which nearly always serves, needs no copy.
pub(crate) async fn send(
    way: Way<'_>,
    to: &Destination<'_>,
    message: impl Fn() -> Message,
) -> Result<Answer, SendFault> {
    if let Some(connection) = way.pool.take(to.origin) {
        match over_http1(connection, to, &mut message(), way.pool).await {
            Ok(answer) => return Ok(answer),
            Err(NoHead::Unanswered) => {}
            Err(no_head) => return Err(no_head.into()),
        }
    } else if let Some(shared) = way.pool.shared(to.origin) {
        let request = http2_request(to, message())?;
        // Boxed, so that a call over a connection of its own carries no room for it.
        match Box::pin(within(to.first_byte, over_http2(shared, request))).await {
            Err(SendFault::Connect) => {}
            answered => return answered,
        }
    }
    // Boxed: the rare way is by far the larger future.
    Box::pin(over_fresh(way, to, message())).await
}

async fn over_fresh(way: Way<'_>, to: &Destination<'_>, mut message: Message) -> Result<Answer, SendFault> {
    let connecting = async {
        way.connector
            .connect(to.endpoint, way.tasks)
            .await
            .map_err(|_| SendFault::Connect)
    };
    let began = Instant::now();
    let connection = within(to.connect, connecting).await?;
    let connected_in = Some(began.elapsed());
    let answer = match connection {
        Connection::Http1(connection) => {
            let answer = over_http1(connection, to, &mut message, way.pool).await;
            answer.map_err(SendFault::from)
        }
        Connection::Http2(sender) => {
            way.pool.share(to.origin, sender.clone());
            let request = http2_request(to, message)?;
            within(to.first_byte, over_http2(sender, request)).await
        }
    }?;
    Ok(Answer { connected_in, ..answer })
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, SendFault>>) -> Result<T, SendFault> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(SendFault::Timeout))
}

fn http2_request(to: &Destination<'_>, message: Message) -> Result<Request<OutBody>, SendFault> {
    let uri = Uri::builder().scheme("https").authority(to.endpoint.authority.as_str());
    let uri = uri.path_and_query(message.path.to_string());
    let mut request = Request::new(message.body);
    *request.method_mut() = message.method;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri.build().map_err(|_| SendFault::Connect)?;
    *request.headers_mut() = message.headers;
    Ok(request)
}

async fn over_http1(
    mut connection: Box<Http1>,
    to: &Destination<'_>,
    message: &mut Message,
    home: &Arc<Pool>,
) -> Result<Answer, NoHead> {
    let request = http1::Request {
        method: &message.method,
        path: &message.path,
        host: to.host,
        headers: &message.headers,
        body: std::mem::take(&mut message.body),
    };
    let head = connection.ask(request, to.first_byte).await?;
    let mut body = Http1Body {
        connection: Some(connection),
        framing: head.framing,
        keeps: head.keeps,
        home: Arc::clone(home),
        origin: Arc::clone(to.origin),
    };
    if body.framing.is_over() {
        body.keep_connection();
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: AnswerBody::Http1(body),
        connected_in: None,
    })
}

async fn over_http2(mut sender: Http2, request: Request<OutBody>) -> Result<Answer, SendFault> {
    sender.ready().await.map_err(|_| SendFault::Connect)?;
    let response = sender.send_request(request).await.map_err(|_| SendFault::Connect)?;
    let (head, incoming) = response.into_parts();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: AnswerBody::Http2(incoming),
        connected_in: None,
    })
}
