//! A closed loop of requests over kept connections, and how long each took. One line of JSON at the end.
//!
//! `--url`, `--path`, `--model`, `--connections`, `--requests`, `--body-bytes`, `--stream`, `--warmup`, `--ramp-ms` (over
//! which connections are opened), `--header "name: value"`. Every answer is checked: another status, a body of another
//! length or a stream without its end stops the run; with `--keep-going` it is counted instead.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use airside_bench_tools::{FIRST_CONTENT, STAMP, fill, now_ns, option, options, read_head};
use memchr::memmem;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

struct Plan {
    address: String,
    request: Vec<u8>,
    is_stream: bool,
    keeps_going: bool,
    ramp: Duration,
    connections: usize,
}

#[derive(Default)]
struct Times {
    left: usize,
    failed: usize,
    first_failure: Option<String>,
    total_us: Vec<f64>,
    first_us: Vec<f64>,
    /// Of every piece of a stream that came by itself: from being sent to being here.
    piece_us: Vec<f64>,
}

fn number(name: &str, usual: usize) -> usize {
    option(name).and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn main() -> io::Result<()> {
    let url = option("--url").ok_or(io::ErrorKind::InvalidInput)?;
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let is_there = |name: &str| std::env::args().any(|argument| argument == name);
    let is_stream = is_there("--stream");
    let plan = Rc::new(Plan {
        request: request(&address, is_stream),
        address,
        is_stream,
        keeps_going: is_there("--keep-going"),
        ramp: Duration::from_millis(number("--ramp-ms", 0) as u64),
        connections: number("--connections", 1),
    });
    let (connections, warmup, requests) = (number("--connections", 1), number("--warmup", 200), number("--requests", 2000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (times, elapsed_s) = LocalSet::new().block_on(&runtime, async {
        if warmup > 0 {
            run(&plan, connections, warmup).await?;
        }
        let began = Instant::now();
        let times = run(&plan, connections, requests).await?;
        io::Result::Ok((times, began.elapsed().as_secs_f64()))
    })?;
    println!(
        "{}",
        json!({
            "requests": requests, "connections": connections, "seconds": elapsed_s,
            "failed": times.failed, "first_failure": times.first_failure,
            "per_second": requests as f64 / elapsed_s, "request_bytes": plan.request.len(),
            "total_us": quantiles(times.total_us), "first_us": quantiles(times.first_us),
            "piece_us": quantiles(times.piece_us),
        })
    );
    Ok(())
}

fn request(address: &str, is_stream: bool) -> Vec<u8> {
    let path = option("--path").unwrap_or_else(|| "/v1/messages".to_owned());
    let model = option("--model").unwrap_or_else(|| "bench".to_owned());
    let limit = if path.contains("responses") { "max_output_tokens" } else { "max_tokens" };
    let said = if path.contains("responses") { "input" } else { "messages" };
    let mut body = format!("{{\"model\":\"{model}\",\"{limit}\":256,\"stream\":{is_stream},\"{said}\":[");
    let turn = "{\"role\":\"user\",\"content\":\"please read src/main.rs and tell me what \\\"start\\\" does, line by line\\n\"},";
    let wanted = number("--body-bytes", 1024);
    while body.len() + turn.len() + 40 < wanted {
        body.push_str(turn);
    }
    let padding = "y".repeat(wanted.saturating_sub(body.len() + 32));
    body.push_str(&format!("{{\"role\":\"user\",\"content\":\"{padding}\"}}]}}"));
    let mut head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
    for header in options("--header") {
        head.push_str(&header);
        head.push_str("\r\n");
    }
    format!("{head}\r\n{body}").into_bytes()
}

async fn run(plan: &Rc<Plan>, connections: usize, requests: usize) -> io::Result<Times> {
    let times = Rc::new(RefCell::new(Times { left: requests, ..Times::default() }));
    let tasks: Vec<_> = (0..connections)
        .map(|number| {
            let (plan, times) = (Rc::clone(plan), Rc::clone(&times));
            tokio::task::spawn_local(async move {
                if !plan.ramp.is_zero() {
                    tokio::time::sleep(plan.ramp.mul_f64(number as f64 / plan.connections as f64)).await;
                }
                match one(Rc::clone(&plan), Rc::clone(&times)).await {
                    Err(failure) if plan.keeps_going => {
                        let mut times = times.borrow_mut();
                        times.failed += 1;
                        times.first_failure.get_or_insert_with(|| failure.to_string());
                        Ok(())
                    }
                    ended => ended,
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Rc::try_unwrap(times).map(RefCell::into_inner).map_err(|_| io::Error::other("a task still runs"))
}

async fn one(plan: Rc<Plan>, times: Rc<RefCell<Times>>) -> io::Result<()> {
    let mut stream = TcpStream::connect(&plan.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(if plan.is_stream { 16 << 10 } else { 1 << 20 });
    loop {
        {
            let mut times = times.borrow_mut();
            if times.left == 0 {
                return Ok(());
            }
            times.left -= 1;
        }
        let began = Instant::now();
        stream.write_all(&plan.request).await?;
        let mut pieces = Vec::new();
        let first = answer(&mut stream, &mut buffer, plan.is_stream, began, &mut pieces).await?;
        let mut times = times.borrow_mut();
        times.piece_us.append(&mut pieces);
        times.total_us.push(began.elapsed().as_secs_f64() * 1e6);
        times.first_us.extend(first);
    }
}

async fn answer(
    stream: &mut TcpStream, buffer: &mut Vec<u8>, is_stream: bool, began: Instant, pieces: &mut Vec<f64>,
) -> io::Result<Option<f64>> {
    buffer.clear();
    let head = read_head(stream, buffer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if !head.first_line.contains(" 200 ") {
        let text = String::from_utf8_lossy(buffer).into_owned();
        return Err(io::Error::other(text));
    }
    if !is_stream {
        match head.number("content-length") {
            Some(length) => fill(stream, buffer, head.length + length).await?,
            None => to_the_last_chunk(stream, buffer).await?,
        }
        return Ok(None);
    }
    let (mut first, mut seen) = (None, head.length);
    loop {
        if first.is_none() && memmem::find(&buffer[head.length..], FIRST_CONTENT.as_bytes()).is_some() {
            first = Some(began.elapsed().as_secs_f64() * 1e6);
        }
        seen = note_pieces(buffer, seen, pieces);
        if buffer.ends_with(b"0\r\n\r\n") {
            return Ok(first);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn to_the_last_chunk(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    while !buffer.ends_with(b"0\r\n\r\n") {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Note how old the stamps are that came since; returns how far that went.
fn note_pieces(buffer: &[u8], mut seen: usize, pieces: &mut Vec<f64>) -> usize {
    let now = now_ns();
    while let Some(at) = memmem::find(&buffer[seen..], STAMP.as_bytes()) {
        let digits = seen + at + STAMP.len();
        let Some(text) = buffer.get(digits..digits + 19) else { break };
        let sent: Option<u64> = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        if let Some(sent) = sent {
            pieces.push(now.saturating_sub(sent) as f64 / 1e3);
        }
        seen = digits + 19;
    }
    seen
}

fn quantiles(mut values: Vec<f64>) -> serde_json::Value {
    if values.is_empty() {
        return serde_json::Value::Null;
    }
    values.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "mean": mean, "max": at(1.0)})
}
