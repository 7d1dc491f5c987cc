//! A provider that answers at once, in three dialects: as JSON with usage, or as a stream of events.
//!
//! `x-bench-response-bytes` sets the size of an answer, `x-bench-events` the number of content events of a stream and
//! `x-bench-gap-us` the pause between two of them.

use std::io;
use std::time::Duration;

use airside_bench_tools::{FIRST_CONTENT, Head, STAMP, fill, now_ns, option, read_head};
use memchr::memmem;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Copy)]
enum Dialect {
    Messages,
    Responses,
    Chat,
}

fn main() -> io::Result<()> {
    let address = option("--listen").unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(&address).await?;
        println!("{{\"url\":\"http://{}\",\"pid\":{}}}", listener.local_addr()?, std::process::id());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                // A load generator that is done hangs up.
                let _ = serve(stream).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    while let Some(head) = read_head(&mut stream, &mut buffer).await? {
        let whole = match head.number("content-length") {
            Some(length) => head.length + length,
            None => read_chunked(&mut stream, &mut buffer, head.length).await?,
        };
        fill(&mut stream, &mut buffer, whole).await?;
        let is_stream = memmem::find(&buffer[head.length..whole], b"\"stream\":true").is_some();
        buffer.drain(..whole);
        let path = head.first_line.split(' ').nth(1).unwrap_or_default();
        let dialect = if path.contains("/messages") {
            Dialect::Messages
        } else if path.contains("/responses") {
            Dialect::Responses
        } else {
            Dialect::Chat
        };
        if is_stream {
            answer_stream(&mut stream, dialect, &head).await?;
        } else {
            answer_whole(&mut stream, dialect, &head).await?;
        }
    }
    Ok(())
}

/// Where a chunked body ends; proxies may re-frame what they were sent.
async fn read_chunked(stream: &mut TcpStream, buffer: &mut Vec<u8>, from: usize) -> io::Result<usize> {
    loop {
        if let Some(end) = memmem::find(&buffer[from..], b"0\r\n\r\n") {
            return Ok(from + end + 5);
        }
        let wanted = buffer.len() + 1;
        fill(stream, buffer, wanted).await?;
    }
}

async fn answer_whole(stream: &mut TcpStream, dialect: Dialect, head: &Head) -> io::Result<()> {
    let text = "x".repeat(head.number("x-bench-response-bytes").unwrap_or(600));
    let body = match dialect {
        Dialect::Messages => format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"bench","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":120,"cache_read_input_tokens":40,"cache_creation_input_tokens":0,"output_tokens":30}}}}"#
        ),
        Dialect::Responses => format!(
            r#"{{"id":"resp_1","object":"response","status":"completed","output":[{{"type":"message","role":"assistant","content":[{{"type":"output_text","text":"{text}"}}]}}],"usage":{{"input_tokens":160,"input_tokens_details":{{"cached_tokens":40}},"output_tokens":30,"total_tokens":190}}}}"#
        ),
        Dialect::Chat => format!(
            r#"{{"id":"chatcmpl-1","object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":160,"completion_tokens":30,"total_tokens":190}}}}"#
        ),
    };
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await
}

async fn answer_stream(stream: &mut TcpStream, dialect: Dialect, head: &Head) -> io::Result<()> {
    let events = head.number("x-bench-events").unwrap_or(20);
    let gap = Duration::from_micros(head.number("x-bench-gap-us").unwrap_or(0) as u64);
    let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut out = begin.as_bytes().to_vec();
    chunk(&mut out, start(dialect));
    for number in 0..events {
        chunk(&mut out, &delta(dialect, number));
        if !gap.is_zero() {
            stream.write_all(&out).await?;
            out.clear();
            tokio::time::sleep(gap).await;
        }
    }
    chunk(&mut out, end(dialect));
    out.extend_from_slice(b"0\r\n\r\n");
    stream.write_all(&out).await
}

fn chunk(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes());
}

fn start(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => {
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[],\"usage\":{\"input_tokens\":120,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        }
        Dialect::Responses => {
            "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"in_progress\"}}\n\n"
        }
        Dialect::Chat => {
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n"
        }
    }
}

/// Some words and the moment they left, so that whoever receives them can tell how long they took.
fn delta(dialect: Dialect, number: usize) -> String {
    let words = format!("{FIRST_CONTENT} {STAMP}{:019}", now_ns());
    match dialect {
        Dialect::Messages => format!("event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{{\"type\":\"text_delta\",\"text\":\"{words}\"}}}}\n\n"),
        Dialect::Responses => format!("event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"sequence_number\":{},\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,\"delta\":\"{words}\"}}\n\n", number + 1),
        Dialect::Chat => format!("data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{words}\"}},\"finish_reason\":null}}]}}\n\n"),
    }
}

fn end(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Messages => {
            "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":60}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
        }
        Dialect::Responses => {
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":999,\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"usage\":{\"input_tokens\":160,\"output_tokens\":60,\"total_tokens\":220}}}\n\n"
        }
        Dialect::Chat => {
            "data: {\"id\":\"chatcmpl-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":160,\"completion_tokens\":60,\"total_tokens\":220}}\n\ndata: [DONE]\n\n"
        }
    }
}
