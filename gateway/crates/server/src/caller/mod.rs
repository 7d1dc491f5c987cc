//! The way to callers: an HTTP/1.1 connection of theirs, its requests one after another, and what they are answered.
//!
//! All of a connection is done by one task: it reads a request, waits for its answer while it watches whether the
//! caller is still there, and writes it. Written by hand as the way to providers is, and for the same reason (decision
//! 18). Start reading at `serve.rs`.

mod answer_head;
mod connection;
mod date;
mod line;
mod outbox;
mod request_head;
mod send;
mod serve;
mod stalled;
mod wire;

pub(crate) use connection::{BodyFault, Connection};
pub(crate) use date::Dates;
pub(crate) use serve::serve;
pub(crate) use wire::{CallerWire, HandedOver, Wire};
