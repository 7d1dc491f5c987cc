//! Into each family's dialect.

mod anthropic;
mod anthropic_content;
mod anthropic_thinking;
mod chat;
mod chat_content;
mod files;
mod gemini;
mod gemini_content;
mod openai;
mod responses;
mod responses_items;

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::Text;
use crate::plan::ToolNames;
use crate::request::conversation::{Block, Conversation, Output, TextBlock};
use crate::request::encode::anthropic_content::Marks;
use crate::request::losses::{Field, Losses};
use crate::request::names::Names;
use crate::request::{Untranslatable, Wanted};

const ONLY_JSON: &str = "Answer with one JSON object and nothing else.";

/// A body, and what its answer needs to know.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) body: String,
    pub(crate) tools: ToolNames,
    pub(crate) output_tool: Option<String>,
}

/// What every encoder writes from.
struct Encoding<'e, 'a> {
    conversation: &'e Conversation<'a>,
    wanted: &'e Wanted<'e>,
    names: Names,
    losses: &'e mut Losses,
    /// That an answer is to be JSON must be said in words, if nothing else says it.
    asks_for_json: bool,
    /// Where a prompt cache ends, for Chat servers that can be told.
    chat_marks: Option<Marks>,
}

impl<'e, 'a> Encoding<'e, 'a> {
    /// The instructions, and what the gateway has to add to them.
    fn instructions(&self) -> Vec<Cow<'e, TextBlock<'a>>> {
        let own = self.conversation.system.iter().map(Cow::Borrowed);
        let asked = self.asks_for_json.then(|| TextBlock::of(Text::from_plain(ONLY_JSON)));
        own.chain(asked.map(Cow::Owned)).collect()
    }

    /// Remember that the caller's setting cannot be told.
    fn lose(&mut self, field: Field) {
        self.losses.add(field.spelled(self.conversation.caller));
    }

    /// The same for those of these settings that the caller made.
    fn lose_said(&mut self, fields: &[Field]) {
        for field in fields {
            if is_said(self.conversation, *field) {
                self.lose(*field);
            }
        }
    }

    /// Remember the keywords that a schema lost.
    fn lose_keywords(&mut self, keywords: &crate::request::schema::Lost) {
        for keyword in keywords {
            let field = Field::Output.spelled(self.conversation.caller);
            self.losses.add_named(&format!("{field}.{keyword}"));
        }
    }
}

/// Say a conversation in this family's dialect.
///
/// # Errors
/// `Untranslatable` when it holds what the dialect has no words for.
pub(crate) fn encode(
    family: Family,
    conversation: &Conversation<'_>,
    wanted: &Wanted<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Untranslatable> {
    if conversation.turns.iter().all(|turn| turn.blocks.is_empty()) {
        return Err(Untranslatable::malformed("it says nothing"));
    }
    let mut encoding = Encoding {
        conversation,
        wanted,
        names: Names::new(family, wanted.model),
        losses,
        asks_for_json: false,
        chat_marks: wanted.takes_cache_marks.then(|| Marks::new(conversation, wanted)),
    };
    // The declared tools choose their names first, so that the history has no say in it.
    for tool in &conversation.tools {
        encoding.names.tool(&tool.client);
    }
    if matches!(family, Family::Anthropic | Family::Gemini) {
        encoding.lose_said(&[Field::Detail]);
    }
    match family {
        Family::Anthropic => anthropic::encode(encoding),
        Family::OpenaiResponses => responses::encode(encoding),
        Family::OpenaiChat => chat::encode(encoding),
        Family::Gemini => gemini::encode(encoding),
    }
}

/// The stop sequences that the answer must be told of, because the target does not say which of them it met.
pub(crate) fn untold_stops(family: Family, conversation: &Conversation<'_>) -> Vec<String> {
    if family == Family::Anthropic {
        return Vec::new();
    }
    conversation.stop.iter().map(|stop| stop.plain().into_owned()).collect()
}

fn is_said(conversation: &Conversation<'_>, field: Field) -> bool {
    let sampling = &conversation.sampling;
    let account = &conversation.account;
    match field {
        Field::Temperature => sampling.temperature.is_some(),
        Field::TopP => sampling.top_p.is_some(),
        Field::TopK => sampling.top_k.is_some(),
        Field::Seed => sampling.seed.is_some(),
        Field::PresencePenalty => !is_zero(sampling.presence_penalty),
        Field::FrequencyPenalty => !is_zero(sampling.frequency_penalty),
        Field::Stop => !conversation.stop.is_empty(),
        Field::Reasoning => conversation.reasoning.is_on(),
        Field::Output => !matches!(conversation.output, Output::Text),
        Field::User => account.user.is_some(),
        Field::Metadata => account.metadata.is_some_and(|metadata| metadata != "{}"),
        Field::ServiceTier => account.service_tier.is_some(),
        Field::Verbosity => account.verbosity.is_some(),
        Field::Store => account.store == Some(true),
        Field::CacheKey => account.cache_key.is_some(),
        Field::CacheMark => conversation.has_cache_marks,
        Field::ParallelCalls => conversation.parallel_calls == Some(false),
        Field::Strict => conversation.tools.iter().any(|tool| tool.is_strict),
        Field::Detail => {
            let mut blocks = conversation.turns.iter().flat_map(|turn| &turn.blocks);
            blocks.any(has_detail)
        }
        Field::Thinking | Field::System | Field::IsError | Field::Prefill => false,
    }
}

fn has_detail(block: &Block<'_>) -> bool {
    match block {
        Block::Media(media) => media.detail.is_some(),
        Block::Result(result) => result.content.iter().any(has_detail),
        Block::Text(_) | Block::Thinking(_) | Block::Call(_) => false,
    }
}

/// A penalty of nothing is none.
fn is_zero(number: Option<&str>) -> bool {
    number.is_none_or(|number| number.parse() == Ok(0.0_f64))
}
