//! `OpenAI` Responses over WebSocket, the dialect of 2026-02-06, bridged to calls over HTTP.
//!
//! Each `response.create` is one ordinary call: it is authenticated, admitted, routed and settled as if it had come
//! by POST. The socket adds only what the dialect adds: a transcript, so that a call needs to bring no more than what
//! is new. Start reading at `session.rs`.

mod create;
mod handshake;
mod session;
mod transcript;
mod wire;
mod words;

pub(crate) use handshake::open;
