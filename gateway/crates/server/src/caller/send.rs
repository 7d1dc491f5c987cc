//! An answer on its way to a caller.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Response, StatusCode};
use http_body::Frame;

use super::answer_head::{Exchange, Said, Shape, write_field, write_head};
use super::connection::Connection;
use super::line::Line;
use super::outbox::Outbox;
use crate::call::{AnswerStream, Chunks, Frames};

/// A provider is asked for no more while so much waits for the caller.
const MOST_WAITING: usize = 64 << 10;

/// What becomes of a connection behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    /// The next request is read.
    GoesOn,
    /// It ends in order.
    Ends,
    /// It ends at once: the caller is gone, or its answer could not be finished.
    Breaks,
    /// Another protocol begins.
    Switches,
}

/// Send an answer.
pub(super) async fn send(
    connection: &Connection,
    response: Response<AnswerStream>,
    exchange: Exchange,
    date: &[u8],
) -> Sent {
    let (head, AnswerStream { told, frames }) = response.into_parts();
    let mut outbox = Outbox::default();
    let said = Said {
        head: &head,
        told: told.lines(),
        date,
    };
    let after = |goes_on| if goes_on { Sent::GoesOn } else { Sent::Ends };
    match frames {
        Frames::Whole(bytes) => {
            let (shape, goes_on) = write_head(&mut outbox, &said, exchange, Some(bytes.len() as u64));
            if shape != Shape::Nothing {
                outbox.push(bytes);
            }
            match poll_fn(|cx| connection.line().poll_send(cx, &mut outbox)).await {
                Ok(()) if head.status == StatusCode::SWITCHING_PROTOCOLS => Sent::Switches,
                Ok(()) => after(goes_on),
                Err(_) => Sent::Breaks,
            }
        }
        Frames::Chunks(chunks) => {
            let (shape, goes_on) = write_head(&mut outbox, &said, exchange, None);
            let mut streaming = Streaming {
                chunks,
                outbox,
                shape,
                is_over: shape == Shape::Nothing,
            };
            match poll_fn(|cx| streaming.poll(&mut connection.line(), cx)).await {
                Ok(()) => after(goes_on),
                Err(_) => Sent::Breaks,
            }
        }
    }
}

/// An answer that is sent as it comes.
struct Streaming {
    chunks: Chunks,
    outbox: Outbox,
    shape: Shape,
    is_over: bool,
}

impl Streaming {
    fn poll(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A caller that is gone takes the answer with it, and so the request of the provider. It is looked for first: what
        // is written to it would seem to arrive.
        if line.poll_gone(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        loop {
            let is_waiting = self.poll_take(cx)?.is_pending();
            ready!(line.poll_send(cx, &mut self.outbox))?;
            if self.is_over {
                return Poll::Ready(Ok(()));
            }
            if is_waiting {
                return Poll::Pending;
            }
        }
    }

    /// Take what is there, up to as much as may wait.
    fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_over && self.outbox.bytes() < MOST_WAITING {
            match ready!(self.chunks.as_mut().poll_next(cx)) {
                Some(Ok(frame)) => self.add(frame)?,
                Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                None => self.end(None)?,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn add(&mut self, frame: Frame<Bytes>) -> io::Result<()> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => Ok(()),
            Ok(data) => self.add_data(data),
            Err(other) => match other.into_trailers() {
                Ok(trailers) => self.end(Some(&trailers)),
                Err(_) => Ok(()),
            },
        }
    }

    fn add_data(&mut self, data: Bytes) -> io::Result<()> {
        match &mut self.shape {
            Shape::Nothing => {}
            Shape::UntilClose => self.outbox.push(data),
            Shape::Length(left) => {
                // More than was announced would be read as another answer.
                *left = left.checked_sub(data.len() as u64).ok_or(io::ErrorKind::InvalidData)?;
                self.outbox.push(data);
                self.is_over = *left == 0;
            }
            Shape::Chunks => {
                write_size(&mut self.outbox, data.len());
                self.outbox.push(data);
                self.outbox.copy(b"\r\n");
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&HeaderMap>) -> io::Result<()> {
        self.is_over = true;
        match self.shape {
            Shape::Length(1..) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Shape::Chunks => {
                self.outbox.copy(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    write_field(&mut self.outbox, name.as_str().as_bytes(), value.as_bytes());
                }
                self.outbox.copy(b"\r\n");
            }
            _ => {}
        }
        Ok(())
    }
}

/// Digits of the size of a chunk, which is shorter than 4 GiB.
const MOST_DIGITS: usize = 8;

/// Write the line before a chunk of so many bytes.
fn write_size(outbox: &mut Outbox, bytes: usize) {
    let mut left = bytes;
    let mut digits = [b'0'; MOST_DIGITS];
    for digit in digits.iter_mut().rev() {
        let value = u32::try_from(left & 15).unwrap_or_default();
        *digit = char::from_digit(value, 16).map_or(b'0', |sign| sign as u8);
        left >>= 4;
    }
    let zeros = digits
        .iter()
        .take(MOST_DIGITS - 1)
        .take_while(|digit| **digit == b'0')
        .count();
    outbox.copy(digits.get(zeros..).unwrap_or_default());
    outbox.copy(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_size_of_a_chunk_is_written_in_hexadecimal() {
        for (bytes, line) in [
            (1, "1\r\n"),
            (15, "f\r\n"),
            (16, "10\r\n"),
            (0xabc, "abc\r\n"),
            (0xffff_ffff, "ffffffff\r\n"),
        ] {
            let (mut outbox, mut written) = (Outbox::default(), Vec::new());
            write_size(&mut outbox, bytes);
            poll_fn(|cx| outbox.poll_send(&mut written, cx)).await.unwrap();
            assert_eq!(String::from_utf8(written).unwrap(), line);
        }
    }
}
