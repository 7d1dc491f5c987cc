//! A request without a dialect: what every family's decoder makes and every family's encoder reads.
//!
//! Texts, arguments and schemas stay as the caller wrote them. Tool schemas are JSON Schema whoever wrote them.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Text};
use crate::plan::ClientTool;
use crate::request::reasoning::Reasoning;

/// What Chat servers that show their thoughts call them.
pub(crate) const THOUGHTS: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

/// One request.
#[derive(Debug)]
pub(crate) struct Conversation<'a> {
    /// Who wrote it.
    pub(crate) caller: Family,
    /// The instructions before the first turn, in order.
    pub(crate) system: Vec<TextBlock<'a>>,
    /// The turns, oldest first.
    pub(crate) turns: Vec<Turn<'a>>,
    pub(crate) tools: Vec<Tool<'a>>,
    pub(crate) tool_choice: ToolChoice,
    /// Whether several calls may come at once, when the caller said so.
    pub(crate) parallel_calls: Option<bool>,
    pub(crate) output: Output<'a>,
    /// The most output tokens.
    pub(crate) limit: Option<u64>,
    pub(crate) sampling: Sampling<'a>,
    pub(crate) stop: Vec<Text<'a>>,
    pub(crate) reasoning: Reasoning,
    pub(crate) account: Account<'a>,
    /// Chat: the caller wants the final usage chunk.
    pub(crate) includes_usage: bool,
    /// Responses: what is wanted is a summary to go on from.
    pub(crate) compacts: bool,
    /// The caller marked what is to be cached.
    pub(crate) has_cache_marks: bool,
}

impl Conversation<'_> {
    /// A request that says nothing yet.
    pub(crate) fn of(caller: Family) -> Self {
        Self {
            caller,
            system: Vec::new(),
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: ToolChoice::Unsaid,
            parallel_calls: None,
            output: Output::Text,
            limit: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            reasoning: Reasoning::default(),
            account: Account::default(),
            includes_usage: false,
            compacts: false,
            has_cache_marks: false,
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Instructions between turns.
    System,
    User,
    Assistant,
}

/// What one side said before the other did.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) role: Role,
    pub(crate) blocks: Vec<Block<'a>>,
    /// What the model thought in this turn was another vendor's and is gone.
    pub(crate) lost_thinking: bool,
}

impl<'a> Turn<'a> {
    pub(crate) const fn of(role: Role, blocks: Vec<Block<'a>>) -> Self {
        Self {
            role,
            blocks,
            lost_thinking: false,
        }
    }
}

/// A piece of a turn.
#[derive(Debug)]
pub(crate) enum Block<'a> {
    Text(TextBlock<'a>),
    Media(Media<'a>),
    Thinking(Thinking<'a>),
    Call(Call<'a>),
    Result(ToolResult<'a>),
}

/// Text, perhaps the end of what is to be cached.
#[derive(Debug, Clone)]
pub(crate) struct TextBlock<'a> {
    pub(crate) text: Text<'a>,
    /// The caller's `cache_control`, as JSON.
    pub(crate) cache: Option<&'a str>,
}

impl<'a> TextBlock<'a> {
    pub(crate) const fn of(text: Text<'a>) -> Self {
        Self { text, cache: None }
    }
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaKind {
    Image,
    Document,
    Audio,
    Video,
}

/// An image, a document, a recording.
#[derive(Debug)]
pub(crate) struct Media<'a> {
    pub(crate) kind: MediaKind,
    pub(crate) source: Source<'a>,
    /// Its file name or title.
    pub(crate) name: Option<Text<'a>>,
    /// `OpenAI`'s `detail` of an image.
    pub(crate) detail: Option<Text<'a>>,
    pub(crate) cache: Option<&'a str>,
}

/// Where a file's bytes are.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Base64 {
        media_type: Cow<'a, str>,
        data: Text<'a>,
    },
    /// Somewhere on the web.
    Url(Text<'a>),
}

/// What the model thought, readable by its issuer's family only. The data is that of `opaque.rs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thinking<'a> {
    pub(crate) issuer: Family,
    pub(crate) data: Cow<'a, str>,
}

impl Thinking<'_> {
    /// The blocks or items that its issuer made. A client may have tampered with them: whatever else stands in the data
    /// is left out.
    pub(crate) fn pieces(&self) -> Vec<Json<'_>> {
        let Some(data) = Json::parse(self.data.as_bytes()) else {
            return Vec::new();
        };
        let is_own = |piece: &Json<'_>| {
            let kind = piece.object().kind();
            match self.issuer {
                Family::Anthropic => matches!(kind.as_ref(), "thinking" | "redacted_thinking"),
                Family::OpenaiResponses => kind == "reasoning",
                Family::OpenaiChat => piece.members().all(|(key, _)| THOUGHTS.contains(&key.as_ref())),
                Family::Gemini => piece.is_string() && piece.raw() != "\"\"",
            }
        };
        let one = (!data.is_array()).then_some(data);
        data.items().chain(one).filter(is_own).collect()
    }
}

/// The model called a tool.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) tool: ClientTool,
    /// A JSON object.
    pub(crate) arguments: Cow<'a, str>,
    /// Gemini's `thoughtSignature` of this call, as JSON.
    pub(crate) signature: Option<String>,
    /// The `extra_content` of this call, as JSON: where Google's Chat dialect puts the signature.
    pub(crate) extra: Option<Cow<'a, str>>,
    pub(crate) cache: Option<&'a str>,
}

/// What a tool answered.
#[derive(Debug)]
pub(crate) struct ToolResult<'a> {
    /// The id of the call.
    pub(crate) id: Cow<'a, str>,
    /// Texts and media.
    pub(crate) content: Vec<Block<'a>>,
    pub(crate) is_error: bool,
    pub(crate) cache: Option<&'a str>,
}

/// A tool that the caller runs.
#[derive(Debug)]
pub(crate) struct Tool<'a> {
    pub(crate) client: ClientTool,
    pub(crate) description: Option<Text<'a>>,
    /// JSON Schema of its arguments: an object.
    pub(crate) schema: Option<Cow<'a, str>>,
    /// The caller wants arguments that match the schema for certain.
    pub(crate) is_strict: bool,
    pub(crate) cache: Option<&'a str>,
}

/// Which tool the model is to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Unsaid,
    Auto,
    Required,
    None,
    Named(ClientTool),
}

impl ToolChoice {
    pub(crate) const fn is_forced(&self) -> bool {
        matches!(self, Self::Required | Self::Named(_))
    }
}

/// What the answer's text is to look like.
#[derive(Debug)]
pub(crate) enum Output<'a> {
    Text,
    /// Any JSON object.
    Json,
    Schema {
        name: Option<Cow<'a, str>>,
        description: Option<Text<'a>>,
        /// JSON Schema.
        schema: Cow<'a, str>,
        /// Where the caller may choose: whether the answer must match for certain.
        is_strict: Option<bool>,
    },
}

/// Numbers as the caller wrote them.
#[derive(Debug, Default)]
pub(crate) struct Sampling<'a> {
    pub(crate) temperature: Option<&'a str>,
    pub(crate) top_p: Option<&'a str>,
    pub(crate) top_k: Option<&'a str>,
    pub(crate) seed: Option<&'a str>,
    pub(crate) presence_penalty: Option<&'a str>,
    pub(crate) frequency_penalty: Option<&'a str>,
}

/// What concerns the vendor's service rather than the answer.
#[derive(Debug, Default)]
pub(crate) struct Account<'a> {
    /// The end user, as the caller names them.
    pub(crate) user: Option<Text<'a>>,
    /// A JSON object.
    pub(crate) metadata: Option<&'a str>,
    pub(crate) service_tier: Option<Text<'a>>,
    pub(crate) verbosity: Option<Text<'a>>,
    pub(crate) store: Option<bool>,
    /// The caller's `prompt_cache_key`.
    pub(crate) cache_key: Option<Text<'a>>,
}
