//! `OpenAI`'s tools that are no functions, as functions.

use std::borrow::Cow;

use crate::json::{Object, Text};
use crate::plan::{ClientTool, ToolKind};
use crate::request::conversation::Tool;
use crate::request::losses::Losses;

const TEXT_IN: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}"#;
const SHELL: &str = r#"{"type":"object","properties":{"command":{"type":"array","items":{"type":"string"}},"working_directory":{"type":"string"},"timeout_ms":{"type":"integer"},"env":{"type":"object","additionalProperties":{"type":"string"}}},"required":["command"]}"#;

/// A tool that takes free text: a function of one text. A grammar is told to the model, which may break it.
pub(super) fn free_text<'a>(
    fields: &Object<'a>,
    grammar: &Object<'a>,
    namespace: Option<&str>,
    losses: &mut Losses,
) -> Tool<'a> {
    let mut description: Vec<Text<'a>> = fields.text("description").into_iter().collect();
    if let Some(definition) = grammar.text("definition") {
        losses.add("format");
        let syntax = grammar.text("syntax").unwrap_or_else(|| Text::from_plain("given"));
        let head = syntax.within("`input` must match this ", " grammar:\\n");
        description.push(Text::joined([&head, &definition], ""));
    }
    Tool {
        client: ClientTool {
            name: fields.plain("name").unwrap_or_default().into_owned(),
            namespace: namespace.map(str::to_owned),
            kind: ToolKind::Custom,
        },
        description: (!description.is_empty()).then(|| Text::joined(&description, "\\n\\n")),
        schema: Some(Cow::Borrowed(TEXT_IN)),
        is_strict: false,
        cache: None,
    }
}

/// The built-in shell that the caller runs.
pub(super) fn local_shell<'a>() -> Tool<'a> {
    Tool {
        client: local_shell_tool(),
        description: Some(Text::from_plain("Run a command and return its output.")),
        schema: Some(Cow::Borrowed(SHELL)),
        is_strict: false,
        cache: None,
    }
}

pub(super) fn local_shell_tool() -> ClientTool {
    ClientTool {
        name: "local_shell".to_owned(),
        namespace: None,
        kind: ToolKind::LocalShell,
    }
}
