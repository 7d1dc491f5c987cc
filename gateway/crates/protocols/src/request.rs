//! What a request says that the gateway acts on, and why one cannot be acted on.

use std::ops::Range;

use crate::nesting::{Broken, MAX_DEPTH};
use crate::usage::ServiceTier;
use crate::wishes::Wished;

/// Why a body cannot be routed; a sentence for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MalformedBody {
    /// Not a JSON object, as far as the gateway looked.
    NotJson {
        /// The byte it stopped at.
        at: usize,
    },
    /// Nested deeper than `MAX_DEPTH`.
    TooDeep,
    /// No `model`, or not a text.
    NoModel,
    /// A field that decides about money or permission stands twice, or in another case.
    Ambiguous {
        /// Its proper name.
        field: &'static str,
    },
    /// `stream` is neither true nor false.
    BadStream,
    /// `background: true`: the answer would never pass through the gateway, and so never be billed.
    Background,
}

impl MalformedBody {
    /// The stable code of this refusal.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "malformed_json",
            Self::TooDeep => "too_deep",
            Self::NoModel => "missing_model",
            Self::Ambiguous { .. } => "ambiguous_field",
            Self::BadStream => "malformed_field",
            Self::Background => "background_unsupported",
        }
    }
}

impl std::fmt::Display for MalformedBody {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson { at } => write!(out, "The request body is not a JSON object: it breaks at byte {at}."),
            Self::TooDeep => write!(out, "The request body is nested deeper than {MAX_DEPTH} levels."),
            Self::NoModel => write!(out, "The request body needs a `model`: the name of a model as a text."),
            Self::Ambiguous { field } => {
                write!(
                    out,
                    "`{field}` may stand only once in the request body, and only in its own spelling."
                )
            }
            Self::BadStream => write!(out, "`stream` must be true or false."),
            Self::Background => write!(out, "`background: true` is not served: its answer could not be billed."),
        }
    }
}

/// What a request says that the gateway acts on.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate claim of the request")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFields {
    /// The model asked for.
    pub model: String,
    /// Where the value of `model` lies in the body, quotes included; empty when only the path names the model.
    pub model_range: Range<usize>,
    /// True when the answer is to come as a stream.
    pub stream: bool,
    /// The most output the caller wants, when it says so; for all choices together.
    pub output_limit: Option<u64>,
    /// How many answers are asked for at once; at least 1.
    pub choices: u64,
    /// Chat: the caller asked for the final usage chunk itself.
    pub includes_usage: bool,
    /// The request continues a conversation that the provider keeps, so its bytes do not bound its input.
    pub continues_stored_state: bool,
    /// Pictures in it.
    pub images: u64,
    /// Documents and other files in it.
    pub documents: u64,
    /// It asks for the one-hour prompt cache somewhere.
    pub one_hour_cache: bool,
    /// Tools in it that the provider runs by itself, for a fee and with more input.
    pub server_tools: u64,
    /// The service tier it asks for; `None` where it leaves that to the provider.
    pub service_tier: Option<ServiceTier>,
    /// Where it says what it wishes for beyond words; `Wishes::of` reads that.
    pub wished: Wished,
}

impl From<Broken> for MalformedBody {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::At(at) => Self::NotJson { at },
            Broken::TooDeep => Self::TooDeep,
        }
    }
}
