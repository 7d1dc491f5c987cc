//! The gateway as a process: listeners, the life of a call, and the tasks that keep it supplied.
//!
//! Not for the rules themselves, which are in the crates below. Start reading at `run.rs` (what is started), then
//! `service.rs` (where a request goes), then `call/serve.rs` (the life of a call, stage by stage). Callers are reached
//! through `caller`, providers through `upstream`.

mod accept;
mod active;
mod alarm;
mod authenticate;
mod background;
mod body;
mod call;
mod caller;
mod clock;
mod cohort;
mod compact;
mod control;
mod credentials;
mod entry;
mod explained;
mod gateway;
mod health;
mod http1;
mod identifiers;
mod issued;
mod known;
mod leaving;
mod log;
mod metrics;
mod models;
pub mod options;
mod place;
mod recorder;
mod reply;
mod run;
mod seat;
mod service;
mod setup;
mod socket;
mod spans;
mod takeover;
mod upstream;
mod vault;

pub use clock::{Clock, SystemClock};
pub use log::Level;
pub use run::{Running, StartFault, main, start};
