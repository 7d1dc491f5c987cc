//! Reading and writing JSON text without building it: what nobody needs to look at is copied as it was written, so key
//! order, numbers and escapes survive.

mod read;
mod text;
mod write;

pub(crate) use read::{Json, Object};
pub(crate) use text::Text;
pub(crate) use write::{ArrayWriter, ObjectWriter, to_json};
