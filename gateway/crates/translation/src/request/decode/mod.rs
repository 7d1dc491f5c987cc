//! From each family's dialect.

mod anthropic;
mod anthropic_content;
mod chat;
mod chat_content;
mod custom;
mod gemini;
mod gemini_content;
mod responses;
mod responses_items;

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object, Text};
use crate::opaque::{unseal, untag_call_id};
use crate::plan::{ClientTool, ToolKind};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Call, Conversation, Output, TextBlock, Thinking, ToolChoice};
use crate::request::losses::Losses;

/// Read a body of this family.
///
/// # Errors
/// `Untranslatable` when it is not of its dialect, or when what it asks for exists at its vendor only.
pub(crate) fn decode<'a>(
    family: Family,
    body: Json<'a>,
    losses: &mut Losses,
) -> Result<Conversation<'a>, Untranslatable> {
    let fields = body.object();
    match family {
        Family::Anthropic => anthropic::decode(&fields, losses),
        Family::OpenaiResponses => responses::decode(&fields, losses),
        Family::OpenaiChat => chat::decode(&fields, losses),
        Family::Gemini => gemini::decode(&fields, losses),
    }
}

/// Tell of every key that nobody else knows.
fn lose_unknown(fields: &Object<'_>, known: &[&str], losses: &mut Losses) {
    for key in fields.keys().filter(|key| !known.contains(key)) {
        losses.add_named(key);
    }
}

/// A tool call as it stands in the history, and before it what its id carried. Gemini's part of that belongs to the
/// call itself; a thought that had no other place was the first thing said.
fn push_call<'a>(blocks: &mut Vec<Block<'a>>, mut call: Call<'a>) {
    // Where a dialect has a field for it, what belongs to a call stands before it.
    if let Some(Block::Thinking(before)) = blocks.last()
        && let Some(extra) = extra_in(before)
    {
        call.extra = Some(extra);
        blocks.pop();
    }
    let Some(carried) = untag(&mut call.id) else {
        return blocks.push(Block::Call(call));
    };
    if let Some(extra) = extra_in(&carried) {
        call.extra = Some(extra);
        return blocks.push(Block::Call(call));
    }
    if carried.issuer == Family::Gemini {
        call.signature = Some(carried.data.into_owned());
        return blocks.push(Block::Call(call));
    }
    let own = |block: &Block<'_>| matches!(block, Block::Thinking(thought) if thought.issuer == carried.issuer);
    if blocks.iter().any(own) {
        push_thinking(blocks, carried);
    } else {
        blocks.insert(0, Block::Thinking(carried));
    }
    blocks.push(Block::Call(call));
}

/// What a Chat server wants back with a call of its own.
fn extra_in<'a>(carried: &Thinking<'_>) -> Option<Cow<'a, str>> {
    let data = (carried.issuer == Family::OpenaiChat).then(|| Json::parse(carried.data.as_bytes()))?;
    let extra = data?.object().get("extra_content").filter(|extra| extra.is_object())?;
    Some(Cow::Owned(extra.raw().to_owned()))
}

/// A thought, once: the same may stand in a field of its own and in the id of a call.
fn push_thinking<'a>(blocks: &mut Vec<Block<'a>>, thought: Thinking<'a>) {
    let is_known = |block: &Block<'_>| matches!(block, Block::Thinking(earlier) if *earlier == thought);
    // The two stand close together.
    if !blocks.iter().rev().take(32).any(is_known) {
        blocks.push(Block::Thinking(thought));
    }
}

/// Take from an id what was added to it for the way through the client.
fn untag<'a>(id: &mut Cow<'a, str>) -> Option<Thinking<'a>> {
    let (own, carried) = untag_call_id(id);
    let carried = carried?;
    *id = Cow::Owned(own.to_owned());
    Some(Thinking {
        issuer: carried.issuer,
        data: Cow::Owned(carried.data),
    })
}

/// What stands in a client's field for opaque data: another vendor's, sealed by us, or the field's own vendor's.
fn thinking_in<'a>(field: Option<Text<'a>>, own: Family, native: Json<'a>) -> Thinking<'a> {
    let sealed = field.and_then(|field| unseal(&field.plain()));
    match sealed {
        Some(sealed) => Thinking {
            issuer: sealed.issuer,
            data: Cow::Owned(sealed.data),
        },
        None => Thinking {
            issuer: own,
            data: Cow::Borrowed(native.raw()),
        },
    }
}

/// A function of the caller's.
fn function(name: impl Into<String>) -> ClientTool {
    ClientTool {
        name: name.into(),
        namespace: None,
        kind: ToolKind::Function,
    }
}

/// The arguments that a JSON string holds, as a JSON object. A model may have written something else: that is kept as
/// a text under `arguments`, for no dialect but `OpenAI`'s can say it.
fn arguments_in(text: Option<&Text<'_>>, losses: &mut Losses) -> Cow<'static, str> {
    let plain = text.map(Text::plain).unwrap_or_default();
    if plain.trim().is_empty() {
        return Cow::Borrowed("{}");
    }
    match Json::parse(plain.as_bytes()) {
        Some(json) if json.is_object() => Cow::Owned(json.raw().to_owned()),
        _ => {
            losses.add("arguments");
            Cow::Owned(crate::json::to_json(|object| object.plain("arguments", &plain)))
        }
    }
}

/// Free text as the arguments of a function.
fn input_as_arguments(input: Option<Text<'_>>) -> Cow<'static, str> {
    let input = input.unwrap_or_else(|| Text::from_escaped(Cow::Borrowed("")));
    Cow::Owned(crate::json::to_json(|object| object.text("input", &input)))
}

/// Text that says something; empty blocks are refused by some vendors and mean nothing to any.
fn push_text<'a>(blocks: &mut Vec<Block<'a>>, text: Option<Text<'a>>, cache: Option<&'a str>) {
    if let Some(text) = text.filter(|text| !text.is_blank()) {
        blocks.push(Block::Text(TextBlock { text, cache }));
    }
}

/// Settle on the tool that a choice names, as it was declared. Refused is a choice that cannot be met: of a tool that
/// only its vendor runs, or of one that nobody declared.
fn settle_choice(conversation: &mut Conversation<'_>, lost_a_tool: bool) -> Result<(), Untranslatable> {
    let is_met = match &mut conversation.tool_choice {
        ToolChoice::Named(tool) => {
            let is_meant = |declared: &&ClientTool| {
                declared.name == tool.name && (tool.namespace.is_none() || declared.namespace == tool.namespace)
            };
            let mut declared = conversation.tools.iter().map(|tool| &tool.client);
            let meant = declared.find(is_meant).cloned();
            meant.map(|meant| *tool = meant).is_some()
        }
        ToolChoice::Required => !conversation.tools.is_empty(),
        _ => true,
    };
    if is_met {
        return Ok(());
    }
    Err(if lost_a_tool {
        Untranslatable::server_tool()
    } else {
        Untranslatable::malformed("`tool_choice` names a tool that `tools` does not declare")
    })
}

/// The answer must be one of these.
fn choice_among(conversation: &mut Conversation<'_>, allowed: &[String]) {
    let stays = |tool: &ClientTool| {
        allowed.iter().any(|name| {
            *name == tool.name
                || tool
                    .namespace
                    .as_ref()
                    .is_some_and(|space| *name == format!("{space}__{}", tool.name))
        })
    };
    conversation.tools.retain(|tool| stays(&tool.client));
}

/// The texts among the blocks: instructions hold nothing else that a dialect could say.
fn texts_of(blocks: Vec<Block<'_>>) -> Vec<TextBlock<'_>> {
    let text = |block| match block {
        Block::Text(text) => Some(text),
        _ => None,
    };
    blocks.into_iter().filter_map(text).collect()
}

/// `OpenAI`'s words for the choice of a tool.
fn choice_word(word: &str) -> Result<ToolChoice, Untranslatable> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        other => {
            let message = format!("`tool_choice` of `{other}` is unknown");
            Err(Untranslatable::malformed(&message))
        }
    }
}

/// `OpenAI`'s formats of an answer's text.
fn output_of<'a>(kind: &str, fields: &Object<'a>) -> Output<'a> {
    match (kind, fields.get("schema")) {
        ("json_schema", Some(schema)) => Output::Schema {
            name: fields.plain("name"),
            description: fields.text("description"),
            schema: Cow::Borrowed(schema.raw()),
            is_strict: fields.flag("strict"),
        },
        ("json_schema" | "json_object", _) => Output::Json,
        _ => Output::Text,
    }
}
