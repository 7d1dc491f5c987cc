//! `OpenAI` Chat Completions.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object};
use crate::plan::{ClientTool, ToolKind};
use crate::request::Untranslatable;
use crate::request::conversation::{Conversation, Tool, ToolChoice, Turn};
use crate::request::decode::chat_content::turn;
use crate::request::decode::{choice_among, custom, function, lose_unknown, settle_choice};
use crate::request::losses::Losses;
use crate::request::reasoning::{Effort, Switch};

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "tool_choice",
    "function_call",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "stop",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
    "reasoning_effort",
    "reasoning",
    "verbosity",
    "n",
    "modalities",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "logprobs",
    "top_logprobs",
];

pub(super) fn decode<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Conversation<'a>, Untranslatable> {
    let mut conversation = Conversation::of(Family::OpenaiChat);
    lose_unknown(fields, FIELDS, losses);
    refuse(fields)?;
    conversation.turns = turns(fields, losses)?;
    let lost_a_tool = tools(fields, &mut conversation, losses);
    choice(fields, &mut conversation)?;
    settle_choice(&mut conversation, lost_a_tool)?;
    conversation.parallel_calls = fields.flag("parallel_tool_calls");
    let limit = fields.count("max_completion_tokens");
    conversation.limit = limit.or_else(|| fields.count("max_tokens"));
    sampling(fields, &mut conversation, losses);
    reasoning(fields, &mut conversation);
    output(fields, &mut conversation);
    let account = &mut conversation.account;
    account.user = fields.text("safety_identifier").or_else(|| fields.text("user"));
    account.metadata = fields.get("metadata").filter(|given| given.is_object()).map(Json::raw);
    account.service_tier = fields
        .text("service_tier")
        .filter(|tier| !["auto", "default"].contains(&tier.escaped()));
    account.verbosity = fields.text("verbosity");
    account.store = fields.flag("store");
    account.cache_key = fields.text("prompt_cache_key");
    conversation.includes_usage = fields.object("stream_options").flag("include_usage") == Some(true);
    Ok(conversation)
}

fn refuse(fields: &Object<'_>) -> Result<(), Untranslatable> {
    if fields.count("n").is_some_and(|choices| choices > 1) {
        return Err(Untranslatable::unsayable(
            "several answers at once (`n`) can be asked of Chat providers only",
        ));
    }
    if fields
        .items("modalities")
        .any(|kind| kind.plain().as_deref() != Some("text"))
    {
        return Err(Untranslatable::unsayable(
            "answers other than text (`modalities`) can be asked of Chat providers only",
        ));
    }
    Ok(())
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

/// The caller's tools; true if one was left out.
fn tools<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) -> bool {
    let mut lost = false;
    for tool in fields.items("tools").map(Json::object) {
        let kind = tool.kind();
        match kind.as_ref() {
            "function" => conversation.tools.push(Tool {
                cache: tool.get("cache_control").map(Json::raw),
                ..function_tool(&tool.object("function"))
            }),
            "custom" => {
                let fields = tool.object("custom");
                let grammar = fields.object("format").object("grammar");
                conversation
                    .tools
                    .push(custom::free_text(&fields, &grammar, None, losses));
            }
            other => {
                losses.add_named(other);
                lost = true;
            }
        }
    }
    let earlier_way = fields.items("functions").map(|tool| function_tool(&tool.object()));
    conversation.tools.extend(earlier_way);
    lost
}

fn function_tool<'a>(fields: &Object<'a>) -> Tool<'a> {
    Tool {
        client: function(fields.plain("name").unwrap_or_default()),
        description: fields.text("description"),
        schema: fields.get("parameters").map(|schema| Cow::Borrowed(schema.raw())),
        is_strict: fields.flag("strict") == Some(true),
        cache: None,
    }
}

fn choice(fields: &Object<'_>, conversation: &mut Conversation<'_>) -> Result<(), Untranslatable> {
    let Some(choice) = fields.get("tool_choice").or_else(|| fields.get("function_call")) else {
        return Ok(());
    };
    let choice = match choice.plain() {
        Some(word) => super::choice_word(&word)?,
        None => named_choice(&choice.object(), conversation)?,
    };
    conversation.tool_choice = choice;
    Ok(())
}

fn named_choice(fields: &Object<'_>, conversation: &mut Conversation<'_>) -> Result<ToolChoice, Untranslatable> {
    let name_in = |fields: &Object<'_>| {
        let inner = ["function", "custom"]
            .iter()
            .find_map(|kind| fields.object(kind).plain("name").map(Cow::into_owned));
        inner.or_else(|| fields.plain("name").map(Cow::into_owned))
    };
    if fields.kind() == "allowed_tools" {
        let allowed = fields.object("allowed_tools");
        let names: Vec<String> = allowed
            .items("tools")
            .filter_map(|tool| name_in(&tool.object()))
            .collect();
        choice_among(conversation, &names);
        return super::choice_word(&allowed.plain("mode").unwrap_or("auto".into()));
    }
    let name = name_in(fields).ok_or_else(|| Untranslatable::malformed("`tool_choice` names no tool"))?;
    let kind = if fields.kind() == "custom" {
        ToolKind::Custom
    } else {
        ToolKind::Function
    };
    Ok(ToolChoice::Named(ClientTool { kind, ..function(name) }))
}

fn sampling<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) {
    let sampling = &mut conversation.sampling;
    sampling.temperature = fields.number("temperature");
    sampling.top_p = fields.number("top_p");
    sampling.top_k = fields.number("top_k");
    sampling.seed = fields.number("seed");
    sampling.presence_penalty = fields.number("presence_penalty");
    sampling.frequency_penalty = fields.number("frequency_penalty");
    let stop = fields.get("stop");
    conversation.stop = match stop {
        Some(one) if one.is_string() => one.text().into_iter().collect(),
        several => several
            .into_iter()
            .flat_map(Json::items)
            .filter_map(Json::text)
            .collect(),
    };
    if fields.flag("logprobs") == Some(true) || fields.count("top_logprobs").is_some_and(|count| count > 0) {
        losses.add("logprobs");
    }
}

fn reasoning(fields: &Object<'_>, conversation: &mut Conversation<'_>) {
    // `reasoning` is OpenRouter's.
    let detailed = fields.object("reasoning");
    let effort = fields.plain("reasoning_effort").or_else(|| detailed.plain("effort"));
    let reasoning = &mut conversation.reasoning;
    reasoning.effort = effort.and_then(|effort| Effort::named(&effort));
    reasoning.budget = detailed.count("max_tokens");
    reasoning.switch = match detailed.flag("enabled") {
        Some(true) => Switch::On,
        Some(false) => Switch::Off,
        None => Switch::Unsaid,
    };
    reasoning.is_shown = reasoning.is_on() && detailed.flag("exclude") != Some(true);
}

fn output<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>) {
    let format = fields.object("response_format");
    let schema = format.object("json_schema");
    conversation.output = super::output_of(&format.kind(), &schema);
}
