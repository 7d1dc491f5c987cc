//! One request to a provider and its answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use airside_providers::Endpoint;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio_util::task::TaskTracker;

use super::body::OutBody;
use super::connect::{Connection, Connector};
use super::pool::{Http1, Http2, Pool};

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

/// The answer's body broke off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BodyFault;

/// An answer whose body is still to come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: AnswerBody,
}

/// The body of an answer. Dropping it before its end closes the connection, or resets the stream of a shared one.
#[derive(Debug)]
pub(crate) struct AnswerBody {
    incoming: Incoming,
    connection: Option<Box<Http1>>,
    home: Arc<Pool>,
    origin: Arc<str>,
}

impl AnswerBody {
    /// The next bytes; `None` at the proper end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BodyFault>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        // Asking the body first tells the connection that more is wanted; driving it then brings it.
        let asked = self.poll_incoming(cx);
        if asked.is_ready() {
            return asked;
        }
        let Some(connection) = &mut self.connection else {
            return Poll::Pending;
        };
        let lives = connection.drive(cx);
        if !lives {
            self.connection = None;
        }
        match self.poll_incoming(cx) {
            Poll::Pending if !lives => Poll::Ready(Some(Err(BodyFault))),
            polled => polled,
        }
    }

    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyFault>>> {
        loop {
            match Pin::new(&mut self.incoming).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        if self.incoming.is_end_stream() {
                            self.keep_connection(cx);
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                    // Trailers say nothing that is passed on.
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Some(Err(BodyFault))),
                Poll::Ready(None) => {
                    self.keep_connection(cx);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// The answer is over: the connection is free for the next one.
    fn keep_connection(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = self.connection.take() {
            self.home.put(&self.origin, connection, cx);
        }
    }

    /// True when nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_end_stream()
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
    let kept = poll_fn(|cx| Poll::Ready(way.pool.take(to.origin, cx))).await;
    let over_kept = if let Some(connection) = kept {
        let request = http1_request(to, message());
        Some(within(to.first_byte, over_http1(connection, request, way.pool, to.origin)).await)
    } else if let Some(shared) = way.pool.shared(to.origin) {
        let request = http2_request(to, message())?;
        Some(within(to.first_byte, over_http2(shared, request, way.pool, to.origin)).await)
    } else {
        None
    };
    match over_kept {
        // Boxed: the rare way is by far the larger future.
        None | Some(Err(SendFault::Connect)) => Box::pin(over_fresh(way, to, message())).await,
        Some(answered) => answered,
    }
}

async fn over_fresh(way: Way<'_>, to: &Destination<'_>, message: Message) -> Result<Answer, SendFault> {
    let connecting = async {
        way.connector
            .connect(to.endpoint, way.tasks)
            .await
            .map_err(|_| SendFault::Connect)
    };
    match within(to.connect, connecting).await? {
        Connection::Http1(connection) => {
            let request = http1_request(to, message);
            within(to.first_byte, over_http1(connection, request, way.pool, to.origin)).await
        }
        Connection::Http2(sender) => {
            way.pool.share(to.origin, sender.clone());
            let request = http2_request(to, message)?;
            within(to.first_byte, over_http2(sender, request, way.pool, to.origin)).await
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, SendFault>>) -> Result<T, SendFault> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(SendFault::Timeout))
}

fn http1_request(to: &Destination<'_>, message: Message) -> Request<OutBody> {
    let mut request = Request::new(message.body);
    *request.method_mut() = message.method;
    *request.uri_mut() = message.path;
    *request.headers_mut() = message.headers;
    request.headers_mut().insert(HOST, to.host.clone());
    request
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
    request: Request<OutBody>,
    home: &Arc<Pool>,
    origin: &Arc<str>,
) -> Result<Answer, SendFault> {
    let mut answer = std::pin::pin!(connection.sender.send_request(request));
    let driver = &mut connection.driver;
    let mut lives = true;
    let answered = poll_fn(|cx| {
        lives = lives && Pin::new(&mut *driver).poll(cx).is_pending();
        answer.as_mut().poll(cx)
    })
    .await;
    let response = answered.map_err(|_| SendFault::Connect)?;
    // A connection that is over has handed all it read to the body.
    let connection = lives.then_some(connection);
    Ok(received(response, connection, home, origin))
}

async fn over_http2(
    mut sender: Http2,
    request: Request<OutBody>,
    home: &Arc<Pool>,
    origin: &Arc<str>,
) -> Result<Answer, SendFault> {
    sender.ready().await.map_err(|_| SendFault::Connect)?;
    let response = sender.send_request(request).await.map_err(|_| SendFault::Connect)?;
    Ok(received(response, None, home, origin))
}

fn received(
    response: Response<Incoming>,
    connection: Option<Box<Http1>>,
    home: &Arc<Pool>,
    origin: &Arc<str>,
) -> Answer {
    let (head, incoming) = response.into_parts();
    let body = AnswerBody {
        incoming,
        connection,
        home: Arc::clone(home),
        origin: Arc::clone(origin),
    };
    Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    }
}
