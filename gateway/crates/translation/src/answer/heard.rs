//! What a target says, in words that no dialect owns: readers give it, `teller.rs` takes it.
//!
//! Readers see to the order: thinking and calls begin and end, one after the other, whatever order the target chose.

use super::counts::Counts;
use super::failure::Failure;

/// One thing heard from the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The answer has begun.
    Started,
    /// The counts so far; these replace earlier ones.
    Counted(Counts),
    /// A piece of text.
    Text(String),
    /// A piece of the words with which it refuses.
    Refusal(String),
    /// A piece of thinking.
    Thinking(String),
    /// The thinking under way is over. With data (see `opaque.rs`) and no thinking under way: thinking that is hidden.
    ThinkingOver(Option<String>),
    /// A call of a tool begins.
    CallBegan(CallHead),
    /// A piece of the call's arguments.
    Arguments(String),
    /// The call is over.
    CallOver,
    /// Why the model stopped, and the stop sequence it met, if the target says so.
    Stopped(Stop, Option<String>),
    /// The target's own end: the answer is whole.
    Over,
    /// The target gives up.
    Failed(Failure),
    /// Something of the answer has no place in what this crate carries.
    Lost(&'static str),
}

/// The beginning of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CallHead {
    /// The target's id of the call, where it gives one.
    pub(crate) id: Option<String>,
    /// The tool, as the target knows it.
    pub(crate) name: String,
    /// The arguments are free text, not JSON.
    pub(crate) is_free_text: bool,
    /// What the target wants back with this very call (see `opaque.rs`).
    pub(crate) opaque: Option<String>,
}

/// Why the model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It had said what it wanted to say.
    EndTurn,
    /// It waits for a tool.
    ToolUse,
    /// The limit on output was met.
    MaxTokens,
    /// The context window is full.
    ContextWindow,
    /// One of the caller's stop sequences was met.
    Sequence,
    /// It refuses.
    Refusal,
    /// A filter took the answer away.
    ContentFilter,
    /// A server-side tool takes long: the caller is to ask again.
    PauseTurn,
    /// It wrote a call that cannot be read.
    MalformedCall,
}
