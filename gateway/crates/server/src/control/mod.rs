//! The other plane: snapshots in, leases back and forth, journal out. And what stands in for it when a gateway runs
//! from a file.
//!
//! Nothing here is on the path of a call, except that a call may wait for a lease.

mod bodies;
mod client;
mod delivery;
mod desk;
mod leftover;
mod local;
mod rates;
mod readable;
mod snapshots;

pub(crate) use bodies::{deliver_bodies, sweep_bodies};
pub(crate) use client::{Backoff, ControlClient};
pub(crate) use delivery::{FlushDesk, deliver, keep_locally};
pub(crate) use desk::{Asked, ControlDesk, Desk, serve_desk};
pub(crate) use leftover::Leftovers;
pub(crate) use local::LocalBooks;
pub(crate) use rates::RateDesk;
pub(crate) use snapshots::{follow_control, follow_file, last_good};
