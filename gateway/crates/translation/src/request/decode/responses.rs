//! `OpenAI` Responses.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object};
use crate::plan::{ClientTool, ToolKind};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Conversation, Role, TextBlock, Tool, ToolChoice, Turn};
use crate::request::decode::responses_items::turns;
use crate::request::decode::{choice_among, custom, function, lose_unknown, settle_choice};
use crate::request::losses::Losses;
use crate::request::reasoning::Effort;

const FIELDS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_output_tokens",
    "text",
    "reasoning",
    "include",
    "store",
    "stream",
    "stream_options",
    "truncation",
    "metadata",
    "user",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
    "background",
    "top_logprobs",
    "previous_response_id",
    "conversation",
    "prompt",
];

/// The namespace of tools that have none.
const NO_NAMESPACE: &str = "functions";

pub(super) fn decode<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Conversation<'a>, Untranslatable> {
    let mut conversation = Conversation::of(Family::OpenaiResponses);
    lose_unknown(fields, FIELDS, losses);
    refuse(fields)?;
    if let Some(instructions) = fields.text("instructions").filter(|text| !text.is_blank()) {
        conversation.system.push(TextBlock::of(instructions));
    }
    let mut lost_a_tool = tools(fields, &mut conversation, losses);
    lost_a_tool |= input(fields, &mut conversation, losses)?;
    if conversation.compacts {
        conversation.tool_choice = ToolChoice::None;
    } else {
        choice(fields, &mut conversation)?;
    }
    settle_choice(&mut conversation, lost_a_tool)?;
    conversation.parallel_calls = fields.flag("parallel_tool_calls");
    conversation.limit = fields.count("max_output_tokens");
    conversation.sampling.temperature = fields.number("temperature");
    conversation.sampling.top_p = fields.number("top_p");
    answer(fields, &mut conversation, losses);
    let account = &mut conversation.account;
    account.user = fields.text("safety_identifier").or_else(|| fields.text("user"));
    account.metadata = fields.get("metadata").filter(|given| given.is_object()).map(Json::raw);
    account.service_tier = fields
        .text("service_tier")
        .filter(|tier| !["auto", "default"].contains(&tier.escaped()));
    account.store = fields.flag("store");
    account.cache_key = fields.text("prompt_cache_key");
    Ok(conversation)
}

fn refuse(fields: &Object<'_>) -> Result<(), Untranslatable> {
    let stored = ["previous_response_id", "conversation", "prompt"];
    match stored.iter().find(|name| fields.get(name).is_some()) {
        Some(name) => Err(Untranslatable::elsewhere(&format!(
            "`{name}` continues what OpenAI keeps; send the whole conversation in `input` instead"
        ))),
        None => Ok(()),
    }
}

/// The turns, and the tools that travel among them; true if one of these was left out.
fn input<'a>(
    fields: &Object<'a>,
    conversation: &mut Conversation<'a>,
    losses: &mut Losses,
) -> Result<bool, Untranslatable> {
    let input = fields
        .get("input")
        .ok_or_else(|| Untranslatable::malformed("`input` is missing"))?;
    if let Some(text) = input.text() {
        let blocks = vec![Block::Text(TextBlock::of(text))];
        conversation.turns.push(Turn::of(Role::User, blocks));
        return Ok(false);
    }
    if !input.is_array() {
        return Err(Untranslatable::malformed("`input` must be a text or an array"));
    }
    turns(input, conversation, losses)
}

/// The tools that an object declares; true if one that only `OpenAI` runs had to be left out.
pub(super) fn tools<'a>(holder: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) -> bool {
    let mut lost = false;
    for tool in holder.items("tools").map(Json::object) {
        if tool.kind() != "namespace" {
            lost |= push_tool(&tool, None, &mut conversation.tools, losses);
            continue;
        }
        let name = tool.plain("name").filter(|name| name != NO_NAMESPACE);
        let first = conversation.tools.len();
        for inner in tool.items("tools").map(Json::object) {
            lost |= push_tool(&inner, name.as_deref(), &mut conversation.tools, losses);
        }
        // A description of them all goes before that of the first.
        if let (Some(all), Some(first)) = (tool.text("description"), conversation.tools.get_mut(first)) {
            let own = first.description.take();
            let whole: Vec<_> = Some(all).into_iter().chain(own).collect();
            first.description = Some(crate::json::Text::joined(&whole, "\\n\\n"));
        }
    }
    lost
}

fn push_tool<'a>(fields: &Object<'a>, namespace: Option<&str>, tools: &mut Vec<Tool<'a>>, losses: &mut Losses) -> bool {
    match fields.kind().as_ref() {
        "function" => tools.push(Tool {
            client: ClientTool {
                namespace: namespace.map(str::to_owned),
                ..function(fields.plain("name").unwrap_or_default())
            },
            description: fields.text("description"),
            schema: fields.get("parameters").map(|schema| Cow::Borrowed(schema.raw())),
            is_strict: fields.flag("strict") == Some(true),
            cache: None,
        }),
        "custom" => tools.push(custom::free_text(fields, &fields.object("format"), namespace, losses)),
        "local_shell" => tools.push(custom::local_shell()),
        other => {
            losses.add_named(other);
            return true;
        }
    }
    false
}

fn choice(fields: &Object<'_>, conversation: &mut Conversation<'_>) -> Result<(), Untranslatable> {
    let Some(choice) = fields.get("tool_choice") else {
        return Ok(());
    };
    if let Some(word) = choice.plain() {
        conversation.tool_choice = super::choice_word(&word)?;
        return Ok(());
    }
    let choice = choice.object();
    let tool_of = |kind| ClientTool {
        namespace: choice.plain("namespace").map(Cow::into_owned),
        kind,
        ..function(choice.plain("name").unwrap_or_default())
    };
    conversation.tool_choice = match choice.kind().as_ref() {
        "function" => ToolChoice::Named(tool_of(ToolKind::Function)),
        "custom" => ToolChoice::Named(tool_of(ToolKind::Custom)),
        "local_shell" => ToolChoice::Named(custom::local_shell_tool()),
        "allowed_tools" => {
            let names: Vec<String> = choice
                .items("tools")
                .filter_map(|tool| tool.object().plain("name").map(Cow::into_owned))
                .collect();
            choice_among(conversation, &names);
            super::choice_word(&choice.plain("mode").unwrap_or("auto".into()))?
        }
        _ => return Err(Untranslatable::server_tool()),
    };
    Ok(())
}

/// What the answer is to be: its format, how much thought goes before it, what comes with it.
fn answer<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) {
    let text = fields.object("text");
    if !conversation.compacts {
        let format = text.object("format");
        conversation.output = super::output_of(&format.kind(), &format);
    }
    conversation.account.verbosity = text.text("verbosity");
    let asked = fields.object("reasoning");
    let mut shown = asked.get("summary").is_some() || asked.get("generate_summary").is_some();
    for included in fields.items("include").filter_map(Json::plain) {
        if included == "reasoning.encrypted_content" {
            shown = true;
        } else {
            losses.add("include");
        }
    }
    conversation.reasoning.effort = asked.plain("effort").and_then(|effort| Effort::named(&effort));
    conversation.reasoning.is_shown = shown;
    if fields.count("top_logprobs").is_some_and(|count| count > 0) {
        losses.add("top_logprobs");
    }
    if fields.plain("truncation").is_some_and(|kind| kind != "disabled") {
        losses.add("truncation");
    }
}
