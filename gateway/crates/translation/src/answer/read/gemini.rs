//! Gemini: every chunk has the shape of a whole answer, and its parts follow one another.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{lenient, parsed};
use crate::answer::NotAnAnswer;
use crate::answer::counts::GeminiUsage;
use crate::answer::failure::{Failure, Fault};
use crate::answer::heard::{CallHead, Heard, Stop};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk {
    candidates: Option<Vec<Candidate>>,
    usage_metadata: Option<Box<RawValue>>,
    prompt_feedback: Option<PromptFeedback>,
    error: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PromptFeedback {
    block_reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate {
    #[serde(default)]
    index: u64,
    content: Option<Content>,
    finish_reason: Option<String>,
    finish_message: Option<String>,
    citation_metadata: Option<Value>,
    grounding_metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Content {
    parts: Option<Vec<Part>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    thought: bool,
    thought_signature: Option<String>,
    function_call: Option<FunctionCall>,
    inline_data: Option<Value>,
    file_data: Option<Value>,
    executable_code: Option<Value>,
    code_execution_result: Option<Value>,
}

#[derive(Deserialize)]
struct FunctionCall {
    id: Option<String>,
    name: Option<String>,
    args: Option<Box<RawValue>>,
}

/// Reads one answer.
#[derive(Debug, Default)]
pub(crate) struct GeminiReader {
    has_started: bool,
    is_thinking: bool,
    /// The reason to stop. The end itself has no event: more may follow until the body is over.
    stop: Option<Stop>,
    has_failed: bool,
}

impl GeminiReader {
    pub(super) fn event(&mut self, data: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        self.chunk(parsed(data)?, heard);
        Ok(())
    }

    pub(super) fn whole(&mut self, body: &[u8], heard: &mut Vec<Heard>) -> Result<(), NotAnAnswer> {
        self.chunk(parsed(body)?, heard);
        self.end_of_body(heard);
        match heard.last() {
            Some(Heard::Over) => Ok(()),
            _ => Err(NotAnAnswer),
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        self.stop.is_some() && !self.has_failed
    }

    pub(super) fn end_of_body(&mut self, heard: &mut Vec<Heard>) {
        if self.has_failed {
            return;
        }
        if let Some(stop) = self.stop {
            self.end_thought(None, heard);
            heard.push(Heard::Stopped(stop, None));
            heard.push(Heard::Over);
        }
    }

    fn chunk(&mut self, chunk: Chunk, heard: &mut Vec<Heard>) {
        if let Some(error) = chunk.error.filter(|error| !error.is_null()) {
            self.fail(Failure::of_value(None, &error), heard);
            return;
        }
        if !std::mem::replace(&mut self.has_started, true) {
            heard.push(Heard::Started);
        }
        if let Some(usage) = lenient::<GeminiUsage>(chunk.usage_metadata.as_deref()) {
            heard.push(Heard::Counted(usage.counts()));
        }
        if chunk
            .prompt_feedback
            .is_some_and(|feedback| feedback.block_reason.is_some())
        {
            self.stop = Some(Stop::ContentFilter);
        }
        for candidate in chunk.candidates.into_iter().flatten() {
            if candidate.index == 0 {
                self.candidate(candidate, heard);
            } else {
                heard.push(Heard::Lost("candidates"));
            }
        }
    }

    fn candidate(&mut self, candidate: Candidate, heard: &mut Vec<Heard>) {
        let parts = candidate.content.and_then(|content| content.parts);
        for part in parts.into_iter().flatten() {
            self.part(part, heard);
        }
        let notes = [candidate.citation_metadata, candidate.grounding_metadata];
        if notes.iter().flatten().any(Value::is_object) {
            heard.push(Heard::Lost("citations"));
        }
        match candidate.finish_reason.as_deref() {
            None | Some("FINISH_REASON_UNSPECIFIED" | "") => {}
            Some("MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS") => {
                let told = candidate.finish_message.unwrap_or_default();
                let message = format!("The model wrote a call that cannot be read. {told}");
                self.fail(Failure::of(Fault::Internal, message.trim()), heard);
            }
            Some(reason) => self.stop = Some(stop_of(reason)),
        }
    }

    fn fail(&mut self, failure: Failure, heard: &mut Vec<Heard>) {
        self.has_failed = true;
        heard.push(Heard::Failed(failure));
    }

    fn part(&mut self, part: Part, heard: &mut Vec<Heard>) {
        let signature = part
            .thought_signature
            .map(|signature| Value::from(signature).to_string());
        if let Some(call) = part.function_call {
            self.end_thought(None, heard);
            heard.push(Heard::CallBegan(CallHead {
                id: call.id.filter(|id| !id.is_empty()),
                name: call.name.unwrap_or_default(),
                is_free_text: false,
                opaque: signature,
            }));
            if let Some(arguments) = call.args {
                heard.push(Heard::Arguments(arguments.get().to_owned()));
            }
            heard.push(Heard::CallOver);
        } else if part.thought {
            self.is_thinking = true;
            heard.push(Heard::Thinking(part.text.unwrap_or_default()));
        } else if let Some(text) = part.text {
            self.text(text, signature, heard);
        }
        let pictures = [part.inline_data, part.file_data];
        if pictures.iter().flatten().any(Value::is_object) {
            heard.push(Heard::Lost("images"));
        }
        let run = [part.executable_code, part.code_execution_result];
        if run.iter().flatten().any(Value::is_object) {
            heard.push(Heard::Lost("code_execution"));
        }
    }

    /// A text may bear the signature of what was thought before it. No client's text has a place for that; it goes with
    /// the thinking, where there is some.
    fn text(&mut self, text: String, signature: Option<String>, heard: &mut Vec<Heard>) {
        if self.is_thinking && (signature.is_some() || !text.is_empty()) {
            self.end_thought(signature, heard);
        } else if signature.is_some() {
            heard.push(Heard::Lost("thought_signature"));
        }
        if !text.is_empty() {
            heard.push(Heard::Text(text));
        }
    }

    fn end_thought(&mut self, signature: Option<String>, heard: &mut Vec<Heard>) {
        if std::mem::take(&mut self.is_thinking) {
            heard.push(Heard::ThinkingOver(signature));
        }
    }
}

fn stop_of(reason: &str) -> Stop {
    match reason {
        "MAX_TOKENS" => Stop::MaxTokens,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" => {
            Stop::ContentFilter
        }
        _ => Stop::EndTurn,
    }
}
