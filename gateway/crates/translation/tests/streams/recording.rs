//! What targets sent, and how it is translated here.

use std::path::{Path, PathBuf};

use airside_protocols::{ErrorReply, EventSplitter, Family};
use airside_translation::{AnswerPlan, AnswerTranslator, ClientTool, NotAnAnswer, ToolKind, ToolNames};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::grammar::{Seen, read};

pub(crate) const FAMILIES: [Family; 4] = [
    Family::Anthropic,
    Family::OpenaiResponses,
    Family::OpenaiChat,
    Family::Gemini,
];

/// One stream of a target.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) target: Family,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn place(folder: &str, family: Family) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams");
    tests.join(folder).join(family.name())
}

/// All streams of a target, by name.
pub(crate) fn recordings(target: Family) -> Vec<Recording> {
    let mut found: Vec<Recording> = std::fs::read_dir(place("recorded", target))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sse"))
        .map(|path| Recording {
            target,
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            bytes: std::fs::read(path).unwrap(),
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

pub(crate) fn recording(target: Family, name: &str) -> Recording {
    let mut all = recordings(target).into_iter();
    all.find(|recording| recording.name == name)
        .unwrap_or_else(|| panic!("no recording {name}"))
}

/// Each caller that is not of the target's family.
pub(crate) fn clients(target: Family) -> impl Iterator<Item = Family> {
    FAMILIES.into_iter().filter(move |client| *client != target)
}

/// A caller who wants all there is.
pub(crate) fn plan(target: Family, client: Family) -> AnswerPlan {
    AnswerPlan {
        client,
        target,
        shown_model: "coder".to_owned(),
        answer_id: "01J".to_owned(),
        created_s: 1_700_000_000,
        streams: true,
        includes_usage: true,
        shows_thinking: true,
        tools: tools(client),
        compacts: false,
        output_tool: None,
        stop_sequences: Vec::new(),
        gemini_array: false,
        estimated_input: 90,
        echoed: Vec::new(),
    }
}

/// The tools whose calls are said in another way than they are made.
fn tools(client: Family) -> ToolNames {
    let mut tools = ToolNames::default();
    let mut declare = |target_name: &str, name: &str, namespace: Option<&str>, kind| {
        let tool = ClientTool {
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
            kind,
        };
        tools.insert(target_name.to_owned(), tool);
    };
    if matches!(client, Family::OpenaiResponses | Family::OpenaiChat) {
        declare("apply_patch", "apply_patch", None, ToolKind::Custom);
    }
    if client == Family::OpenaiResponses {
        declare("local_shell", "local_shell", None, ToolKind::LocalShell);
        declare(
            "mcp__tickets__get_ticket",
            "get_ticket",
            Some("mcp__tickets"),
            ToolKind::Function,
        );
    }
    tools
}

/// What became of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) bytes: Vec<u8>,
    /// `Err` when the target's end was not seen.
    pub(crate) end: Result<(), NotAnAnswer>,
    pub(crate) losses: Vec<String>,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn read(&self, client: Family) -> Seen {
        read(client, &self.bytes)
    }
}

/// Translate a body that comes in these chunks, as the gateway does it: a stream that is not whole ends in an error.
pub(crate) fn translate(plan: AnswerPlan, chunks: &[&[u8]]) -> Said {
    let mut splitter = EventSplitter::default();
    let mut translator = AnswerTranslator::new(plan);
    let mut bytes = Vec::new();
    let mut pushed = Ok(());
    for chunk in chunks {
        if let Some(block) = splitter.push(Bytes::copy_from_slice(chunk)).unwrap() {
            pushed = translator.push(&block, &mut bytes);
        }
        if pushed.is_err() {
            break;
        }
    }
    let end = pushed.and_then(|()| translator.finish(&mut bytes));
    assert_eq!(
        end.is_ok(),
        translator.verdict().finished && !translator.verdict().failed
    );
    if end.is_err() {
        bytes.extend_from_slice(&translator.cut(cut_reply()));
    }
    assert_eq!(translator.cut(cut_reply()), b"", "a stream ends once");
    let losses = translator.losses().into_iter();
    Said {
        bytes,
        end,
        losses: losses.map(|loss| loss.field.into_owned()).collect(),
    }
}

pub(crate) const fn cut_reply() -> ErrorReply<'static> {
    ErrorReply {
        status: 502,
        code: "provider_cut",
        message: "The provider broke off.",
        request_id: "call_1",
    }
}

/// The whole stream at once.
pub(crate) fn said(recording: &Recording, client: Family) -> Said {
    translate(plan(recording.target, client), &[&recording.bytes])
}

pub(crate) fn seen(target: Family, name: &str, client: Family) -> Seen {
    said(&recording(target, name), client).read(client)
}

/// A chat stream of these chunks, whole.
pub(crate) fn chat(chunks: &[Value]) -> Vec<u8> {
    let ends = std::iter::once("[DONE]".to_owned());
    let events = chunks.iter().map(Value::to_string).chain(ends);
    events
        .flat_map(|data| format!("data: {data}\n\n").into_bytes())
        .collect()
}

pub(crate) fn delta(delta: &Value, finish: Option<&str>) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
}

pub(crate) fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"tool_calls": [{"index": 0, "id": id, "function": {"name": name, "arguments": arguments}}]})
}

pub(crate) fn losses(said: &Said) -> Vec<&str> {
    said.losses.iter().map(String::as_str).collect()
}
