//! What is shown to providers: fixed secrets of the snapshot, and those that the gateway reads itself and keeps fresh.
//!
//! A secret that can change is read by a task of its own, ahead of its end, never by a call. Calls see the newest one;
//! only the very first of a gateway wait a moment for it. `sources.rs` names the places, one file each.

mod aws;
mod azure;
mod command;
mod fetch;
mod file;
mod gcp;
mod live;
mod obtained;
mod refreshing;
mod sources;
mod wallet;

pub(crate) use live::ActiveKey;
pub(crate) use refreshing::keep_fresh;
pub(crate) use wallet::Wallet;
