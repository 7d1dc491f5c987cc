//! A gateway of a test's own: its directory, its snapshot, its journal.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use airside_server::options::{Collector, Options, Source};
use airside_server::{Level, Running};
use http::header::{HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::caller::{Caller, Reply};
use crate::provider::Provider;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A key in the form of all keys; of the shared vectors.
pub(crate) const KEY: &str = "air_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA3Qc2uM";

pub(crate) struct Place {
    pub(crate) directory: PathBuf,
    running: Option<Running>,
    collector: Option<Collector>,
}

/// Providers named a, b, c ... of one protocol, in a chain that serves model `m`; prices of a dollar a million.
pub(crate) fn snapshot(protocol: &str, providers: &[&Provider]) -> Value {
    assert_eq!(vector_key(0), KEY);
    let names = ["a", "b", "c"];
    let suffix = if protocol.starts_with("openai") { "/v1" } else { "" };
    let kind = if protocol == "gemini" {
        "x_goog_api_key"
    } else {
        "x_api_key"
    };
    let listed = providers.iter().zip(names).map(|(provider, name)| {
        json!({"name": name, "protocol": protocol, "base_url": format!("{}{suffix}", provider.url),
               "credential": {"kind": kind, "secret": format!("sk-{name}")}})
    });
    let targets = names.iter().take(providers.len()).map(
        |name| json!({"provider": name, "model": format!("real/{name}"), "max_output_tokens": 1000, "price": price()}),
    );
    json!({
        "format": 1, "version": 1, "compiled_at": "2026-11-23T17:52:28Z",
        "keys": [{"key_id": "key_1", "sha256": vector_sha256(0), "project": "payments", "agent_id": "agent_1",
                  "agent_name": "fixer"}],
        "providers": listed.collect::<Vec<_>>(),
        "models": [{"name": "m", "route": [{"to": targets.collect::<Vec<_>>()}]}],
    })
}

pub(crate) fn price() -> Value {
    json!({"tiers": [{"input_uncached": 1_000_000_000, "cache_read": 100_000_000, "cache_write_5m": 1_000_000_000,
                      "cache_write_1h": 2_000_000_000, "output": 2_000_000_000}]})
}

fn vector(number: usize, what: &str) -> String {
    let text = include_str!("../../../../../contracts/vectors/keys.json");
    let vectors = serde_json::from_str::<Value>(text).unwrap();
    vectors["keys"][number][what].as_str().unwrap().to_owned()
}

pub(crate) fn vector_key(number: usize) -> String {
    vector(number, "key")
}

pub(crate) fn vector_sha256(number: usize) -> String {
    vector(number, "sha256")
}

impl Place {
    pub(crate) fn new(snapshot: &Value) -> Self {
        Self::build(snapshot, None)
    }

    /// One that sends spans to this URL.
    pub(crate) fn with_collector(snapshot: &Value, url: &str) -> Self {
        let key = (
            HeaderName::from_static("x-collector-key"),
            HeaderValue::from_static("k1"),
        );
        let collector = Collector {
            url: url.to_owned(),
            headers: [key].into_iter().collect(),
        };
        Self::build(snapshot, Some(collector))
    }

    fn build(snapshot: &Value, collector: Option<Collector>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "airside-gateway-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let mut place = Self {
            directory,
            running: None,
            collector,
        };
        place.write_snapshot(snapshot);
        place.start(None);
        place
    }

    pub(crate) fn write_snapshot(&self, snapshot: &Value) {
        let part = self.directory.join("snapshot.part");
        std::fs::write(&part, snapshot.to_string()).unwrap();
        std::fs::rename(part, self.directory.join("snapshot.json")).unwrap();
    }

    pub(crate) fn start(&mut self, ca_file: Option<PathBuf>) {
        let options = Options {
            listen: "127.0.0.1:0".parse().unwrap(),
            socket: None,
            data: self.directory.join("data"),
            source: Source::File(self.directory.join("snapshot.json")),
            ca_file,
            ready_file: None,
            workers: 2,
            drain: Duration::from_secs(5),
            spool_bytes: 64 << 20,
            body_bytes: 1 << 20,
            take_over: false,
            collector: self.collector.clone(),
            log_level: Level::Error,
        };
        self.running = Some(airside_server::start(options).unwrap());
    }

    pub(crate) fn restart(&mut self, ca_file: Option<PathBuf>) {
        self.stop();
        self.start(ca_file);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::connect(self.running.as_ref().unwrap().address)
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.caller().post(path, body)
    }

    /// The journal, once it has this many records, in the order in which the calls came: a record is written behind its
    /// answer, when the next call may already be on its way.
    pub(crate) fn journal(&self, count: usize) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(self.directory.join("data/journal.jsonl")).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            let mut records: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            if records.len() >= count {
                assert_eq!(records.len(), count, "{records:#?}");
                records.sort_by(|one, other| one["at"].as_str().cmp(&other["at"].as_str()));
                return records;
            }
            assert!(Instant::now() < deadline, "only {} records came", records.len());
            std::thread::yield_now();
        }
    }

    /// Ask `/readyz` until it says this.
    pub(crate) fn wait_until_ready_says(&self, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.caller().get("/readyz", "").json();
            if wanted(&state) {
                return;
            }
            assert!(Instant::now() < deadline, "{state}");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// The reasons of all attempts of a record, as "provider outcome reason".
pub(crate) fn attempts(record: &Value) -> Vec<String> {
    let attempts = record["attempts"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    attempts
        .map(|attempt| {
            format!(
                "{} {} {}",
                text(&attempt["provider"]),
                text(&attempt["outcome"]),
                text(&attempt["reason"])
            )
        })
        .collect()
}
