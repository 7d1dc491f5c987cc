//! Money: what a call may cost, what it did cost, and the books that keep every scope under its cap.
//!
//! Integers of nano-dollars throughout; a call's cost is rounded up once. Not for reading a provider's usage and not
//! for talking to the control plane. Start reading at `price.rs`, then `ledger.rs`.

mod bound;
mod lease;
mod ledger;
mod price;
mod window;

pub use bound::{CallBound, estimate_input, estimate_output, input_bound};
pub use lease::{Lease, LeaseRequest, LeaseRequests, Leases};
pub use ledger::{CarriedCharge, Charge, Hold, Ledger, Refusal, Reserved};
pub use price::{MAX_NANOUSD, cost, cost_of, tier_for, tiers_of};
pub use window::{Window, window_at};
