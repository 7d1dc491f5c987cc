//! Lengths of time, counted in buckets of fixed bounds.

use super::text::Text;

/// Upper bounds, in microseconds.
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

/// One distribution.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Histogram {
    buckets: [u64; BUCKETS_US.len()],
    count: u64,
    sum_us: u64,
}

impl Histogram {
    pub(crate) fn observe(&mut self, micros: u64) {
        let bucket = BUCKETS_US
            .iter()
            .zip(&mut self.buckets)
            .find(|(bound, _)| micros <= **bound);
        if let Some((_, count)) = bucket {
            *count += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(micros);
    }

    /// Write it under this name and these labels, in seconds.
    pub(crate) fn write(&self, out: &mut Text, name: &str, labels: &[(&str, &str)]) {
        let mut below = 0;
        for (bound, count) in BUCKETS_US.iter().zip(&self.buckets) {
            below += count;
            out.sample(name, "_bucket", labels, Some(&seconds(*bound).to_string()), below);
        }
        out.sample(name, "_bucket", labels, Some("+Inf"), self.count);
        out.sample(name, "_sum", labels, None, seconds(self.sum_us));
        out.sample(name, "_count", labels, None, self.count);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a metric needs no more digits than a float has"
)]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}
