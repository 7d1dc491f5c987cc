//! The gateway in one process with scripted providers and raw sockets as callers.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

mod caller;
mod compaction;
mod doors;
mod fallback;
mod frames;
mod gemini;
mod inside;
mod money;
mod place;
mod provider;
mod routing;
mod smuggling;
mod sockets;
mod spans;
mod streams;
mod tls;
mod told;
