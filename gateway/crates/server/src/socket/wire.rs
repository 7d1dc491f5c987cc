//! A socket's frames: what is read and written, within bounds, and how it ends.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::caller::{CallerWire, HandedOver};

/// A caller that takes nothing for this long is given up.
const LONGEST_WRITE: Duration = Duration::from_mins(5);
/// How long a caller may take to answer a close.
const LONGEST_FAREWELL: Duration = Duration::from_secs(2);
/// Requests that wait while one is answered.
const MOST_WAITING: usize = 8;
const BUFFER_BYTES: usize = 16 << 10;

pub(super) type Socket = WebSocketStream<CallerWire>;

/// How a socket ends.
#[derive(Debug)]
pub(super) enum End {
    /// The other side closed, or is gone.
    Gone,
    /// We close it, for this reason.
    Close(CloseCode, &'static str),
}

/// A socket whose messages are at most so long.
pub(super) async fn over(over: HandedOver, most_bytes: u64) -> Socket {
    let most = usize::try_from(most_bytes).unwrap_or(usize::MAX);
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(most))
        .max_frame_size(Some(most));
    WebSocketStream::from_partially_read(over.wire, over.unread.to_vec(), Role::Server, Some(config)).await
}

/// End a socket in order: our close frame first, then theirs, and nothing left unread that would make a reset of it.
pub(super) async fn close(socket: &mut Socket, end: End) {
    let _ = tokio::time::timeout(LONGEST_FAREWELL, say_farewell(socket, end)).await;
}

async fn say_farewell(socket: &mut Socket, end: End) {
    let End::Close(code, reason) = end else {
        // Their close is answered with this, if there was one.
        let _ = socket.flush().await;
        return;
    };
    let reason = Utf8Bytes::from_static(reason);
    let _ = socket.close(Some(CloseFrame { code, reason })).await;
    while let Some(Ok(message)) = socket.next().await {
        if message.is_close() {
            return;
        }
    }
    // Their frames can not be read any more; what they still send is taken, so that our close is not lost in a reset.
    let stream = socket.get_mut();
    let _ = stream.shutdown().await;
    let mut unread = [0; 4096];
    while matches!(stream.read(&mut unread).await, Ok(count) if count > 0) {}
}

/// Requests that wait for their turn.
#[derive(Debug)]
pub(super) struct Waiting {
    texts: VecDeque<Utf8Bytes>,
    bytes: u64,
    most_bytes: u64,
}

impl Waiting {
    pub(super) const fn new(most_bytes: u64) -> Self {
        Self {
            texts: VecDeque::new(),
            bytes: 0,
            most_bytes,
        }
    }

    /// Take in what came.
    pub(super) fn hear(&mut self, message: Option<Result<Message, Error>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) => self.add(text),
            Some(Ok(Message::Binary(_))) => Err(End::Close(CloseCode::Unsupported, "text frames only")),
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(()),
            None | Some(Ok(Message::Close(_))) => Err(End::Gone),
            Some(Err(error)) => Err(end_of(&error)),
        }
    }

    fn add(&mut self, text: Utf8Bytes) -> Result<(), End> {
        self.bytes += text.len() as u64;
        if self.texts.len() >= MOST_WAITING || self.bytes > self.most_bytes {
            return Err(End::Close(CloseCode::Policy, "too many requests wait"));
        }
        self.texts.push_back(text);
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Utf8Bytes> {
        let text = self.texts.pop_front()?;
        self.bytes = self.bytes.saturating_sub(text.len() as u64);
        Some(text)
    }

    /// Do this, and hear meanwhile.
    pub(super) async fn during<T>(&mut self, socket: &mut Socket, work: impl Future<Output = T>) -> Result<T, End> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = work.as_mut() => return Ok(done),
                message = socket.next() => self.hear(message)?,
            }
        }
    }
}

fn end_of(error: &Error) -> End {
    match error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::Gone,
        Error::Protocol(_) => End::Close(CloseCode::Protocol, "a frame breaks the protocol"),
        Error::Capacity(_) => End::Close(CloseCode::Size, "a message is too large"),
        Error::Utf8(_) => End::Close(CloseCode::Invalid, "a text is not UTF-8"),
        _ => End::Gone,
    }
}

pub(super) async fn say(socket: &mut Socket, text: String) -> Result<(), End> {
    sent(socket.send(Message::text(text))).await
}

pub(super) async fn sent(sending: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    match tokio::time::timeout(LONGEST_WRITE, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}
