//! Why a snapshot cannot be used.

use std::fmt;

/// A snapshot that is refused; the one in force stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotProblem {
    /// Not the JSON of a snapshot.
    Unreadable(String),
    /// Made for a newer data plane.
    NewerFormat(u64),
    /// It contradicts itself; the sentence says where.
    Inconsistent(String),
}

impl fmt::Display for SnapshotProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(detail) => write!(out, "the snapshot cannot be read: {detail}"),
            Self::NewerFormat(format) => write!(
                out,
                "the snapshot has format {format}, and this gateway knows format {}: install a newer gateway",
                crate::SNAPSHOT_FORMAT
            ),
            Self::Inconsistent(detail) => write!(out, "the snapshot contradicts itself: {detail}"),
        }
    }
}

impl std::error::Error for SnapshotProblem {}
