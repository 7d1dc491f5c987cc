//! The protocol families and the front doors that speak them.

use serde::{Deserialize, Serialize};

/// A wire dialect: what a provider speaks, what a harness calls, what a front door serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Family {
    /// Anthropic Messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// `OpenAI` Responses.
    #[serde(rename = "openai-responses")]
    OpenaiResponses,
    /// `OpenAI` Chat Completions.
    #[serde(rename = "openai-chat")]
    OpenaiChat,
    /// Gemini `generateContent`.
    #[serde(rename = "gemini")]
    Gemini,
}

impl Family {
    /// The name as configuration and messages spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenaiResponses => "openai-responses",
            Self::OpenaiChat => "openai-chat",
            Self::Gemini => "gemini",
        }
    }
}

/// One endpoint of the gateway that leads to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrontDoor {
    /// `POST /v1/messages`.
    Messages,
    /// `POST /v1/messages/count_tokens`: asked of the provider, never billed.
    CountTokens,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1/chat/completions`.
    Chat,
}

impl FrontDoor {
    /// All of them, in the order of `index`.
    pub const ALL: [Self; 4] = [Self::Messages, Self::CountTokens, Self::Responses, Self::Chat];

    /// The dialect spoken here.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Messages | Self::CountTokens => Family::Anthropic,
            Self::Responses => Family::OpenaiResponses,
            Self::Chat => Family::OpenaiChat,
        }
    }

    /// The name in the journal and the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "anthropic-messages",
            Self::CountTokens => "anthropic-count-tokens",
            Self::Responses => "openai-responses",
            Self::Chat => "openai-chat",
        }
    }

    /// Where a model of this family is asked for an answer.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        match family {
            Family::Anthropic => Self::Messages,
            Family::OpenaiResponses => Self::Responses,
            Family::OpenaiChat | Family::Gemini => Self::Chat,
        }
    }

    /// The front door at this path, if there is one.
    #[must_use]
    pub fn at(path: &str) -> Option<Self> {
        match path {
            "/v1/messages" => Some(Self::Messages),
            "/v1/messages/count_tokens" => Some(Self::CountTokens),
            "/v1/responses" => Some(Self::Responses),
            "/v1/chat/completions" => Some(Self::Chat),
            _ => None,
        }
    }

    /// False where a call costs nothing whatever it says.
    #[must_use]
    pub const fn is_billed(self) -> bool {
        !matches!(self, Self::CountTokens)
    }
}
