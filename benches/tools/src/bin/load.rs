//! A closed loop of requests over kept connections, and how long each took. One line of JSON at the end.
//!
//! `--url`, `--path`, `--connections`, `--requests`, `--body-bytes`, `--stream`, `--warmup`, `--header "name: value"`.
//! Every answer is checked: another status, a body of another length or a stream without its end stops the run.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Instant;

use airside_bench_tools::{fill, option, options, read_head};
use memchr::memmem;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What opens the content of a stream, in any of the three dialects.
const FIRST_CONTENT: &[u8] = b" some words";

struct Plan {
    address: String,
    request: Vec<u8>,
    is_stream: bool,
}

#[derive(Default)]
struct Times {
    left: usize,
    total_us: Vec<f64>,
    first_us: Vec<f64>,
}

fn number(name: &str, usual: usize) -> usize {
    option(name).and_then(|value| value.parse().ok()).unwrap_or(usual)
}

fn main() -> io::Result<()> {
    let url = option("--url").ok_or(io::ErrorKind::InvalidInput)?;
    let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let is_stream = std::env::args().any(|argument| argument == "--stream");
    let plan = Rc::new(Plan { request: request(&address, is_stream), address, is_stream });
    let (connections, warmup, requests) = (number("--connections", 1), number("--warmup", 200), number("--requests", 2000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (times, elapsed_s) = LocalSet::new().block_on(&runtime, async {
        run(&plan, connections, warmup).await?;
        let began = Instant::now();
        let times = run(&plan, connections, requests).await?;
        io::Result::Ok((times, began.elapsed().as_secs_f64()))
    })?;
    println!(
        "{}",
        json!({
            "requests": requests, "connections": connections, "seconds": elapsed_s,
            "per_second": requests as f64 / elapsed_s, "request_bytes": plan.request.len(),
            "total_us": quantiles(times.total_us), "first_us": quantiles(times.first_us),
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
    let tasks: Vec<_> = (0..connections).map(|_| tokio::task::spawn_local(one(Rc::clone(plan), Rc::clone(&times)))).collect();
    for task in tasks {
        task.await.map_err(io::Error::other)??;
    }
    Rc::try_unwrap(times).map(RefCell::into_inner).map_err(|_| io::Error::other("a task still runs"))
}

async fn one(plan: Rc<Plan>, times: Rc<RefCell<Times>>) -> io::Result<()> {
    let mut stream = TcpStream::connect(&plan.address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(1 << 20);
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
        let first = answer(&mut stream, &mut buffer, plan.is_stream, began).await?;
        let mut times = times.borrow_mut();
        times.total_us.push(began.elapsed().as_secs_f64() * 1e6);
        times.first_us.extend(first);
    }
}

async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>, is_stream: bool, began: Instant) -> io::Result<Option<f64>> {
    buffer.clear();
    let head = read_head(stream, buffer).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    if !head.first_line.contains(" 200 ") {
        let text = String::from_utf8_lossy(buffer).into_owned();
        return Err(io::Error::other(text));
    }
    if !is_stream {
        let length = head.number("content-length").ok_or_else(|| io::Error::other("no content-length"))?;
        fill(stream, buffer, head.length + length).await?;
        return Ok(None);
    }
    let mut first = None;
    loop {
        if first.is_none() && memmem::find(&buffer[head.length..], FIRST_CONTENT).is_some() {
            first = Some(began.elapsed().as_secs_f64() * 1e6);
        }
        if buffer.ends_with(b"0\r\n\r\n") {
            return Ok(first);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
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
