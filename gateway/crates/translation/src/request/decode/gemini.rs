//! Gemini `generateContent`. Every name may be written in camel case or in snake case.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object};
use crate::request::Untranslatable;
use crate::request::conversation::{Conversation, Output, Tool, ToolChoice};
use crate::request::decode::gemini_content::{instructions, turns};
use crate::request::decode::{choice_among, function, settle_choice};
use crate::request::losses::Losses;
use crate::request::reasoning::{Effort, Switch};
use crate::request::schema;

const FIELDS: &[&str] = &[
    "model",
    "contents",
    "systemInstruction",
    "tools",
    "toolConfig",
    "generationConfig",
    "cachedContent",
    "labels",
    "serviceTier",
    "store",
];
const SETTINGS: &[&str] = &[
    "temperature",
    "topP",
    "topK",
    "maxOutputTokens",
    "stopSequences",
    "seed",
    "presencePenalty",
    "frequencyPenalty",
    "candidateCount",
    "responseMimeType",
    "responseSchema",
    "responseJsonSchema",
    "responseModalities",
    "thinkingConfig",
];

/// A name in camel case, or the same in snake case.
pub(super) fn get<'a>(fields: &Object<'a>, name: &str) -> Option<Json<'a>> {
    fields.get(name).or_else(|| fields.get(&snake(name)))
}

pub(super) fn object<'a>(fields: &Object<'a>, name: &str) -> Object<'a> {
    get(fields, name).map(Json::object).unwrap_or_default()
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Tell of every key that nobody else knows.
fn lose_unknown(fields: &Object<'_>, known: &[&str], losses: &mut Losses) {
    let is_known = |key: &str| known.iter().any(|name| *name == key || snake(name) == key);
    for key in fields.keys().filter(|key| !is_known(key)) {
        losses.add_named(key);
    }
}

pub(super) fn decode<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Conversation<'a>, Untranslatable> {
    let mut conversation = Conversation::of(Family::Gemini);
    lose_unknown(fields, FIELDS, losses);
    if get(fields, "cachedContent").is_some() {
        return Err(Untranslatable::elsewhere("`cachedContent` continues what Google keeps"));
    }
    conversation.system = instructions(&object(fields, "systemInstruction"), losses)?;
    conversation.turns = turns(fields, losses)?;
    let lost_a_tool = tools(fields, &mut conversation, losses);
    choice(fields, &mut conversation);
    settle_choice(&mut conversation, lost_a_tool)?;
    let settings = object(fields, "generationConfig");
    lose_unknown(&settings, SETTINGS, losses);
    refuse(&settings)?;
    sampling(&settings, &mut conversation);
    reasoning(&settings, &mut conversation);
    output(&settings, &mut conversation);
    let account = &mut conversation.account;
    account.metadata = fields.get("labels").filter(|labels| labels.is_object()).map(Json::raw);
    account.service_tier = get(fields, "serviceTier").and_then(Json::text);
    account.store = fields.flag("store");
    Ok(conversation)
}

fn refuse(settings: &Object<'_>) -> Result<(), Untranslatable> {
    if get(settings, "candidateCount")
        .and_then(Json::count)
        .is_some_and(|count| count > 1)
    {
        let message = "several answers at once (`candidateCount`) can be asked of Gemini providers only";
        return Err(Untranslatable::unsayable(message));
    }
    let kinds = get(settings, "responseModalities").into_iter().flat_map(Json::items);
    if kinds
        .filter_map(Json::plain)
        .any(|kind| !kind.eq_ignore_ascii_case("text"))
    {
        let message = "answers other than text (`responseModalities`) can be asked of Gemini providers only";
        return Err(Untranslatable::unsayable(message));
    }
    Ok(())
}

/// The caller's functions; true if a tool that Google runs had to be left out.
fn tools<'a>(fields: &Object<'a>, conversation: &mut Conversation<'a>, losses: &mut Losses) -> bool {
    let mut lost = false;
    for tool in fields.items("tools").map(Json::object) {
        for key in tool.keys() {
            if matches!(key, "functionDeclarations" | "function_declarations") {
                continue;
            }
            losses.add_named(key);
            lost = true;
        }
        let declared = get(&tool, "functionDeclarations").into_iter().flat_map(Json::items);
        conversation
            .tools
            .extend(declared.map(|function| declaration(&function.object())));
    }
    lost
}

fn declaration<'a>(fields: &Object<'a>) -> Tool<'a> {
    let as_written = get(fields, "parametersJsonSchema").map(|schema| Cow::Borrowed(schema.raw()));
    let own_way = || {
        fields
            .get("parameters")
            .map(|schema| Cow::Owned(schema::from_gemini(schema)))
    };
    Tool {
        client: function(fields.plain("name").unwrap_or_default()),
        description: fields.text("description"),
        schema: as_written.or_else(own_way),
        is_strict: false,
        cache: None,
    }
}

fn choice(fields: &Object<'_>, conversation: &mut Conversation<'_>) {
    let config = object(&object(fields, "toolConfig"), "functionCallingConfig");
    let allowed: Vec<String> = get(&config, "allowedFunctionNames")
        .into_iter()
        .flat_map(Json::items)
        .filter_map(|name| name.plain().map(Cow::into_owned))
        .collect();
    conversation.tool_choice = match config.plain("mode").unwrap_or_default().to_ascii_uppercase().as_str() {
        "AUTO" | "VALIDATED" => ToolChoice::Auto,
        "NONE" => ToolChoice::None,
        "ANY" => match allowed.as_slice() {
            [one] => ToolChoice::Named(function(one.clone())),
            _ => ToolChoice::Required,
        },
        _ => ToolChoice::Unsaid,
    };
    // The others stay declared where only one may be called, for the sake of prompt caches.
    if allowed.len() > 1 {
        choice_among(conversation, &allowed);
    }
}

fn sampling<'a>(settings: &Object<'a>, conversation: &mut Conversation<'a>) {
    let number = |name| get(settings, name).and_then(Json::number);
    let sampling = &mut conversation.sampling;
    sampling.temperature = number("temperature");
    sampling.top_p = number("topP");
    sampling.top_k = number("topK");
    sampling.seed = number("seed");
    sampling.presence_penalty = number("presencePenalty");
    sampling.frequency_penalty = number("frequencyPenalty");
    conversation.limit = get(settings, "maxOutputTokens").and_then(Json::count);
    let stop = get(settings, "stopSequences").into_iter().flat_map(Json::items);
    conversation.stop = stop.filter_map(Json::text).collect();
}

fn reasoning(settings: &Object<'_>, conversation: &mut Conversation<'_>) {
    let config = object(settings, "thinkingConfig");
    let level = get(&config, "thinkingLevel").and_then(Json::plain);
    let budget = get(&config, "thinkingBudget").and_then(Json::number);
    let reasoning = &mut conversation.reasoning;
    reasoning.effort = level.and_then(|level| Effort::named(&level));
    reasoning.is_shown = get(&config, "includeThoughts").and_then(Json::flag) == Some(true);
    match budget {
        Some("0") => reasoning.switch = Switch::Off,
        // As the model sees fit.
        Some("-1") => reasoning.switch = Switch::On,
        Some(tokens) => reasoning.budget = tokens.parse().ok(),
        None => {}
    }
}

fn output<'a>(settings: &Object<'a>, conversation: &mut Conversation<'a>) {
    let as_written = get(settings, "responseJsonSchema").map(|schema| Cow::Borrowed(schema.raw()));
    let own_way = || get(settings, "responseSchema").map(|schema| Cow::Owned(schema::from_gemini(schema)));
    let media_type = get(settings, "responseMimeType").and_then(Json::plain);
    conversation.output = match (as_written.or_else(own_way), media_type.as_deref()) {
        (Some(schema), _) => Output::Schema {
            name: None,
            description: None,
            schema,
            is_strict: None,
        },
        (None, Some("application/json")) => Output::Json,
        _ => Output::Text,
    };
}
