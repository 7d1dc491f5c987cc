//! The output items of Responses.

use airside_protocols::{ObjectWriter, sealed_summary};
use serde_json::{Map, Value};

use super::{array, object, raw};
use crate::answer::teller::{Block, Call};
use crate::plan::ToolKind;

/// An item that is open or done.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) id: String,
    pub(super) block: Block,
    /// What it holds so far.
    pub(super) text: String,
    pub(super) sealed: Option<String>,
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    Added,
    Done,
}

impl Item {
    /// The item at this place of the output.
    pub(super) fn new(root: &str, place: usize, block: Block) -> Self {
        let prefix = match &block {
            Block::Text | Block::Refusal => "msg",
            Block::Summary => "cmp",
            Block::Thinking | Block::Hidden(_) => "rs",
            Block::Call(call) => match call.tool.kind {
                ToolKind::Function => "fc",
                ToolKind::Custom => "ctc",
                ToolKind::LocalShell => "lsh",
            },
        };
        Self {
            id: format!("{prefix}_{root}_{place}"),
            block,
            text: String::new(),
            sealed: None,
        }
    }

    /// As JSON. What is only added does not show what it holds.
    pub(super) fn json(&self, progress: Progress) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.text.len() + 256);
        object(&mut out, |item| self.write(item, progress));
        out
    }

    fn write(&self, item: &mut ObjectWriter<'_>, progress: Progress) {
        let is_done = progress == Progress::Done;
        item.text("id", &self.id);
        match &self.block {
            Block::Text | Block::Refusal => {
                item.text("type", "message");
                write_status(item, progress);
                item.text("role", "assistant");
                let json = if self.block == Block::Text {
                    text_part
                } else {
                    refusal_part
                };
                let part = json(&self.text);
                array(item.key("content"), is_done.then_some(part.as_slice()));
            }
            Block::Summary => {
                item.text("type", "compaction");
                item.text("encrypted_content", &sealed_summary(&self.text));
            }
            Block::Thinking => {
                item.text("type", "reasoning");
                let part = summary_part(&self.text);
                array(item.key("summary"), is_done.then_some(part.as_slice()));
                if is_done {
                    item.optional_text("encrypted_content", self.sealed.as_deref());
                }
            }
            Block::Hidden(sealed) => {
                item.text("type", "reasoning");
                array(item.key("summary"), []);
                item.text("encrypted_content", sealed);
            }
            Block::Call(call) => self.write_call(item, call, progress),
        }
    }

    fn write_call(&self, item: &mut ObjectWriter<'_>, call: &Call, progress: Progress) {
        let written = if progress == Progress::Done {
            self.text.as_str()
        } else {
            ""
        };
        let (kind, member) = match call.tool.kind {
            ToolKind::Function => ("function_call", "arguments"),
            ToolKind::Custom => ("custom_tool_call", "input"),
            ToolKind::LocalShell => {
                item.text("type", "local_shell_call");
                write_status(item, progress);
                item.text("call_id", &call.id);
                raw(item, "action", &shell_action(&self.text));
                return;
            }
        };
        item.text("type", kind);
        write_status(item, progress);
        item.text("call_id", &call.id);
        item.text("name", &call.tool.name);
        if let Some(namespace) = &call.tool.namespace {
            item.text("namespace", namespace);
        }
        item.text(member, written);
    }
}

fn write_status(item: &mut ObjectWriter<'_>, progress: Progress) {
    let status = match progress {
        Progress::Added => "in_progress",
        Progress::Done => "completed",
    };
    item.text("status", status);
}

/// A part of a message.
pub(super) fn text_part(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    object(&mut out, |part| {
        part.text("type", "output_text");
        part.text("text", text);
        array(part.key("annotations"), []);
        array(part.key("logprobs"), []);
    });
    out
}

/// A part of a message that refuses.
pub(super) fn refusal_part(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    object(&mut out, |part| {
        part.text("type", "refusal");
        part.text("refusal", text);
    });
    out
}

/// A part of what was thought.
pub(super) fn summary_part(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 64);
    object(&mut out, |part| {
        part.text("type", "summary_text");
        part.text("text", text);
    });
    out
}

/// The action of a `local_shell_call`, from the arguments of the function that stood for the tool.
fn shell_action(arguments: &str) -> Vec<u8> {
    let mut action: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    let command = match action.remove("command") {
        Some(Value::Array(words)) => words,
        // The item's command is a list of words; models that write one line mean a shell's.
        Some(Value::String(line)) => ["bash", "-lc", line.as_str()].map(Value::from).to_vec(),
        _ => Vec::new(),
    };
    action.insert("type".to_owned(), Value::from("exec"));
    action.insert("command".to_owned(), Value::from(command));
    if !action.get("env").is_some_and(Value::is_object) {
        action.insert("env".to_owned(), Value::Object(Map::new()));
    }
    Value::Object(action).to_string().into_bytes()
}
