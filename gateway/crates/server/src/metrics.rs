//! Counters for Prometheus. Labels are bounded: front doors, outcomes and status classes are fixed, providers come from
//! the snapshot and are capped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use airside_journal::{AttemptOutcome, ModelCall, Outcome};
use airside_protocols::FrontDoor;

const MOST_PROVIDERS: usize = 200;

/// Upper bounds of the duration histograms, in microseconds.
const BUCKETS_US: [u64; 14] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    50_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
];

#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BUCKETS_US.len()],
    count: AtomicU64,
    sum_us: AtomicU64,
}

impl Histogram {
    fn observe(&self, micros: u64) {
        let bucket = BUCKETS_US
            .iter()
            .zip(&self.buckets)
            .find(|(bound, _)| micros <= **bound);
        if let Some((_, count)) = bucket {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(micros, Ordering::Relaxed);
    }

    fn write(&self, out: &mut String, name: &str) {
        let _ = writeln!(out, "# TYPE {name} histogram");
        let mut below = 0;
        for (bound, count) in BUCKETS_US.iter().zip(&self.buckets) {
            below += count.load(Ordering::Relaxed);
            let _ = writeln!(out, "{name}_bucket{{le=\"{}\"}} {below}", seconds(*bound));
        }
        let count = self.count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(out, "{name}_sum {}", seconds(self.sum_us.load(Ordering::Relaxed)));
        let _ = writeln!(out, "{name}_count {count}");
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric needs no more digits than a float has"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    calls: [[AtomicU64; Outcome::ALL.len()]; FrontDoor::ALL.len()],
    tokens: [AtomicU64; 5],
    cost_nanousd: AtomicU64,
    pub(crate) in_flight: AtomicU64,
    pub(crate) refused_keys: AtomicU64,
    pub(crate) holds_exceeded: AtomicU64,
    pub(crate) sockets_opened: AtomicU64,
    total: Histogram,
    gateway: Histogram,
    first_byte: Histogram,
    attempts: Mutex<BTreeMap<Arc<str>, [u64; AttemptOutcome::ALL.len()]>>,
}

impl Metrics {
    /// Count a call that is over.
    pub(crate) fn count(&self, front_door: FrontDoor, call: &ModelCall) {
        let door = FrontDoor::ALL
            .iter()
            .zip(&self.calls)
            .find(|(door, _)| **door == front_door);
        let outcomes = door.into_iter().flat_map(|(_, counts)| Outcome::ALL.iter().zip(counts));
        for (_, count) in outcomes.filter(|(outcome, _)| **outcome == call.outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let usage = &call.usage;
        let counts = [
            usage.input_uncached,
            usage.cache_read,
            usage.cache_write_5m,
            usage.cache_write_1h,
            usage.output,
        ];
        for (total, count) in self.tokens.iter().zip(counts) {
            total.fetch_add(count, Ordering::Relaxed);
        }
        self.cost_nanousd.fetch_add(call.cost_nanousd, Ordering::Relaxed);
        self.total.observe(call.timings.total_us);
        self.gateway.observe(call.timings.gateway_us);
        if let Some(first_byte_us) = call.timings.first_byte_us {
            self.first_byte.observe(first_byte_us);
        }
        self.count_attempts(call);
    }

    fn count_attempts(&self, call: &ModelCall) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for attempt in &call.attempts {
            let is_known = attempts.contains_key(&attempt.provider);
            let name = if is_known || attempts.len() < MOST_PROVIDERS {
                Arc::clone(&attempt.provider)
            } else {
                "other".into()
            };
            let counts = attempts.entry(name).or_default();
            let outcomes = AttemptOutcome::ALL.iter().zip(counts);
            for (_, count) in outcomes.filter(|(outcome, _)| **outcome == attempt.outcome) {
                *count += 1;
            }
        }
    }

    /// Everything as Prometheus text.
    pub(crate) fn text(&self, gauges: &[(&str, u64)]) -> String {
        let mut out = String::with_capacity(4096);
        out.push_str("# TYPE airside_gateway_calls_total counter\n");
        for (door, counts) in FrontDoor::ALL.iter().zip(&self.calls) {
            for (outcome, count) in Outcome::ALL.iter().zip(counts) {
                let count = count.load(Ordering::Relaxed);
                let _ = writeln!(
                    out,
                    "airside_gateway_calls_total{{front_door=\"{}\",outcome=\"{}\"}} {count}",
                    door.name(),
                    outcome.name()
                );
            }
        }
        out.push_str("# TYPE airside_gateway_tokens_total counter\n");
        let kinds = [
            "input_uncached",
            "cache_read",
            "cache_write_5m",
            "cache_write_1h",
            "output",
        ];
        for (kind, count) in kinds.iter().zip(&self.tokens) {
            let _ = writeln!(
                out,
                "airside_gateway_tokens_total{{kind=\"{kind}\"}} {}",
                count.load(Ordering::Relaxed)
            );
        }
        let counters = [
            ("airside_gateway_cost_nanousd_total", &self.cost_nanousd),
            ("airside_gateway_refused_keys_total", &self.refused_keys),
            ("airside_gateway_holds_exceeded_total", &self.holds_exceeded),
            ("airside_gateway_sockets_opened_total", &self.sockets_opened),
        ];
        for (name, count) in counters {
            let _ = writeln!(out, "# TYPE {name} counter\n{name} {}", count.load(Ordering::Relaxed));
        }
        self.write_attempts(&mut out);
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        for (name, value) in [("calls_in_flight", in_flight)].iter().chain(gauges) {
            let _ = writeln!(
                out,
                "# TYPE airside_gateway_{name} gauge\nairside_gateway_{name} {value}"
            );
        }
        self.total.write(&mut out, "airside_gateway_call_seconds");
        self.gateway.write(&mut out, "airside_gateway_added_seconds");
        self.first_byte.write(&mut out, "airside_gateway_first_byte_seconds");
        out
    }

    fn write_attempts(&self, out: &mut String) {
        out.push_str("# TYPE airside_gateway_attempts_total counter\n");
        let attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        for (provider, counts) in attempts.iter() {
            let provider = provider.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
            for (outcome, count) in AttemptOutcome::ALL.iter().zip(counts) {
                let outcome = outcome.name();
                let _ = writeln!(
                    out,
                    "airside_gateway_attempts_total{{provider=\"{provider}\",outcome=\"{outcome}\"}} {count}"
                );
            }
        }
    }
}
