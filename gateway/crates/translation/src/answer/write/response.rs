//! The response object of Responses, which its events repeat.

use airside_protocols::{ErrorReply, ObjectWriter};
use serde_json::value::RawValue;

use super::{array, raw};
use crate::answer::heard::Stop;
use crate::answer::teller::{End, root_of};
use crate::plan::AnswerPlan;

/// What a response repeats of its request, and what it says where the request is silent.
const DEFAULTS: [(&str, &str); 12] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("temperature", "1.0"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", "\"auto\""),
    ("tools", "[]"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
];

/// What every response object of one answer holds.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) root: String,
    model: String,
    created_s: u64,
    echoed: Vec<(String, Box<RawValue>)>,
}

/// How far the response is.
pub(super) enum Status<'a> {
    InProgress,
    Ended(&'a End),
    Failed(ErrorReply<'a>),
}

impl Head {
    pub(super) fn new(plan: &AnswerPlan) -> Self {
        Self {
            root: root_of(plan),
            model: plan.shown_model.clone(),
            created_s: u64::try_from(plan.created_s).unwrap_or(0),
            echoed: plan.echoed.clone(),
        }
    }

    pub(super) fn write(&self, response: &mut ObjectWriter<'_>, status: &Status<'_>, output: &[Vec<u8>]) {
        let reason = match status {
            Status::Ended(end) => incomplete_reason(end.stop),
            Status::InProgress | Status::Failed(_) => None,
        };
        response.text("id", &format!("resp_{}", self.root));
        response.text("object", "response");
        response.number("created_at", self.created_s);
        response.text("status", status.name());
        match status {
            Status::Failed(reply) => response.object("error", |error| {
                error.text("code", reply.code);
                error.text("message", reply.message);
            }),
            Status::InProgress | Status::Ended(_) => response.optional_text("error", None),
        }
        match reason {
            Some(reason) => response.object("incomplete_details", |details| details.text("reason", reason)),
            None => response.optional_text("incomplete_details", None),
        }
        response.text("model", &self.model);
        array(response.key("output"), output.iter().map(Vec::as_slice));
        match status {
            Status::Ended(end) => response.object("usage", |usage| end.counts.write_responses(usage)),
            Status::InProgress | Status::Failed(_) => response.optional_text("usage", None),
        }
        self.write_settings(response);
    }

    fn write_settings(&self, response: &mut ObjectWriter<'_>) {
        for (name, value) in &self.echoed {
            raw(response, name, value.get().as_bytes());
        }
        for (name, value) in DEFAULTS {
            if !self.echoed.iter().any(|(echoed, _)| echoed == name) {
                raw(response, name, value.as_bytes());
            }
        }
    }
}

impl Status<'_> {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Failed(_) => "failed",
            Self::Ended(end) if incomplete_reason(end.stop).is_some() => "incomplete",
            Self::Ended(_) => "completed",
        }
    }
}

const fn incomplete_reason(stop: Stop) -> Option<&'static str> {
    match stop {
        Stop::MaxTokens | Stop::ContextWindow => Some("max_output_tokens"),
        Stop::Refusal | Stop::ContentFilter => Some("content_filter"),
        Stop::EndTurn | Stop::ToolUse | Stop::Sequence | Stop::PauseTurn | Stop::MalformedCall => None,
    }
}
