//! Recorded-shape streams of every target family, said to every other family's callers.
//!
//! `recorded/` holds what targets send, written from their own descriptions; `golden/` what callers are to get, written
//! by `cargo test -p airside-translation --test streams -- --ignored`. Whatever is written must follow the caller's
//! grammar (`grammar/`).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail by panic"
)]

mod compaction;
mod cuts;
mod errors;
mod garbage;
mod golden;
mod grammar;
mod meaning;
mod recording;
mod returning;
mod whole;
