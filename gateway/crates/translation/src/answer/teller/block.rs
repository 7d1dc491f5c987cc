//! What a caller's dialect writes: blocks, one after the other.

use airside_protocols::ErrorReply;

use crate::answer::counts::Counts;
use crate::answer::heard::Stop;
use crate::plan::ClientTool;

/// Writes an answer in one dialect. Called in order: `start`, then for each block `open`, `piece`s and `close`, then
/// `end` or `fail`.
pub(crate) trait Writer {
    fn start(&mut self, counts: &Counts, out: &mut Vec<u8>);
    fn open(&mut self, block: Block, out: &mut Vec<u8>);
    fn piece(&mut self, piece: &str, out: &mut Vec<u8>);
    /// `sealed`: of thinking, what the target wants back of it.
    fn close(&mut self, sealed: Option<String>, out: &mut Vec<u8>);
    fn end(&mut self, end: &End, out: &mut Vec<u8>);
    /// The target gave up.
    fn fail(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>);
    /// The target is gone.
    fn cut(&mut self, reply: ErrorReply<'_>, out: &mut Vec<u8>) {
        self.fail(reply, out);
    }
    /// The counts so far, for dialects that repeat them.
    fn count(&mut self, counts: &Counts);
}

/// A block of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    Text,
    /// The words of a refusal, for dialects that keep them apart.
    Refusal,
    /// The summary that a conversation is replaced by.
    Summary,
    Thinking,
    /// Thinking that is not shown.
    Hidden(String),
    Call(Call),
}

/// A call in the caller's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) tool: ClientTool,
    /// What the target wants back with it, for dialects whose calls have a field for it.
    pub(crate) sealed: Option<String>,
}

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) stop: Stop,
    pub(crate) stop_sequence: Option<String>,
    pub(crate) counts: Counts,
}
