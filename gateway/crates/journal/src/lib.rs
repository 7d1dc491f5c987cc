//! What the gateway did, kept on disk until the control plane has it.
//!
//! Not for sending it (the server does) and not for logs. Start reading at `record.rs`, which mirrors
//! `airside/dataplanes/journal.py`, then `spool.rs`.
//!
//! A call writes two frames: one before the first byte leaves for a provider, one at its end. A call whose second frame
//! is missing after a crash becomes a record with outcome `lost`. Frames are copied into the page cache, through
//! a mapping or with `write(2)`, so they outlive the process; what was written is synced to the device at every `sync`.

mod batch;
mod bodies;
mod detail;
mod frame;
mod outcome;
mod record;
mod recovery;
mod redact;
mod segment;
mod spool;

pub use batch::Batch;
pub use bodies::{BodyStore, CallBodies, Room};
pub use detail::{Attempt, CallerIdentity, ServerToolUse, Timings, Translation, word};
pub use outcome::{AttemptOutcome, Outcome, UsageSource};
pub use record::{JournalReceipt, ModelCall};
pub use recovery::is_begun;
pub use redact::{BadPattern, REDACTED, Redactor, check_pattern};
pub use spool::{Recovered, Spool, SpoolFault, SpoolOptions, SpoolState, Ticket};
