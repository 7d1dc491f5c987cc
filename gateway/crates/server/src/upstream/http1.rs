//! An HTTP/1.1 connection to a provider: one exchange at a time, driven by the call that uses it.
//!
//! Written by hand because this is the hottest path there is: head and body leave in one system call, an answer is read
//! into as few as it comes in, and nothing is read before it is asked for. Anything that could be read in two ways is an
//! error (decision 8).

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderValue};
use http::{Method, Uri};
use tokio::io::AsyncWrite as _;
use tokio_util::io::poll_read_buf;

use super::answer_head::{AnswerHead, take_head};
use super::body::OutBody;
use super::connect::Wire;
use crate::alarm::{Alarm, Wait};
use crate::http1::{Framing, reserve};

/// Longer than any provider's head.
const MOST_HEAD: usize = 64 << 10;
/// Interim answers (RFC 9110, 15.2) before the one that counts.
const MOST_INTERIM: usize = 16;
/// A body up to here is copied behind its head: one piece is sent quicker than several.
const MOST_COPIED: usize = 8 << 10;
/// Read at once.
const USUAL_STEP: usize = 16 << 10;
const MOST_STEP: usize = 256 << 10;

/// Why there is no answer on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHead {
    /// It ended before a byte of an answer came: a kept connection may have been closed while it was idle.
    Unanswered,
    /// It took too long.
    Late,
    /// What came is no answer, or only the start of one.
    Broken,
}

/// A connection that carries one exchange at a time.
#[derive(Debug)]
pub(crate) struct Http1 {
    wire: Wire,
    /// Read, and not taken yet.
    unread: BytesMut,
    step: usize,
    /// What of the request is still to be sent; an answer may begin before it has all left.
    sending: Sending,
    /// For what is waited for from the provider.
    alarm: Alarm,
}

impl Http1 {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            wire,
            unread: BytesMut::new(),
            step: USUAL_STEP,
            sending: Sending::default(),
            alarm: Alarm::default(),
        }
    }

    pub(super) const fn alarm(&mut self) -> &mut Alarm {
        &mut self.alarm
    }

    /// True while the provider has neither closed it nor said anything unasked. Costs a system call only if something
    /// happened to the socket.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.unread.is_empty() && self.poll_fill(&mut Context::from_waker(Waker::noop()), 1).is_pending()
    }

    /// Send a request and wait for the head of its answer, for so long.
    pub(crate) async fn ask(&mut self, request: Request<'_>, longest: Duration) -> Result<AnswerHead, NoHead> {
        let is_head_request = *request.method == Method::HEAD;
        self.sending = Sending::new(request);
        self.step = USUAL_STEP;
        let (mut interim, mut wait) = (0, Wait::of(longest));
        poll_fn(|cx| match self.poll_head(cx, is_head_request, &mut interim) {
            Poll::Pending => wait.poll(&mut self.alarm, cx).map(|()| Err(NoHead::Late)),
            head @ Poll::Ready(_) => head,
        })
        .await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        is_head_request: bool,
        interim: &mut usize,
    ) -> Poll<Result<AnswerHead, NoHead>> {
        // What cannot be sent any more may have been answered all the same, with the reason.
        let _ = self.sending.poll_send(&mut self.wire, cx);
        loop {
            match take_head(&mut self.unread, is_head_request) {
                Ok(Some(head)) if head.status == 101 => return Poll::Ready(Err(NoHead::Broken)),
                Ok(Some(head)) if head.status >= 200 => return Poll::Ready(Ok(head)),
                Ok(Some(_)) if *interim == MOST_INTERIM => return Poll::Ready(Err(NoHead::Broken)),
                Ok(Some(_)) => {
                    *interim += 1;
                    continue;
                }
                Ok(None) if self.unread.len() < MOST_HEAD => {}
                _ => return Poll::Ready(Err(NoHead::Broken)),
            }
            let filled = ready!(self.poll_fill(cx, USUAL_STEP));
            if !filled.is_ok_and(|count| count > 0) {
                let is_unanswered = self.unread.is_empty() && *interim == 0;
                return Poll::Ready(Err(if is_unanswered {
                    NoHead::Unanswered
                } else {
                    NoHead::Broken
                }));
            }
        }
    }

    /// The next bytes of a body; `None` at its proper end, an error where it breaks off.
    pub(crate) fn poll_body(&mut self, cx: &mut Context<'_>, framing: &mut Framing) -> Poll<Option<io::Result<Bytes>>> {
        let _ = self.sending.poll_send(&mut self.wire, cx);
        loop {
            if framing.is_over() {
                return Poll::Ready(None);
            }
            if !self.unread.is_empty() {
                let taken = framing.take(&mut self.unread);
                let taken = taken.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
                if !taken.is_empty() {
                    return Poll::Ready(Some(Ok(taken)));
                }
                continue;
            }
            let wanted = framing.wanted(self.step, MOST_STEP);
            let count = ready!(self.poll_fill(cx, wanted))?;
            if count == 0 {
                let is_end = matches!(framing, Framing::UntilClose);
                return Poll::Ready((!is_end).then(|| Err(io::ErrorKind::UnexpectedEof.into())));
            }
            if count >= wanted {
                self.step = (self.step * 2).min(MOST_STEP);
            }
        }
    }

    /// True if another exchange can follow on this connection, of which the last answer is over.
    pub(crate) fn can_follow(&mut self) -> bool {
        let is_clean = self.unread.is_empty() && self.sending.is_done();
        // A connection that waits holds no buffer.
        self.unread = BytesMut::new();
        is_clean
    }

    /// Read more. A connection on which nothing comes holds no memory to read into.
    fn poll_fill(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        if let Wire::Plain(tcp) = &self.wire
            && tcp.poll_read_ready(cx)?.is_pending()
        {
            self.forget_room();
            return Poll::Pending;
        }
        reserve(&mut self.unread, wanted);
        let filled = poll_read_buf(Pin::new(&mut self.wire), cx, &mut self.unread);
        if filled.is_pending() {
            self.forget_room();
        }
        filled
    }

    fn forget_room(&mut self) {
        if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
    }
}

/// A request as it is sent.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a Uri,
    pub(crate) host: &'a HeaderValue,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: OutBody,
}

impl Request<'_> {
    fn head(&self, body_bytes: usize, room_behind: usize) -> Vec<u8> {
        let fields = self.headers.iter();
        let room: usize = fields.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let path = self.path.path_and_query().map_or("/", |path| path.as_str());
        let mut head = Vec::with_capacity(room + path.len() + self.host.len() + 80 + room_behind);
        head.extend_from_slice(self.method.as_str().as_bytes());
        head.push(b' ');
        head.extend_from_slice(path.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        head.extend_from_slice(self.host.as_bytes());
        head.extend_from_slice(b"\r\n");
        for (name, value) in self.headers {
            // These are the connection's own to say.
            if *name != HOST && *name != CONTENT_LENGTH {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
        }
        if body_bytes > 0 || *self.method == Method::POST {
            head.extend_from_slice(b"content-length: ");
            head.extend_from_slice(itoa::Buffer::new().format(body_bytes).as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// What of a request is still to be sent.
#[derive(Debug, Default)]
struct Sending {
    pieces: [Bytes; 4],
    is_flushed: bool,
    has_failed: bool,
}

impl Sending {
    fn new(request: Request<'_>) -> Self {
        let body_bytes = request.body.bytes();
        let is_short = body_bytes <= MOST_COPIED;
        let mut head = request.head(body_bytes, if is_short { body_bytes } else { 0 });
        let [first, second, third] = request.body.into_pieces();
        let pieces = if is_short {
            for piece in [first, second, third] {
                head.extend_from_slice(&piece);
            }
            [Bytes::from(head), Bytes::new(), Bytes::new(), Bytes::new()]
        } else {
            [Bytes::from(head), first, second, third]
        };
        Self {
            pieces,
            is_flushed: false,
            has_failed: false,
        }
    }

    fn is_done(&self) -> bool {
        self.is_flushed && !self.has_failed
    }

    fn poll_send(&mut self, wire: &mut Wire, cx: &mut Context<'_>) -> Poll<()> {
        while !self.is_flushed && !self.has_failed {
            let sent = if self.pieces.iter().all(Bytes::is_empty) {
                let flushed = ready!(Pin::new(&mut *wire).poll_flush(cx));
                self.is_flushed = flushed.is_ok();
                // An empty piece still holds the memory it was a part of.
                self.pieces = Default::default();
                flushed.map(|()| 1)
            } else if let [one, rest @ ..] = &self.pieces
                && rest.iter().all(Bytes::is_empty)
            {
                let sent = ready!(Pin::new(&mut *wire).poll_write(cx, one));
                sent.inspect(|count| self.sent(*count))
            } else {
                let slices = self.pieces.each_ref().map(|piece| IoSlice::new(piece));
                let sent = ready!(Pin::new(&mut *wire).poll_write_vectored(cx, &slices));
                sent.inspect(|count| self.sent(*count))
            };
            self.has_failed = !sent.is_ok_and(|count| count > 0);
        }
        Poll::Ready(())
    }

    fn sent(&mut self, mut count: usize) {
        for piece in &mut self.pieces {
            let mine = count.min(piece.len());
            piece.advance(mine);
            count -= mine;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    /// A connection, and the provider's end of it.
    async fn connected() -> (Http1, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Http1::new(Wire::Plain(ours)), listener.accept().await.unwrap().0)
    }

    async fn ask(connection: &mut Http1, body: Bytes) -> Result<AnswerHead, NoHead> {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("9"))]);
        let request = Request {
            method: &Method::POST,
            path: &Uri::from_static("/v1/messages?beta=true"),
            host: &HeaderValue::from_static("vendor:8080"),
            headers: &headers,
            body: OutBody::whole(body),
        };
        connection.ask(request, Duration::from_mins(1)).await
    }

    async fn whole(connection: &mut Http1, framing: &mut Framing) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(bytes) = poll_fn(|cx| connection.poll_body(cx, framing)).await {
            whole.extend_from_slice(&bytes?);
        }
        Ok(whole)
    }

    #[tokio::test]
    async fn a_request_is_sent_with_its_own_host_and_length_and_its_answer_read() {
        let (mut connection, mut provider) = connected().await;
        provider
            .write_all(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
            .await
            .unwrap();
        let mut head = ask(&mut connection, Bytes::from_static(b"{}")).await.unwrap();
        assert_eq!((head.status, head.keeps), (200, true));
        assert_eq!(whole(&mut connection, &mut head.framing).await.unwrap(), b"hi");
        assert!(connection.can_follow() && connection.is_quiet());
        let mut sent = vec![0; 1000];
        let count = provider.read(&mut sent).await.unwrap();
        let expected = "POST /v1/messages?beta=true HTTP/1.1\r\nhost: vendor:8080\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8_lossy(&sent[..count]), expected);
    }

    #[tokio::test]
    async fn an_answer_that_comes_before_the_request_is_sent_is_read_and_the_connection_not_kept() {
        let (mut connection, mut provider) = connected().await;
        provider
            .write_all(b"HTTP/1.1 413 Large\r\ncontent-length: 2\r\n\r\nno")
            .await
            .unwrap();
        // More than any socket buffer takes, and nobody reads it.
        let mut head = ask(&mut connection, Bytes::from(vec![b'x'; 64 << 20])).await.unwrap();
        assert_eq!(head.status, 413);
        assert_eq!(whole(&mut connection, &mut head.framing).await.unwrap(), b"no");
        assert!(!connection.can_follow());
    }

    #[tokio::test]
    async fn a_request_goes_on_while_its_answer_is_read() {
        let (mut connection, mut provider) = connected().await;
        let length = 64 << 20;
        let serve = async {
            provider
                .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                .await
                .unwrap();
            let (mut buffer, mut left) = (vec![0; 1 << 20], length);
            while left > 0 {
                left -= provider.read(&mut buffer).await.unwrap().min(left);
            }
            provider.write_all(b"4\r\ndone\r\n0\r\n\r\n").await.unwrap();
        };
        let call = async {
            let mut head = ask(&mut connection, Bytes::from(vec![b'x'; length])).await.unwrap();
            whole(&mut connection, &mut head.framing).await.unwrap()
        };
        assert_eq!(tokio::join!(call, serve).0, b"done");
        assert!(connection.can_follow());
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_or_spoke_unasked_is_not_quiet() {
        let (mut connection, provider) = connected().await;
        assert!(connection.is_quiet());
        drop(provider);
        assert_eq!(
            ask(&mut connection, Bytes::new()).await.unwrap_err(),
            NoHead::Unanswered
        );
        assert!(!connection.is_quiet());
        let (mut connection, mut provider) = connected().await;
        provider
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
            .await
            .unwrap();
        ask(&mut connection, Bytes::new()).await.unwrap();
        assert!(!connection.can_follow());
    }

    #[tokio::test]
    async fn half_a_head_a_switch_of_protocols_and_endless_heads_are_broken() {
        let endless = [b"HTTP/1.1 200 OK\r\nx: ".to_vec(), vec![b'y'; MOST_HEAD]].concat();
        let interim = b"HTTP/1.1 100 Go on\r\n\r\n".repeat(MOST_INTERIM + 1);
        let switch = b"HTTP/1.1 101 Switch\r\nupgrade: x\r\n\r\n".to_vec();
        for said in [
            b"HTTP/1.1 200 OK\r\nx:".to_vec(),
            b"SSH-2.0\r\n".to_vec(),
            switch,
            endless,
            interim,
        ] {
            let (mut connection, mut provider) = connected().await;
            provider.write_all(&said).await.unwrap();
            provider.shutdown().await.unwrap();
            assert_eq!(ask(&mut connection, Bytes::new()).await.unwrap_err(), NoHead::Broken);
        }
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_is_told_from_one_that_ends() {
        for (said, is_whole) in [
            ("content-length: 3\r\n\r\nab", false),
            ("transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", false),
            ("transfer-encoding: chunked\r\n\r\nno\r\n", false),
            ("\r\nab", true),
        ] {
            let (mut connection, mut provider) = connected().await;
            provider
                .write_all(format!("HTTP/1.1 200 OK\r\n{said}").as_bytes())
                .await
                .unwrap();
            provider.shutdown().await.unwrap();
            let mut head = ask(&mut connection, Bytes::new()).await.unwrap();
            assert_eq!(
                whole(&mut connection, &mut head.framing).await.is_ok(),
                is_whole,
                "{said}"
            );
        }
    }
}
