//! The five counters every provider's usage is reduced to.

use serde::{Deserialize, Serialize};

/// Four disjoint input counters and the output; reasoning is inside `output`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenUsage {
    /// Input that no cache had and none kept.
    pub input_uncached: u64,
    /// Input read from a prompt cache.
    pub cache_read: u64,
    /// Input written to the five-minute cache.
    pub cache_write_5m: u64,
    /// Input written to the one-hour cache.
    pub cache_write_1h: u64,
    /// Everything the model produced.
    pub output: u64,
}

impl TokenUsage {
    /// All input together: what price tiers go by.
    #[must_use]
    pub const fn total_input(&self) -> u64 {
        self.input_uncached
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
    }

    /// True when nothing at all was counted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.total_input() == 0 && self.output == 0
    }
}
