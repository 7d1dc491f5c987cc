//! What both tools share: the little of HTTP/1.1 that they need to speak quickly.
//!
//! Not a general HTTP implementation: the peers are known and polite.

use std::io;

use memchr::memmem;
use tokio::io::{AsyncRead, AsyncReadExt};

/// What opens the content of a stream, in any dialect.
pub const FIRST_CONTENT: &str = " some words";
/// Stands before the moment at which a piece of a stream was sent, in nineteen digits.
pub const STAMP: &str = "sent@";

/// Nanoseconds since 1970, by the clock that all processes of a machine share.
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A message's head, and where its body lies in what was read so far.
#[derive(Debug)]
pub struct Head {
    /// The first line.
    pub first_line: String,
    /// Lower-case names and values.
    pub headers: Vec<(String, String)>,
    /// How many bytes the head took.
    pub length: usize,
}

impl Head {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A header's value as a number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.header(name)?.parse().ok()
    }
}

/// Read until a whole head is in the buffer. `None` when the peer is done.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> io::Result<Option<Head>> {
    loop {
        if let Some(end) = memmem::find(buffer, b"\r\n\r\n") {
            return Ok(Some(parse(&buffer[..end], end + 4)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn parse(bytes: &[u8], length: usize) -> Head {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n");
    let first_line = lines.next().unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Head { first_line, headers, length }
}

/// Read until the buffer holds this many bytes.
pub async fn fill(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>, wanted: usize) -> io::Result<()> {
    while buffer.len() < wanted {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// `--name value` or `--name=value` from the command line.
pub fn option(name: &str) -> Option<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let at = arguments.iter().position(|argument| argument == name);
    let after = at.and_then(|at| arguments.get(at + 1).cloned());
    let prefix = format!("{name}=");
    after.or_else(|| arguments.iter().find_map(|argument| argument.strip_prefix(&prefix).map(str::to_owned)))
}

/// All values of an option that may stand several times.
pub fn options(name: &str) -> Vec<String> {
    let arguments: Vec<String> = std::env::args().collect();
    let pairs = arguments.windows(2);
    pairs.filter(|pair| pair[0] == name).map(|pair| pair[1].clone()).collect()
}
