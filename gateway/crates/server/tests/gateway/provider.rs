//! A provider that does what a test tells it to, on a thread for each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::place::PATIENCE;

/// What a provider does with one request, step by step.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Go on when the test opens this gate.
    Wait(Gate),
    /// Close the connection.
    Close,
    /// Say nothing until the gateway hangs up.
    Silence,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Opened once by a test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    pub(crate) fn wait(&self) {
        let waited = self
            .0
            .1
            .wait_timeout_while(self.0.0.lock().unwrap(), PATIENCE, |open| !*open);
        assert!(*waited.unwrap().0, "the gate was never opened");
    }
}

#[derive(Debug, Default)]
struct Seen {
    received: Vec<Received>,
    hung_up: usize,
    connections: usize,
}

/// The provider.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) url: String,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Provider {
    /// One that answers its n-th request with the n-th script, and the last one from then on.
    pub(crate) fn new(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let provider = Self {
            url,
            seen: Arc::default(),
        };
        let theirs = provider.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (provider, scripts) = (theirs.clone(), scripts.clone());
                provider.seen.0.lock().unwrap().connections += 1;
                std::thread::spawn(move || provider.serve(stream, &scripts));
            }
        });
        provider
    }

    /// One that always answers the same.
    pub(crate) fn always(script: Vec<Act>) -> Self {
        Self::new(vec![script])
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.seen.0.lock().unwrap().received.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.0.lock().unwrap().connections
    }

    /// Wait until the gateway closed so many connections in the middle of an answer.
    pub(crate) fn wait_for_hang_ups(&self, count: usize) {
        let guard = self.seen.0.lock().unwrap();
        let waited = self
            .seen
            .1
            .wait_timeout_while(guard, PATIENCE, |seen| seen.hung_up < count);
        assert!(waited.unwrap().0.hung_up >= count, "the gateway did not hang up");
    }

    pub(crate) fn wait_for_requests(&self, count: usize) {
        let guard = self.seen.0.lock().unwrap();
        let waited = self
            .seen
            .1
            .wait_timeout_while(guard, PATIENCE, |seen| seen.received.len() < count);
        assert!(waited.unwrap().0.received.len() >= count, "the request did not come");
    }

    fn serve(&self, mut stream: TcpStream, scripts: &[Vec<Act>]) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        while let Some(received) = receive(&mut stream) {
            let number = {
                let mut seen = self.seen.0.lock().unwrap();
                seen.received.push(received);
                self.seen.1.notify_all();
                seen.received.len() - 1
            };
            let script = scripts.get(number).or(scripts.last()).unwrap();
            for act in script {
                if !self.act(act, &mut stream) {
                    return;
                }
            }
        }
    }

    /// True while the connection goes on.
    fn act(&self, act: &Act, stream: &mut TcpStream) -> bool {
        match act {
            Act::Send(bytes) => stream.write_all(bytes).is_ok(),
            Act::Wait(gate) => {
                gate.wait();
                true
            }
            Act::Close => {
                let _ = stream.shutdown(Shutdown::Both);
                false
            }
            Act::Silence => {
                let ended = stream.read(&mut [0; 1]);
                assert!(matches!(ended, Ok(0)) || ended.is_err(), "the gateway said more");
                self.seen.0.lock().unwrap().hung_up += 1;
                self.seen.1.notify_all();
                false
            }
        }
    }
}

fn receive(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        let mut chunk = [0; 8 << 10];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = bytes[head_end..].to_vec();
    while body.len() < length {
        let mut chunk = [0; 8 << 10];
        let count = stream.read(&mut chunk).ok().filter(|count| *count > 0)?;
        body.extend_from_slice(&chunk[..count]);
    }
    Some(Received { line, headers, body })
}

/// A whole answer with a JSON body.
pub(crate) fn json(status: u16, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n");
    vec![Act::Send([head.as_bytes(), body.as_bytes()].concat())]
}

/// The head of a stream of events.
pub(crate) fn events_head() -> Act {
    Act::Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nrequest-id: req_theirs\r\n\r\n".to_vec())
}

/// Bytes of a chunked body.
pub(crate) fn chunk(text: &str) -> Act {
    Act::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The proper end of a chunked body.
pub(crate) fn end() -> Act {
    Act::Send(b"0\r\n\r\n".to_vec())
}

/// A stream that comes whole.
pub(crate) fn stream(text: &str) -> Vec<Act> {
    vec![events_head(), chunk(text), end()]
}

pub(crate) const MESSAGE: &str = r#"{"id":"msg_1","type":"message","content":[{"type":"text","text":"hi"}],"usage":{"input_tokens":10,"cache_read_input_tokens":4,"output_tokens":3}}"#;
pub(crate) const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":20,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\n";
pub(crate) const DELTA: &str = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello world!\"}}\n\n";
pub(crate) const STOP: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

pub(crate) fn whole_stream() -> String {
    [START, DELTA, STOP].concat()
}
