//! How calls and attempts end, and where their counts come from: the words the journal uses.

use serde::{Deserialize, Serialize};

/// How a call ended for its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider's whole answer arrived.
    Completed,
    /// No target gave an answer.
    Failed,
    /// The provider broke off after the first content.
    Cut,
    /// The caller hung up.
    Cancelled,
    /// The gateway said no before any provider was asked.
    Refused,
    /// The gateway died in the middle of it.
    Lost,
}

impl Outcome {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 6] = [
        Self::Completed,
        Self::Failed,
        Self::Cut,
        Self::Cancelled,
        Self::Refused,
        Self::Lost,
    ];

    /// As the journal spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

/// Where the token counts come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider's own count.
    Provider,
    /// From bytes seen.
    Estimated,
    /// Nothing was billed.
    #[default]
    None,
}

impl UsageSource {
    /// As the journal spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Estimated => "estimated",
            Self::None => "none",
        }
    }
}

/// What became of one request to one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// It gave the answer.
    Answered,
    /// Its verdict on the request was passed on.
    Refused,
    /// The next target was tried.
    Failed,
    /// It broke off after the first content.
    Cut,
    /// The caller hung up meanwhile.
    Cancelled,
    /// It was not asked.
    Skipped,
}

impl AttemptOutcome {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Answered,
        Self::Refused,
        Self::Failed,
        Self::Cut,
        Self::Cancelled,
        Self::Skipped,
    ];

    /// As the journal spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cut => "cut",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}
