//! The messages about leases. Mirrors `airside/dataplanes/leases.py`.

use serde::{Deserialize, Serialize};

use crate::window::Window;

/// Part of a lease that goes back: from what it was to what is kept, both cumulative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LeaseReturn {
    /// Seconds since 1970; 0 for a budget without windows.
    pub window_start: i64,
    /// What was granted; the return counts only if that is still so.
    pub from_nanousd: u64,
    /// What is settled or held, and stays.
    pub to_nanousd: u64,
}

/// One scope this gateway wants to spend in, or no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseRequest {
    /// Such as `agent:<id>/day`; see `Charge`.
    pub scope: String,
    /// What the call at hand needs beyond what is granted; 0 when renewing ahead.
    pub need_nanousd: u64,
    /// What goes back. A request with returns asks for nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub returns: Vec<LeaseReturn>,
}

/// Body of `POST /internal/v1/leases`.
#[derive(Debug, Clone, Serialize)]
pub struct LeaseRequests {
    /// Who asks.
    pub gateway_id: String,
    /// Rises with each request of this gateway: one that arrives late is not acted on.
    pub order: u64,
    /// In the first request of a process: the last record of those before it. Whatever they were granted beyond what
    /// they settled goes back, once the journal is stored up to there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins_after: Option<u64>,
    /// For what.
    pub requests: Vec<LeaseRequest>,
}

/// What this gateway may spend of one scope in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// As it was asked for.
    pub scope: String,
    /// Seconds since 1970; 0 for a budget without windows.
    pub window_start: i64,
    /// The first second after it.
    pub window_end: Option<i64>,
    /// Cumulative, for this gateway, in this window.
    pub granted_nanousd: u64,
    /// Of that, already in the control plane's books.
    pub settled_nanousd: u64,
    /// What other gateways have settled in this window.
    #[serde(default)]
    pub others_settled_nanousd: u64,
    /// The cap itself leaves no more.
    pub exhausted: bool,
    /// From this second on nothing new may be reserved from it until it is renewed.
    #[serde(default)]
    pub expires_at: Option<i64>,
}

impl Lease {
    /// The stretch of time it is for.
    #[must_use]
    pub const fn window(&self) -> Window {
        Window {
            start: self.window_start,
            end: self.window_end,
        }
    }
}

/// The answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Leases {
    /// `settled_nanousd` includes this gateway's records up to here.
    pub journal_through: u64,
    /// The order of the newest request that was acted on. Higher than that of the request: it came too late.
    #[serde(default)]
    pub order: u64,
    /// For each scope the running window and, where one follows, the next.
    pub leases: Vec<Lease>,
    /// No budget limits these.
    #[serde(default)]
    pub unknown_scopes: Vec<String>,
}
