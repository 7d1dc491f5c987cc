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
    /// `POST /v1/responses/compact`: a conversation made shorter, in the provider's own way.
    Compact,
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/embeddings`.
    Embeddings,
    /// `POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`.
    GenerateContent,
    /// `POST /v1beta/models/{model}:countTokens`: asked of the provider, never billed.
    CountContent,
}

impl FrontDoor {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Messages,
        Self::CountTokens,
        Self::Responses,
        Self::Compact,
        Self::Chat,
        Self::Embeddings,
        Self::GenerateContent,
        Self::CountContent,
    ];

    /// The dialect spoken here.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Messages | Self::CountTokens => Family::Anthropic,
            Self::Responses | Self::Compact => Family::OpenaiResponses,
            Self::Chat | Self::Embeddings => Family::OpenaiChat,
            Self::GenerateContent | Self::CountContent => Family::Gemini,
        }
    }

    /// True where a provider of this family can be asked in the caller's own words.
    #[must_use]
    pub const fn is_spoken_by(self, provider: Family) -> bool {
        match self {
            // Which of its two dialects an `OpenAI` account is entered with says nothing about its embeddings.
            Self::Embeddings => matches!(provider, Family::OpenaiChat | Family::OpenaiResponses),
            _ => self.family() as u8 == provider as u8,
        }
    }

    /// True where a provider of another family may serve: what is asked and answered can be said in every dialect.
    #[must_use]
    pub const fn translates(self) -> bool {
        matches!(
            self,
            Self::Messages | Self::Responses | Self::Chat | Self::GenerateContent
        )
    }

    /// The name in the journal and the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "anthropic-messages",
            Self::CountTokens => "anthropic-count-tokens",
            Self::Responses => "openai-responses",
            Self::Compact => "openai-compact",
            Self::Chat => "openai-chat",
            Self::Embeddings => "openai-embeddings",
            Self::GenerateContent => "gemini-generate-content",
            Self::CountContent => "gemini-count-tokens",
        }
    }

    /// Where a model of this family is asked for an answer.
    #[must_use]
    pub const fn of(family: Family) -> Self {
        match family {
            Family::Anthropic => Self::Messages,
            Family::OpenaiResponses => Self::Responses,
            Family::OpenaiChat => Self::Chat,
            Family::Gemini => Self::GenerateContent,
        }
    }

    /// False where a call costs nothing whatever it says.
    #[must_use]
    pub const fn is_billed(self) -> bool {
        !matches!(self, Self::CountTokens | Self::CountContent)
    }
}
