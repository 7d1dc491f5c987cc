//! An answer that is written in one piece: its blocks, gathered as a stream's would be told.

use airside_protocols::ErrorReply;

use crate::answer::counts::Counts;
use crate::answer::teller::{Block, End, Writer};

/// A whole answer.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) blocks: Vec<Filled>,
    pub(crate) end: Option<End>,
}

/// A block with what it holds.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) block: Block,
    pub(crate) text: String,
    pub(crate) sealed: Option<String>,
}

impl Writer for Collector {
    fn start(&mut self, _counts: &Counts, _out: &mut Vec<u8>) {}

    fn open(&mut self, block: Block, _out: &mut Vec<u8>) {
        self.blocks.push(Filled {
            block,
            text: String::new(),
            sealed: None,
        });
    }

    fn piece(&mut self, piece: &str, _out: &mut Vec<u8>) {
        if let Some(filled) = self.blocks.last_mut() {
            filled.text.push_str(piece);
        }
    }

    fn close(&mut self, sealed: Option<String>, _out: &mut Vec<u8>) {
        if let Some(filled) = self.blocks.last_mut() {
            filled.sealed = sealed;
        }
    }

    fn end(&mut self, end: &End, _out: &mut Vec<u8>) {
        self.end = Some(end.clone());
    }

    fn fail(&mut self, _reply: ErrorReply<'_>, _out: &mut Vec<u8>) {}

    fn count(&mut self, _counts: &Counts) {}
}
