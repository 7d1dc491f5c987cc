//! A request in another dialect: decoded into a conversation without a dialect, put in order, encoded for its target.

mod conversation;
mod decode;
mod echo;
mod encode;
mod losses;
mod media;
mod models;
mod names;
mod order;
mod reasoning;
mod refusals;
mod schema;
mod strip;

use airside_protocols::Family;

use crate::json::Json;
use crate::loss::Loss;
use crate::plan::AnswerPlan;
use crate::request::losses::{Field, Losses};
use crate::request::reasoning::Reasoning;

pub use strip::{strip_foreign_thinking, strip_sealed_thinking, strip_wish_to_think};

/// Of English text and code in JSON, roughly.
const BYTES_PER_TOKEN: u64 = 4;

/// What the gateway wants of the translated request besides its content.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The provider's own name of the model.
    pub model: &'a str,
    /// The model's name as the caller knows it.
    pub shown_model: &'a str,
    /// Ask for a stream. Gemini says this in the path instead.
    pub streams: bool,
    /// Output limit where the target's dialect demands one and the caller named none.
    pub default_output_tokens: u64,
    /// Stable per session, for dialects that route prompt caches by a key.
    pub cache_key: Option<&'a str>,
    /// Chat: the server takes Anthropic's cache marks on the texts of messages.
    pub takes_cache_marks: bool,
    /// The model can think.
    pub can_think: bool,
    /// Id of the answer to come.
    pub answer_id: &'a str,
    /// Seconds since 1970.
    pub now_s: i64,
}

/// A request for the target, and what its answer needs.
#[derive(Debug)]
pub struct TranslatedRequest {
    /// The body.
    pub body: Vec<u8>,
    /// For `translate_answer` and `AnswerTranslator`.
    pub plan: AnswerPlan,
    /// What the target could not be told; sorted, each once.
    pub losses: Vec<Loss>,
}

/// Why a request cannot be said in the target's dialect at all: a sentence for the caller, who gets a 400.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untranslatable {
    /// The stable code.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
}

/// Say a request of dialect `from` in dialect `to`. The two differ.
///
/// # Errors
/// `Untranslatable` when the body is not of its dialect, or asks for something whose loss would change the answer's
/// meaning (a server-side tool the target lacks, a conversation kept at another vendor).
pub fn translate_request(
    from: Family,
    to: Family,
    body: &[u8],
    wanted: &Wanted<'_>,
) -> Result<TranslatedRequest, Untranslatable> {
    let whole = Json::parse(body).filter(|whole| whole.is_object());
    let whole = whole.ok_or_else(|| Untranslatable::malformed("the body must be a JSON object"))?;
    let mut losses = Losses::default();
    let mut conversation = decode::decode(from, whole, &mut losses)?;
    if !wanted.can_think {
        if conversation.reasoning.is_on() {
            losses.add(Field::Reasoning.spelled(from));
        }
        conversation.reasoning = Reasoning::default();
    }
    order::put_in_order(&mut conversation, to, &mut losses);
    let encoded = encode::encode(to, &conversation, wanted, &mut losses)?;
    let plan = AnswerPlan {
        client: from,
        target: to,
        shown_model: wanted.shown_model.to_owned(),
        answer_id: wanted.answer_id.to_owned(),
        created_s: wanted.now_s,
        streams: wanted.streams,
        includes_usage: conversation.includes_usage,
        shows_thinking: conversation.reasoning.is_shown,
        compacts: conversation.compacts,
        tools: encoded.tools,
        output_tool: encoded.output_tool,
        stop_sequences: encode::untold_stops(to, &conversation),
        // Whoever opened the stream knows.
        gemini_array: false,
        estimated_input: u64::try_from(body.len()).unwrap_or(u64::MAX) / BYTES_PER_TOKEN,
        echoed: echo::echoed(from, whole),
    };
    Ok(TranslatedRequest {
        body: encoded.body.into_bytes(),
        plan,
        losses: losses.sorted(),
    })
}
