//! A request in another dialect.

use airside_protocols::Family;

use crate::loss::Loss;
use crate::plan::AnswerPlan;

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
    let _ = (body, wanted);
    Err(Untranslatable {
        code: "wrong_family",
        message: format!("A {} request cannot be said in {} yet.", from.name(), to.name()),
    })
}
