//! A caller over a WebSocket whose every frame is made by hand.

use serde_json::Value;

use crate::caller::Caller;
use crate::place::{KEY, Place};

pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;
const FINAL: u8 = 0x80;

pub(crate) fn upgrade(headers: &str) -> String {
    format!(
        "GET /v1/responses HTTP/1.1\r\nhost: gateway\r\nconnection: keep-alive, Upgrade\r\nupgrade: WebSocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

pub(crate) fn usual() -> String {
    format!("authorization: Bearer {KEY}\r\nopenai-beta: responses_websockets=2026-02-06\r\nsession-id: s1\r\n")
}

pub(crate) struct Socket(pub(crate) Caller);

impl Socket {
    pub(crate) fn open(place: &Place) -> Self {
        let mut caller = place.caller();
        caller.raw(upgrade(&usual()).as_bytes());
        let head = caller.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(caller)
    }

    pub(crate) fn frame(&mut self, first: u8, payload: &[u8]) {
        self.0.raw(&masked(first, payload));
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.frame(FINAL | TEXT, text.as_bytes());
    }

    /// The next frame: its first byte and its payload.
    pub(crate) fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.0.take(2)?;
        let length = match head[1] {
            126 => usize::from(u16::from_be_bytes(self.0.take(2)?.try_into().unwrap())),
            127 => usize::try_from(u64::from_be_bytes(self.0.take(8)?.try_into().unwrap())).unwrap(),
            length => {
                assert!(length < 126, "a server's frame is not masked");
                usize::from(length)
            }
        };
        Some((head[0], self.0.take(length)?))
    }

    pub(crate) fn event(&mut self) -> Value {
        let (first, payload) = self.next().expect("an event");
        assert_eq!(first, FINAL | TEXT, "{}", String::from_utf8_lossy(&payload));
        serde_json::from_slice(&payload).unwrap()
    }

    /// The events of one answer.
    pub(crate) fn answer(&mut self) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            let event = self.event();
            let kind = event["type"].as_str().unwrap().to_owned();
            events.push(event);
            if ["response.completed", "response.incomplete", "response.failed", "error"].contains(&kind.as_str()) {
                return events;
            }
        }
    }

    /// The code the gateway closes with, and nothing after it.
    pub(crate) fn close_code(&mut self) -> u16 {
        let (first, payload) = self.next().expect("a close");
        assert_eq!(first, FINAL | CLOSE, "{}", String::from_utf8_lossy(&payload));
        self.frame(FINAL | CLOSE, &payload[..2]);
        assert_eq!(self.next(), None);
        u16::from_be_bytes([payload[0], payload[1]])
    }
}

pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..65536 => {
            frame.push(0xFE);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0xFF);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
