//! Which kind of work a call is for, by what harnesses say of themselves.
//!
//! Only signals that cost nothing to read: headers, and the few fields of the body that the gateway knows anyway. The
//! words of a prompt are never looked at. Measured on Claude Code 2.1, Codex 0.16x and `OpenCode` 1.18.

use airside_protocols::{FrontDoor, RequestFields, Wishes, top_level_text};
use airside_snapshot::TASKS;

/// The caller's own word for it, which wins.
pub const TASK_HEADER: &str = "x-airside-task";

/// A title, a name for a branch, a classifier's question: all are far below this.
const MOST_SIDE_BYTES: u64 = 16 << 10;
/// Longer metadata is not read.
const MOST_METADATA_BYTES: usize = 16 << 10;

/// The kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Task {
    /// The conversation itself, and whatever is not known to be anything else.
    #[default]
    Main,
    /// A subagent's conversation.
    Subagent,
    /// A name for a session.
    Title,
    /// A conversation made shorter.
    Compact,
    /// Probes, classifiers and the like, which nobody waits to read.
    Background,
    /// Tokens are counted.
    Count,
}

impl Task {
    /// All of them, in the order of `TASKS`.
    pub const ALL: [Self; 6] = [
        Self::Main,
        Self::Subagent,
        Self::Title,
        Self::Compact,
        Self::Background,
        Self::Count,
    ];

    /// As conditions spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let [main, subagent, title, compact, background, count] = TASKS;
        match self {
            Self::Main => main,
            Self::Subagent => subagent,
            Self::Title => title,
            Self::Compact => compact,
            Self::Background => background,
            Self::Count => count,
        }
    }

    /// The task of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}

/// The headers that tell a task, each as the first of its name has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct TaskHeaders<'a> {
    said: [Option<&'a str>; NAMES.len()],
    /// Which were there, if only as something that is no text.
    noted: [bool; NAMES.len()],
}

/// In the order of `Header`.
const NAMES: [&str; 8] = [
    TASK_HEADER,
    "user-agent",
    "x-claude-code-session-id",
    "x-codex-turn-metadata",
    "x-openai-subagent",
    "x-claude-code-agent-id",
    "x-parent-session-id",
    "x-codex-parent-thread-id",
];

#[derive(Clone, Copy)]
enum Header {
    Task,
    UserAgent,
    ClaudeSession,
    CodexMetadata,
    OpenaiSubagent,
    ClaudeAgent,
    ParentSession,
    CodexParent,
}

impl<'a> TaskHeaders<'a> {
    /// Take note of a header, its name in lower case, if it tells anything. A call has few headers, and most tell
    /// nothing: to look at each once is much cheaper than to look up each that may be there.
    pub fn note(&mut self, name: &str, text: impl FnOnce() -> Option<&'a str>) {
        let Some(at) = NAMES.iter().position(|known| *known == name) else {
            return;
        };
        if let (Some(said), Some(noted @ false)) = (self.said.get_mut(at), self.noted.get_mut(at)) {
            (*said, *noted) = (text(), true);
        }
    }

    fn get(&self, header: Header) -> Option<&'a str> {
        self.said.get(header as usize).copied().flatten()
    }
}

/// What a task is told by.
#[derive(Debug)]
pub struct Signs<'a> {
    /// Where the call came in.
    pub door: FrontDoor,
    /// What its body says.
    pub fields: &'a RequestFields,
    /// What it wishes for.
    pub wishes: Wishes,
    /// How long the body is.
    pub body_bytes: u64,
    /// The caller's headers.
    pub headers: TaskHeaders<'a>,
}

impl Signs<'_> {
    /// The kind of work this call is for.
    #[must_use]
    pub fn task(&self) -> Task {
        let said = self.headers.get(Header::Task).and_then(Task::named);
        said.or_else(|| self.by_door())
            .or_else(|| self.by_codex())
            .or_else(|| self.by_probe())
            .or_else(|| self.by_side_call())
            .or_else(|| self.by_lineage())
            .unwrap_or_default()
    }

    fn by_door(&self) -> Option<Task> {
        if self.door.name().ends_with("-compact") {
            return Some(Task::Compact);
        }
        (!self.door.is_billed()).then_some(Task::Count)
    }

    /// Codex says what a request is for: as a word in its metadata, and for its helpers in a header of its own.
    fn by_codex(&self) -> Option<Task> {
        let metadata = self
            .headers
            .get(Header::CodexMetadata)
            .filter(|text| text.len() <= MOST_METADATA_BYTES);
        let kind = metadata.and_then(|text| top_level_text(text.as_bytes(), "request_kind"));
        match kind.as_deref() {
            Some("compaction") => return Some(Task::Compact),
            Some("prewarm" | "memory") => return Some(Task::Background),
            Some(kind) if kind.starts_with("subagent") => return Some(Task::Subagent),
            _ => {}
        }
        match self.headers.get(Header::OpenaiSubagent)? {
            "compact" => Some(Task::Compact),
            "memory_consolidation" => Some(Task::Background),
            _ => Some(Task::Subagent),
        }
    }

    /// Claude Code asks for one token to see whether a model is there.
    fn by_probe(&self) -> Option<Task> {
        let is_probe = self.fields.output_limit == Some(1) && self.is_side_call();
        is_probe.then_some(Task::Background)
    }

    const fn is_side_call(&self) -> bool {
        self.wishes.tools == 0 && self.body_bytes <= MOST_SIDE_BYTES
    }

    /// Short calls without tools that harnesses make beside the conversation.
    fn by_side_call(&self) -> Option<Task> {
        if !self.is_side_call() {
            return None;
        }
        let agent = self.headers.get(Header::UserAgent).unwrap_or_default();
        if agent.starts_with("claude-cli/") || self.headers.get(Header::ClaudeSession).is_some() {
            // Titles come as a stream of structured output; the permission classifier's answers come whole.
            return match (self.wishes.schema, self.fields.stream) {
                (true, true) => Some(Task::Title),
                (_, false) => Some(Task::Background),
                (false, true) => None,
            };
        }
        if agent.starts_with("opencode/") {
            return Some(Task::Title);
        }
        let is_classifier = agent.starts_with("GeminiCLI") && self.wishes.schema;
        is_classifier.then_some(Task::Background)
    }

    fn by_lineage(&self) -> Option<Task> {
        const OF_A_CHILD: [Header; 3] = [Header::ClaudeAgent, Header::ParentSession, Header::CodexParent];
        let is_child = OF_A_CHILD.iter().any(|header| self.headers.get(*header).is_some());
        is_child.then_some(Task::Subagent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_protocols::{Address, scan_request};

    const CLAUDE: (&str, &str) = ("user-agent", "claude-cli/2.1.330 (external, cli)");
    const OPENCODE: (&str, &str) = ("user-agent", "opencode/1.18.33 ai-sdk/provider-utils runtime/bun/1.3");
    const CODEX: (&str, &str) = ("originator", "codex_exec");

    fn task(door: FrontDoor, headers: &[(&str, &str)], body: &serde_json::Value) -> Task {
        let body = body.to_string();
        let fields = scan_request(
            body.as_bytes(),
            &Address {
                door,
                model: None,
                streams: false,
            },
        )
        .unwrap();
        let mut told = TaskHeaders::default();
        for (name, value) in headers {
            told.note(name, || Some(value));
        }
        let signs = Signs {
            door,
            fields: &fields,
            wishes: Wishes::of(body.as_bytes(), &fields.wished, door.family()),
            body_bytes: body.len() as u64,
            headers: told,
        };
        signs.task()
    }

    #[test]
    fn claude_codes_calls_are_told_apart() {
        let tools = serde_json::json!([{"name": "Bash"}, {"name": "Read"}]);
        let main = serde_json::json!({"model": "coder", "stream": true, "max_tokens": 32000, "tools": tools,
            "thinking": {"type": "adaptive"}, "system": [{"type": "text", "text": "x-anthropic-billing-header: cc"}]});
        let session = ("x-claude-code-session-id", "5e1f");
        assert_eq!(task(FrontDoor::Messages, &[CLAUDE, session], &main), Task::Main);
        let child = [CLAUDE, session, ("x-claude-code-agent-id", "agent-7")];
        assert_eq!(task(FrontDoor::Messages, &child, &main), Task::Subagent);
        let title = serde_json::json!({"model": "coder", "stream": true, "max_tokens": 32000,
            "output_config": {"format": {"type": "json_schema", "schema": {}}}, "messages": []});
        assert_eq!(task(FrontDoor::Messages, &[CLAUDE], &title), Task::Title);
        let probe =
            serde_json::json!({"model": "coder", "max_tokens": 1, "messages": [{"role": "user", "content": "."}]});
        assert_eq!(task(FrontDoor::Messages, &[CLAUDE], &probe), Task::Background);
        assert_eq!(task(FrontDoor::CountTokens, &[CLAUDE], &main), Task::Count);
    }

    #[test]
    fn codex_says_it_itself() {
        let body = serde_json::json!({"model": "coder", "stream": true, "tools": [{"type": "function"}], "input": []});
        let kind =
            |kind: &str| serde_json::json!({"turn_id": "t", "sandbox": "none", "request_kind": kind}).to_string();
        for (word, expected) in [
            ("turn", Task::Main),
            ("compaction", Task::Compact),
            ("prewarm", Task::Background),
            ("subagent_turn", Task::Subagent),
            ("of tomorrow", Task::Main),
        ] {
            let metadata = kind(word);
            let headers = [CODEX, ("x-codex-turn-metadata", metadata.as_str())];
            assert_eq!(task(FrontDoor::Responses, &headers, &body), expected, "{word}");
        }
        for (word, expected) in [
            ("review", Task::Subagent),
            ("compact", Task::Compact),
            ("memory_consolidation", Task::Background),
        ] {
            let headers = [CODEX, ("x-openai-subagent", word)];
            assert_eq!(task(FrontDoor::Responses, &headers, &body), expected, "{word}");
        }
        let broken = [CODEX, ("x-codex-turn-metadata", "{\"request_kind\":")];
        assert_eq!(task(FrontDoor::Responses, &broken, &body), Task::Main);
    }

    #[test]
    fn opencodes_title_and_children_are_known() {
        let title =
            serde_json::json!({"model": "small", "stream": true, "messages": [{"role": "system", "content": "title"}]});
        assert_eq!(
            task(FrontDoor::Chat, &[OPENCODE, ("x-session-id", "ses_1")], &title),
            Task::Title
        );
        let main =
            serde_json::json!({"model": "coder", "stream": true, "tools": [{"type": "function"}], "messages": []});
        assert_eq!(
            task(FrontDoor::Chat, &[OPENCODE, ("x-session-id", "ses_1")], &main),
            Task::Main
        );
        let child = [OPENCODE, ("x-session-id", "ses_2"), ("x-parent-session-id", "ses_1")];
        assert_eq!(task(FrontDoor::Chat, &child, &main), Task::Subagent);
    }

    #[test]
    fn the_first_of_a_name_counts_even_if_it_is_no_text() {
        let mut headers = TaskHeaders::default();
        headers.note("x-parent-session-id", || None);
        headers.note("x-parent-session-id", || Some("ses_1"));
        headers.note("user-agent", || Some("curl/8"));
        headers.note("user-agent", || Some("claude-cli/2"));
        headers.note("accept", || Some("*/*"));
        assert_eq!(headers.get(Header::ParentSession), None);
        assert_eq!(headers.get(Header::UserAgent), Some("curl/8"));
    }

    #[test]
    fn every_header_stands_under_its_name() {
        for (at, name) in NAMES.into_iter().enumerate() {
            let mut headers = TaskHeaders::default();
            headers.note(name, || Some("here"));
            assert_eq!(headers.said.iter().position(Option::is_some), Some(at));
        }
        assert_eq!(NAMES[Header::Task as usize], TASK_HEADER);
        assert_eq!(NAMES[Header::CodexParent as usize], "x-codex-parent-thread-id");
    }

    #[test]
    fn the_callers_word_wins_if_it_is_one() {
        let body = serde_json::json!({"model": "coder", "messages": []});
        let said = |word| task(FrontDoor::CountTokens, &[(TASK_HEADER, word)], &body);
        assert_eq!(said("compact"), Task::Compact);
        assert_eq!(said("nonsense"), Task::Count);
        assert_eq!(task(FrontDoor::Chat, &[("user-agent", "curl/8")], &body), Task::Main);
    }
}
