//! The messages about leases. Mirrors `airside/dataplanes/leases.py`.

use serde::{Deserialize, Serialize};

use crate::window::Window;

/// One scope this gateway wants to spend in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeaseRequest {
    /// `agent:<id>` or `session:<id>`.
    pub scope: String,
    /// What the call at hand needs beyond what is granted; 0 when renewing ahead.
    pub need_nanousd: u64,
}

/// Body of `POST /internal/v1/leases`.
#[derive(Debug, Clone, Serialize)]
pub struct LeaseRequests {
    /// Who asks.
    pub gateway_id: String,
    /// For what.
    pub requests: Vec<LeaseRequest>,
}

/// What this gateway may spend of one scope in one window.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lease {
    /// `agent:<id>` or `session:<id>`.
    pub scope: String,
    /// Seconds since 1970; 0 for a budget without windows.
    pub window_start: i64,
    /// The first second after it.
    pub window_end: Option<i64>,
    /// Cumulative, for this gateway, in this window.
    pub granted_nanousd: u64,
    /// Of that, already in the control plane's books.
    pub settled_nanousd: u64,
    /// The cap itself leaves no more.
    pub exhausted: bool,
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
    /// For each scope the running window and, where one follows, the next.
    pub leases: Vec<Lease>,
    /// No budget limits these.
    #[serde(default)]
    pub unknown_scopes: Vec<String>,
}
