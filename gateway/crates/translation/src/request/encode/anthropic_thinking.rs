//! Whether and how Claude is to think.

use crate::json::ObjectWriter;
use crate::request::conversation::{Block, Conversation, Role, Turn};
use crate::request::encode::Encoding;
use crate::request::losses::Field;
use crate::request::models;
use crate::request::reasoning::Effort;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Thinking {
    Off,
    /// As much as the model sees fit.
    Adaptive {
        effort: Option<&'static str>,
        is_shown: bool,
    },
    /// Up to so many tokens.
    Budget(u64),
}

impl Thinking {
    /// What comes nearest to the caller's wish and is not refused.
    pub(super) fn choose(encoding: &mut Encoding<'_, '_>, limit: u64, forces_a_tool: bool) -> Self {
        let conversation = encoding.conversation;
        let reasoning = conversation.reasoning;
        if !reasoning.is_on() {
            return Self::Off;
        }
        let model = encoding.wanted.model;
        let is_adaptive = models::claude_thinks_adaptively(model);
        // Refused together with a tool that must be called.
        let is_possible = models::claude_thinks(model)
            && !forces_a_tool
            && !conversation.tool_choice.is_forced()
            && !continues_without_thought(conversation, is_adaptive);
        let chosen = match (is_possible, is_adaptive) {
            (false, _) => None,
            (true, true) => Some(Self::Adaptive {
                effort: reasoning.effort().map(|effort| effort_name(effort, model)),
                is_shown: reasoning.is_shown,
            }),
            (true, false) => reasoning.budget_within(limit).map(Self::Budget),
        };
        chosen.unwrap_or_else(|| {
            encoding.lose(Field::Reasoning);
            Self::Off
        })
    }

    pub(super) const fn is_on(&self) -> bool {
        !matches!(self, Self::Off)
    }

    pub(super) const fn effort(&self) -> Option<&'static str> {
        match self {
            Self::Adaptive { effort, .. } => *effort,
            _ => None,
        }
    }

    pub(super) fn write(&self, body: &mut ObjectWriter<'_>) {
        match self {
            Self::Off => {}
            Self::Adaptive { is_shown, .. } => body.object("thinking", |thinking| {
                thinking.plain("type", "adaptive");
                thinking.plain("display", if *is_shown { "summarized" } else { "omitted" });
            }),
            Self::Budget(tokens) => body.object("thinking", |thinking| {
                thinking.plain("type", "enabled");
                thinking.number("budget_tokens", *tokens);
            }),
        }
    }
}

fn effort_name(effort: Effort, model: &str) -> &'static str {
    let knows_extra = models::claude_version(model).is_none_or(|version| version >= (4, 7));
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::ExtraHigh if !knows_extra => "max",
        other => other.name(),
    }
}

/// True in the middle of a tool loop whose thought is gone: a turn that thinks must begin with its thought. Adaptive
/// models may have thought nothing, so for them only a thought that is known to be lost counts.
fn continues_without_thought(conversation: &Conversation<'_>, is_adaptive: bool) -> bool {
    let mut latest = conversation.turns.iter().rev().filter(|turn| turn.role != Role::System);
    let answers_calls = |turn: &Turn<'_>| turn.blocks.iter().any(|block| matches!(block, Block::Result(_)));
    if !latest.next().is_some_and(answers_calls) {
        return false;
    }
    let Some(turn) = latest.next() else {
        return false;
    };
    let is_thought = |block: &Block<'_>| matches!(block, Block::Thinking(_));
    if is_adaptive {
        turn.lost_thinking && !turn.blocks.iter().any(is_thought)
    } else {
        !turn.blocks.first().is_some_and(is_thought)
    }
}
