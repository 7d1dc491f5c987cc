//! A caller over a raw socket, so that every byte is seen.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::place::{KEY, PATIENCE};

/// A response, its body taken out of its framing.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// False when the connection ended before the body did.
    pub(crate) is_whole: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }
}

/// One connection of a caller.
pub(crate) struct Caller {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Caller {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Send a request with the usual key, without waiting for its answer.
    pub(crate) fn send(&mut self, path: &str, body: &[u8]) {
        self.send_with(path, &format!("authorization: Bearer {KEY}\r\n"), body);
    }

    pub(crate) fn send_with(&mut self, path: &str, headers: &str, body: &[u8]) {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.raw(&[head.as_bytes(), body].concat());
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn try_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The statuses of all that is answered until the connection ends.
    pub(crate) fn statuses(&mut self) -> Vec<u16> {
        let mut statuses = Vec::new();
        while self.peek(1).is_some() {
            statuses.push(self.reply().status);
        }
        statuses
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send(path, body.as_bytes());
        self.reply()
    }

    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Reply {
        self.raw(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n{headers}\r\n").as_bytes());
        self.reply()
    }

    fn more(&mut self) -> bool {
        let mut chunk = [0; 8 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(count) => {
                self.unread.extend_from_slice(&chunk[..count]);
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => false,
            Err(error) => panic!(
                "nothing came: {error}; so far {:?}",
                String::from_utf8_lossy(&self.unread)
            ),
        }
    }

    /// Read until this text has come; it stays to be read.
    pub(crate) fn wait_for(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.unread).contains(text) {
            assert!(self.more(), "the connection ended before '{text}'");
        }
    }

    pub(crate) fn has_seen(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.unread).contains(text)
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if !self.more() {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    fn take_until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                return self.take(at + mark.len());
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// The next bytes, which stay to be read.
    pub(crate) fn peek(&mut self, count: usize) -> Option<&[u8]> {
        while self.unread.len() < count {
            if !self.more() {
                return None;
            }
        }
        self.unread.get(..count)
    }

    /// The head of a response.
    pub(crate) fn head(&mut self) -> String {
        let head = self.take_until(b"\r\n\r\n").expect("a response");
        String::from_utf8(head).unwrap()
    }

    pub(crate) fn reply(&mut self) -> Reply {
        let head = self.head();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
            is_whole: true,
        };
        if let Some(length) = reply.header("content-length") {
            let length: usize = length.parse().unwrap();
            match self.take(length) {
                Some(body) => reply.body = body,
                None => reply.is_whole = false,
            }
            return reply;
        }
        loop {
            let Some(size) = self.take_until(b"\r\n") else {
                reply.is_whole = false;
                return reply;
            };
            let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim_end(), 16).unwrap();
            let Some(data) = self.take(size + 2) else {
                reply.is_whole = false;
                return reply;
            };
            if size == 0 {
                return reply;
            }
            reply.body.extend_from_slice(&data[..size]);
        }
    }
}
