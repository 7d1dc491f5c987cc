//! What a translated request leaves behind for its answer.

use std::collections::HashMap;

use airside_protocols::Family;

/// How the caller's dialect declared a tool, and so how a call of it must be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToolKind {
    /// A function with JSON arguments.
    Function,
    /// `OpenAI`'s custom tool: free text in, carried as `{"input": "..."}` where the target knows only functions.
    Custom,
    /// `OpenAI`'s built-in `local_shell`: answered as `local_shell_call` items.
    LocalShell,
}

/// A tool as the caller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTool {
    /// The caller's name of it.
    pub name: String,
    /// The Responses namespace it stands in (`mcp__tickets`), if any.
    pub namespace: Option<String>,
    /// How its calls are said.
    pub kind: ToolKind,
}

/// The names under which a target knows the caller's tools. Dialects differ in what a name may hold, so a target may
/// have been given another one; names that were not changed need no entry.
#[derive(Debug, Clone, Default)]
pub struct ToolNames {
    by_target_name: HashMap<String, ClientTool>,
}

impl ToolNames {
    /// Remember that the target knows this tool as `target_name`.
    pub fn insert(&mut self, target_name: String, tool: ClientTool) {
        self.by_target_name.insert(target_name, tool);
    }

    /// The caller's tool that the target calls so. A name nobody declared is passed on as a function of that name.
    #[must_use]
    pub fn client_tool(&self, target_name: &str) -> ClientTool {
        self.by_target_name
            .get(target_name)
            .cloned()
            .unwrap_or_else(|| ClientTool {
                name: target_name.to_owned(),
                namespace: None,
                kind: ToolKind::Function,
            })
    }
}

/// How the answer of one call is to be said to its caller.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one wish of the caller, and any may stand with any other"
)]
pub struct AnswerPlan {
    /// The caller's dialect.
    pub client: Family,
    /// The provider's dialect.
    pub target: Family,
    /// The model's name as the caller knows it.
    pub shown_model: String,
    /// Id of the answer, and the root of the ids in it: unique per call, made by the gateway.
    pub answer_id: String,
    /// Seconds since 1970, for dialects that date their answers.
    pub created_s: i64,
    /// The caller asked for a stream.
    pub streams: bool,
    /// Chat: the caller asked for the final usage chunk.
    pub includes_usage: bool,
    /// The caller asked to see what the model thinks. Without it only what the model must have back travels, in the ids
    /// of tool calls.
    pub shows_thinking: bool,
    /// The caller's tools by the target's names.
    pub tools: ToolNames,
    /// Responses: the conversation ends in a `compaction_trigger`, and the answer's text is the summary that replaces it.
    pub compacts: bool,
    /// The one tool whose arguments are the answer's text, where structured output had to be asked for as a tool call.
    pub output_tool: Option<String>,
    /// Stop sequences of the caller that the target cannot be told, or does not report which of them it met.
    pub stop_sequences: Vec<String>,
    /// Gemini: the caller asked for a JSON array in pieces (`streamGenerateContent` without `alt=sse`), not for events.
    pub gemini_array: bool,
    /// About how many input tokens the request has: said where a dialect wants a count before the target gave any.
    pub estimated_input: u64,
    /// Responses: request settings that the answer object repeats (`tools`, `instructions`, ...), as raw JSON members.
    pub echoed: Vec<(String, Box<serde_json::value::RawValue>)>,
}
