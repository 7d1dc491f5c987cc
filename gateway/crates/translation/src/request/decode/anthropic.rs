//! Anthropic Messages.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Conversation, Output, TextBlock, Tool, ToolChoice, Turn};
use crate::request::decode::anthropic_content::{Place, blocks, turn};
use crate::request::decode::{function, lose_unknown, settle_choice};
use crate::request::losses::{Field, Losses};
use crate::request::reasoning::{Effort, Switch};

/// How Claude Code's attribution begins, which its vendor takes away again. Others would take it for a part of the
/// prompt, and it would break their prompt caches.
const ATTRIBUTION: &str = "x-anthropic-billing-header:";

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stream",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "service_tier",
    "cache_control",
    "inference_geo",
];
const TOOL_FIELDS: &[&str] = &["type", "name", "description", "input_schema", "strict", "cache_control"];

pub(super) fn decode<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Conversation<'a>, Untranslatable> {
    let mut conversation = Conversation::of(Family::Anthropic);
    lose_unknown(fields, FIELDS, losses);
    refuse_residence(fields)?;
    conversation.system = system(fields, losses)?;
    conversation.turns = turns(fields, losses)?;
    conversation.has_cache_marks = fields.get("cache_control").is_some();
    let lost_a_tool = tools(fields, &mut conversation, losses);
    choice(fields, &mut conversation)?;
    settle_choice(&mut conversation, lost_a_tool)?;
    conversation.limit = fields.count("max_tokens");
    let sampling = &mut conversation.sampling;
    sampling.temperature = fields.number("temperature");
    sampling.top_p = fields.number("top_p");
    sampling.top_k = fields.number("top_k");
    conversation.stop = fields.items("stop_sequences").filter_map(Json::text).collect();
    reasoning(fields, &mut conversation);
    output(fields, &mut conversation, losses);
    if fields.get("metadata").is_some() {
        // It names a device, an account and a session to Anthropic, not an end user to anybody else.
        losses.add(Field::User.spelled(Family::Anthropic));
    }
    conversation.account.service_tier = fields.text("service_tier").filter(|tier| tier.escaped() != "auto");
    Ok(conversation)
}

/// Where the data may be processed is not for the gateway to drop.
fn refuse_residence(fields: &Object<'_>) -> Result<(), Untranslatable> {
    match fields.plain("inference_geo").as_deref() {
        None | Some("global" | "not_available") => Ok(()),
        Some(place) => Err(Untranslatable::elsewhere(&format!(
            "`inference_geo` asks for processing in `{place}`, which only Anthropic's dialect can demand"
        ))),
    }
}

fn system<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Vec<TextBlock<'a>>, Untranslatable> {
    let Some(system) = fields.get("system") else {
        return Ok(Vec::new());
    };
    let mut parts = blocks(system, Place::of("system"), losses)?;
    if let Some(Block::Text(first)) = parts.first()
        && first.text.escaped().starts_with(ATTRIBUTION)
    {
        parts.remove(0);
    }
    Ok(super::texts_of(parts))
}

fn turns<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Vec<Turn<'a>>, Untranslatable> {
    let messages = fields.get("messages").filter(|messages| messages.is_array());
    let messages = messages.ok_or_else(|| Untranslatable::malformed("`messages` must be an array"))?;
    messages
        .items()
        .enumerate()
        .map(|(number, message)| turn(message, number, losses))
        .collect()
}

/// The caller's own tools; true if one that Anthropic runs had to be left out.
fn tools<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) -> bool {
    let mut lost = false;
    for tool in fields.items("tools").map(Json::object) {
        let kind = tool.kind();
        if !matches!(kind.as_ref(), "" | "custom") {
            losses.add_named(&kind);
            lost = true;
            continue;
        }
        lose_unknown(&tool, TOOL_FIELDS, losses);
        conversation.tools.push(Tool {
            client: function(tool.plain("name").unwrap_or_default()),
            description: tool.text("description"),
            schema: tool.get("input_schema").map(|schema| Cow::Borrowed(schema.raw())),
            is_strict: tool.flag("strict") == Some(true),
            cache: tool.get("cache_control").map(Json::raw),
        });
    }
    lost
}

fn choice(fields: &Object<'_>, conversation: &mut Conversation<'_>) -> Result<(), Untranslatable> {
    let choice = fields.object("tool_choice");
    conversation.tool_choice = match choice.kind().as_ref() {
        "" => ToolChoice::Unsaid,
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(function(choice.plain("name").unwrap_or_default())),
        other => {
            let message = format!("`tool_choice` of type `{other}` is unknown");
            return Err(Untranslatable::malformed(&message));
        }
    };
    conversation.parallel_calls = choice.flag("disable_parallel_tool_use").map(|disabled| !disabled);
    Ok(())
}

fn reasoning(fields: &Object<'_>, conversation: &mut Conversation<'_>) {
    let thinking = fields.object("thinking");
    let reasoning = &mut conversation.reasoning;
    reasoning.switch = match thinking.kind().as_ref() {
        "enabled" | "adaptive" => Switch::On,
        "disabled" => Switch::Off,
        _ => Switch::Unsaid,
    };
    reasoning.budget = thinking.count("budget_tokens");
    reasoning.is_shown = reasoning.switch == Switch::On && thinking.plain("display").as_deref() != Some("omitted");
    let effort = fields.object("output_config").plain("effort");
    reasoning.effort = effort.and_then(|effort| Effort::named(&effort));
}

fn output<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) {
    let config = fields.object("output_config");
    for key in config.keys().filter(|key| !["effort", "format"].contains(key)) {
        losses.add_named(&format!("output_config.{key}"));
    }
    let format = config.get("format").or_else(|| fields.get("output_format"));
    if let Some(schema) = format.and_then(|format| format.object().get("schema")) {
        conversation.output = Output::Schema {
            name: None,
            description: None,
            schema: Cow::Borrowed(schema.raw()),
            is_strict: None,
        };
    }
}
