//! What every provider's usage is reduced to: five counters of tokens, the tools it ran itself, and the service tier.

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

/// The counts of `OpenAI`'s dialects and of those that follow them: the input includes what caches had and kept, which
/// each server tells by a name of its own.
#[derive(Debug, Clone, Copy)]
pub struct InclusiveCounts<'a> {
    /// All input.
    pub input: u64,
    /// One amount under different names, some of them zero where another tells: they are never added.
    pub cache_reads: &'a [u64],
    /// The same of what was written to caches.
    pub cache_writes: &'a [u64],
    /// Of what was written, to the one-hour cache.
    pub long_writes: u64,
    /// Output as it is told.
    pub output: u64,
    /// Input and output together; 0 where that is not told.
    pub total: u64,
}

impl InclusiveCounts<'_> {
    /// The same as disjoint counters.
    #[must_use]
    pub fn disjoint(&self) -> TokenUsage {
        let most = |counts: &[u64]| counts.iter().copied().max().unwrap_or(0);
        let cache_read = most(self.cache_reads).min(self.input);
        let written = most(self.cache_writes).min(self.input - cache_read);
        let cache_write_1h = self.long_writes.min(written);
        TokenUsage {
            input_uncached: self.input - cache_read - written,
            cache_read,
            cache_write_5m: written - cache_write_1h,
            cache_write_1h,
            // Some servers leave reasoning out of the output and only in the total.
            output: self.output.max(self.total.saturating_sub(self.input)),
        }
    }
}

/// What a provider did beside the model's own words and asks a fee for, each by the call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ToolUses {
    /// Searches of the web.
    pub web_searches: u64,
    /// Searches of files that the provider stores.
    pub file_searches: u64,
}

impl ToolUses {
    /// True when there was none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.web_searches == 0 && self.file_searches == 0
    }
}

/// How urgently a provider serves a call, which decides what it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// The price list's own.
    #[default]
    Standard,
    /// Some time within a day.
    Batch,
    /// When there is room.
    Flex,
    /// Before others.
    Priority,
    /// With more machines at once.
    Fast,
}

impl ServiceTier {
    /// The tier of this name in a request or an answer; `None` for `auto` and for words that nobody knows, which
    /// leave it open.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        // Vertex and Gemini write `SERVICE_TIER_FLEX` and `ON_DEMAND_FLEX`.
        let lower = name.to_ascii_lowercase();
        let bare = lower
            .strip_prefix("service_tier_")
            .or_else(|| lower.strip_prefix("on_demand_"))
            .unwrap_or(&lower);
        match bare {
            // `scale` and `provisioned_throughput` are capacity bought ahead: their tokens are billed as all others.
            "default" | "standard" | "standard_only" | "on_demand" | "scale" | "provisioned_throughput" => {
                Some(Self::Standard)
            }
            "batch" => Some(Self::Batch),
            "flex" => Some(Self::Flex),
            "priority" => Some(Self::Priority),
            "fast" => Some(Self::Fast),
            _ => None,
        }
    }

    /// As the journal spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Fast => "fast",
        }
    }
}

/// Everything a call is billed for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consumption {
    /// Its tokens.
    pub usage: TokenUsage,
    /// The provider's own tools.
    pub tool_uses: ToolUses,
    /// How it was served.
    pub service_tier: ServiceTier,
}

impl From<TokenUsage> for Consumption {
    fn from(usage: TokenUsage) -> Self {
        Self {
            usage,
            ..Self::default()
        }
    }
}
