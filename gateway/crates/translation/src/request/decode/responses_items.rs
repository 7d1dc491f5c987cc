//! The items of a Responses `input`.

use std::borrow::Cow;

use airside_protocols::{Family, SUMMARY_PROMPT};

use crate::json::{Json, Object, Text, to_json};
use crate::plan::{ClientTool, ToolKind};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Call, Conversation, Media, MediaKind, Role, TextBlock, ToolResult, Turn};
use crate::request::decode::chat_content::{audio, file};
use crate::request::decode::custom::local_shell_tool;
use crate::request::decode::responses::tools;
use crate::request::decode::{
    arguments_in, function, input_as_arguments, push_call, push_text, push_thinking, thinking_in, untag,
};
use crate::request::losses::Losses;
use crate::request::media::source_of_url;

/// Read the items into turns; true if a tool among them was left out.
pub(super) fn turns<'a>(
    input: Json<'a>,
    conversation: &mut Conversation<'a>,
    losses: &mut Losses,
) -> Result<bool, Untranslatable> {
    let mut lost_a_tool = false;
    for (number, item) in input.items().enumerate() {
        if conversation.compacts {
            let message = "a `compaction_trigger` must be the last item of `input`";
            return Err(Untranslatable::malformed(message));
        }
        let fields = item.object();
        let kind = fields.kind();
        if kind == "compaction_trigger" {
            ask_for_summary(conversation);
            continue;
        }
        if kind == "additional_tools" {
            lost_a_tool |= tools(&fields, conversation, losses);
            continue;
        }
        let place = format!("input[{number}]");
        let role = role_of(&kind, &fields, &place)?;
        let blocks = match conversation.turns.last_mut() {
            Some(last) if last.role == role && role == Role::Assistant => &mut last.blocks,
            _ => {
                conversation.turns.push(Turn::of(role, Vec::new()));
                match conversation.turns.last_mut() {
                    Some(last) => &mut last.blocks,
                    None => continue,
                }
            }
        };
        push_item(item, &kind, &fields, &place, blocks, losses)?;
    }
    Ok(lost_a_tool)
}

/// Where nobody compacts, the model writes a summary.
fn ask_for_summary(conversation: &mut Conversation<'_>) {
    let prompt = TextBlock::of(Text::from_plain(SUMMARY_PROMPT));
    conversation.turns.push(Turn::of(Role::User, vec![Block::Text(prompt)]));
    conversation.compacts = true;
}

fn role_of(kind: &str, fields: &Object<'_>, place: &str) -> Result<Role, Untranslatable> {
    match kind {
        "" | "message" => match fields.plain("role").as_deref() {
            Some("user") => Ok(Role::User),
            Some("assistant") => Ok(Role::Assistant),
            Some("system" | "developer") => Ok(Role::System),
            _ => Err(Untranslatable::malformed(&format!(
                "`{place}` has no role that is known"
            ))),
        },
        output if output.ends_with("_output") => Ok(Role::User),
        _ => Ok(Role::Assistant),
    }
}

fn push_item<'a>(
    item: Json<'a>,
    kind: &str,
    fields: &Object<'a>,
    place: &str,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    match kind {
        "" | "message" => content(fields.get("content"), place, blocks, losses)?,
        "reasoning" => {
            let sealed = fields.text("encrypted_content");
            push_thinking(blocks, thinking_in(sealed, Family::OpenaiResponses, item));
        }
        "function_call" => {
            let arguments = arguments_in(fields.text("arguments").as_ref(), losses);
            push_call(blocks, call(fields, named(fields, ToolKind::Function), arguments));
        }
        "custom_tool_call" => {
            let arguments = input_as_arguments(fields.text("input"));
            push_call(blocks, call(fields, named(fields, ToolKind::Custom), arguments));
        }
        "local_shell_call" => push_call(blocks, call(fields, local_shell_tool(), shell_arguments(fields))),
        "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
            let mut output = Vec::new();
            content(fields.get("output"), place, &mut output, losses)?;
            blocks.push(result(fields, output));
        }
        "item_reference" => {
            return Err(Untranslatable::elsewhere(&format!(
                "`{place}` refers to an item that OpenAI keeps"
            )));
        }
        "compaction" | "compaction_summary" | "context_compaction" => {
            let message = format!("`{place}` is a history that only OpenAI can read");
            return Err(Untranslatable::elsewhere(&message));
        }
        other => losses.add_named(other),
    }
    Ok(())
}

fn named(fields: &Object<'_>, kind: ToolKind) -> ClientTool {
    ClientTool {
        namespace: fields
            .plain("namespace")
            .filter(|name| name != "functions")
            .map(Cow::into_owned),
        kind,
        ..function(fields.plain("name").unwrap_or_default())
    }
}

fn call<'a>(fields: &Object<'a>, tool: ClientTool, arguments: Cow<'a, str>) -> Call<'a> {
    let id = fields.plain("call_id").or_else(|| fields.plain("id"));
    Call {
        id: id.unwrap_or_default(),
        tool,
        arguments,
        signature: None,
        extra: None,
        cache: None,
    }
}

fn shell_arguments(fields: &Object<'_>) -> Cow<'static, str> {
    let action = fields.get("action");
    let members = action
        .into_iter()
        .flat_map(Json::members)
        .filter(|(key, _)| key != "type");
    let arguments = to_json(|object| {
        for (key, value) in members {
            object.json(Text::from_plain(&key).escaped(), value.raw());
        }
    });
    Cow::Owned(arguments)
}

fn result<'a>(fields: &Object<'a>, content: Vec<Block<'a>>) -> Block<'a> {
    let id = fields.plain("call_id").or_else(|| fields.plain("id"));
    let mut id = id.unwrap_or_default();
    untag(&mut id);
    Block::Result(ToolResult {
        id,
        content,
        is_error: false,
        cache: None,
    })
}

/// What a text or an array of parts holds; another value is taken as its own text.
fn content<'a>(
    content: Option<Json<'a>>,
    place: &str,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    let Some(content) = content else {
        return Ok(());
    };
    if content.is_string() {
        push_text(blocks, content.text(), None);
        return Ok(());
    }
    if !content.is_array() {
        let message = format!("the content of `{place}` is neither a text nor an array");
        return Err(Untranslatable::malformed(&message));
    }
    for part in content.items() {
        push_part(&part.object(), blocks, losses)?;
    }
    Ok(())
}

fn push_part<'a>(part: &Object<'a>, blocks: &mut Vec<Block<'a>>, losses: &mut Losses) -> Result<(), Untranslatable> {
    match part.kind().as_ref() {
        "input_text" | "output_text" | "text" => push_text(blocks, part.text("text"), None),
        "refusal" => push_text(blocks, part.text("refusal"), None),
        "input_image" => blocks.push(Block::Media(image(part)?)),
        "input_file" => blocks.push(Block::Media(file(part)?)),
        "input_audio" => blocks.push(Block::Media(audio(&part.object("input_audio"))?)),
        other => losses.add_named(other),
    }
    Ok(())
}

fn image<'a>(part: &Object<'a>) -> Result<Media<'a>, Untranslatable> {
    if part.get("file_id").is_some() {
        return Err(Untranslatable::elsewhere("a file uploaded to OpenAI is named"));
    }
    let url = part.text("image_url");
    let url = url.ok_or_else(|| Untranslatable::malformed("a part of type `input_image` holds nothing"))?;
    Ok(Media {
        detail: part.text("detail").filter(|detail| detail.escaped() != "auto"),
        ..Media::of(MediaKind::Image, source_of_url(url))
    })
}
