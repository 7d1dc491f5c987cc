//! The Gemini API, as ai.google.dev describes it.

mod path;

pub(crate) use path::path;
