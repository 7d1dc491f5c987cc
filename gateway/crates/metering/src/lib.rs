//! Money: what a call may cost, what it did cost, and the books that keep every scope under its cap; and how fast calls
//! may come.
//!
//! Integers of nano-dollars throughout; a call's cost is rounded up once. Not for reading a provider's usage and not
//! for talking to the control plane. Start reading at `price.rs`, then `ledger.rs`.

mod bound;
mod known;
mod lease;
mod ledger;
mod price;
mod rates;
mod window;

pub use bound::{CallBound, estimate_input, estimate_output, input_bound, output_bound, unseen_input};
pub use known::{Fingerprint, KnownInputs};
pub use lease::{Lease, LeaseRequest, LeaseRequests, LeaseReturn, Leases};
pub use ledger::{CarriedCharge, Charge, Hold, Ledger, Part, Refusal, Reserved};
pub use price::{MAX_NANOUSD, cost, cost_of, tier_for, tiers_of};
pub use rates::{Limited, RateAsk, RateKind, RatePass, RateState, Rates};
pub use window::{Window, window_at};
