//! The rate limits of this gateway: its share of each, by as many gateways as the control plane hears from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use airside_metering::{Limited, RateAsk, RatePass, Rates};

/// Counters, a clock for them, and the number of gateways that share the limits.
#[derive(Debug)]
pub(crate) struct RateDesk {
    rates: Rates,
    began: Instant,
    gateways: AtomicU64,
}

impl Default for RateDesk {
    fn default() -> Self {
        Self {
            rates: Rates::default(),
            began: Instant::now(),
            gateways: AtomicU64::new(1),
        }
    }
}

impl RateDesk {
    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The control plane counted the gateways that are up.
    pub(crate) fn share_among(&self, gateways: u64) {
        self.gateways.store(gateways.max(1), Ordering::Relaxed);
    }

    /// Take a call's place under all its limits, or under none.
    pub(crate) fn admit(&self, asks: &[RateAsk<'_>], tokens: u64) -> Result<RatePass, Limited> {
        let gateways = self.gateways.load(Ordering::Relaxed);
        self.rates.admit(asks, tokens, gateways, self.now_us())
    }

    /// A call is over.
    pub(crate) fn settle(&self, pass: RatePass, tokens: u64, answered_by: Option<&str>) {
        if !pass.is_empty() {
            self.rates.settle(pass, tokens, answered_by, self.now_us());
        }
    }
}
