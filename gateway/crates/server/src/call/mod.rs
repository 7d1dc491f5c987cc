//! The life of one call, one file per stage: admit, route, ask, hold, relay, settle, record.
//!
//! `serve` strings them together. Authentication and the body come before it, in files of their own.

mod admit;
mod array;
mod ask;
mod bill;
mod finish;
mod hold;
mod identity;
mod inside;
mod lane;
mod outgoing;
mod rate;
mod readable;
mod record;
mod relay;
pub(crate) mod route;
mod serve;
mod setback;
mod settle;
mod shadow;
mod shares;
mod stored;
mod stream;
mod thread;
mod told;

pub(crate) use identity::shortened;
pub(crate) use serve::{Arrived, serve};
pub(crate) use shares::{Cap, Share, scope_name};
pub(crate) use stream::{AnswerStream, Chunks, Frames};
pub(crate) use told::{CALL_ID, Told};
