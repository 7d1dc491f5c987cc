//! The content of Chat messages.

use std::borrow::Cow;

use airside_protocols::Family;

use crate::json::{Json, Object, Text};
use crate::plan::{ClientTool, ToolKind};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Call, Media, MediaKind, Role, Source, THOUGHTS, Thinking, ToolResult, Turn};
use crate::request::decode::{arguments_in, function, input_as_arguments, push_call, push_text, untag};
use crate::request::losses::Losses;
use crate::request::media::{guessed_type, kind_of_type, source_of_url};

/// One message.
pub(super) fn turn<'a>(message: Json<'a>, number: usize, losses: &mut Losses) -> Result<Turn<'a>, Untranslatable> {
    let fields = message.object();
    let place = format!("messages[{number}]");
    if fields.get("name").is_some() && fields.plain("role").as_deref() != Some("function") {
        losses.add("name");
    }
    let mut blocks = Vec::new();
    let role = match fields.plain("role").as_deref() {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => {
            push_thoughts(&fields, &mut blocks);
            Role::Assistant
        }
        Some("tool" | "function") => {
            return Ok(Turn::of(Role::User, vec![result(&fields, &place, losses)?]));
        }
        _ => {
            return Err(Untranslatable::malformed(&format!(
                "`{place}` has no role that is known"
            )));
        }
    };
    content(&fields, &place, &mut blocks, losses)?;
    if role == Role::Assistant {
        push_text(&mut blocks, fields.text("refusal"), None);
        calls(&fields, &mut blocks, losses);
    }
    Ok(Turn::of(role, blocks))
}

fn push_thoughts<'a>(fields: &Object<'a>, blocks: &mut Vec<Block<'a>>) {
    let shown = THOUGHTS.iter().find_map(|name| fields.get(name));
    if let Some(shown) = shown.filter(|shown| !matches!(shown.raw(), "\"\"" | "[]")) {
        blocks.push(Block::Thinking(Thinking {
            issuer: Family::OpenaiChat,
            data: Cow::Borrowed(shown.raw()),
        }));
    }
}

fn content<'a>(
    fields: &Object<'a>,
    place: &str,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    let Some(content) = fields.get("content") else {
        return Ok(());
    };
    let cache = fields.get("cache_control").map(Json::raw);
    if content.is_string() {
        push_text(blocks, content.text(), cache);
        return Ok(());
    }
    if !content.is_array() {
        return Err(Untranslatable::malformed(&format!(
            "the content of `{place}` is neither a text nor an array"
        )));
    }
    for part in content.items() {
        push_part(&part.object(), blocks, losses)?;
    }
    Ok(())
}

fn push_part<'a>(part: &Object<'a>, blocks: &mut Vec<Block<'a>>, losses: &mut Losses) -> Result<(), Untranslatable> {
    let cache = part.get("cache_control").map(Json::raw);
    let media = match part.kind().as_ref() {
        "text" => {
            push_text(blocks, part.text("text"), cache);
            return Ok(());
        }
        "refusal" => {
            push_text(blocks, part.text("refusal"), cache);
            return Ok(());
        }
        "image_url" => image(part)?,
        "file" => file(&part.object("file"))?,
        "input_audio" => audio(&part.object("input_audio"))?,
        "video_url" => {
            let url = part.object("video_url").text("url");
            Media::of(
                MediaKind::Video,
                source_of_url(url.ok_or_else(|| missing("video_url"))?),
            )
        }
        other => {
            losses.add_named(other);
            return Ok(());
        }
    };
    blocks.push(Block::Media(Media { cache, ..media }));
    Ok(())
}

fn missing(what: &str) -> Untranslatable {
    Untranslatable::malformed(&format!("a part of type `{what}` holds nothing"))
}

fn image<'a>(part: &Object<'a>) -> Result<Media<'a>, Untranslatable> {
    let image = part.object("image_url");
    let url = image.text("url").or_else(|| part.text("image_url"));
    Ok(Media {
        detail: image.text("detail").filter(|detail| detail.escaped() != "auto"),
        ..Media::of(
            MediaKind::Image,
            source_of_url(url.ok_or_else(|| missing("image_url"))?),
        )
    })
}

/// A file in the request; of one that is kept at `OpenAI` there is only an id.
pub(super) fn file<'a>(file: &Object<'a>) -> Result<Media<'a>, Untranslatable> {
    if file.get("file_id").is_some() {
        return Err(Untranslatable::elsewhere("a file uploaded to OpenAI is named"));
    }
    let name = file.text("filename");
    let source = match (file.text("file_data"), file.text("file_url")) {
        (Some(data), _) => match source_of_url(data) {
            // Base64 alone is taken as well; then the name tells the type.
            Source::Url(data) => Source::Base64 {
                media_type: guessed_type(&name.as_ref().map(Text::plain).unwrap_or_default(), MediaKind::Document)
                    .into(),
                data,
            },
            inline @ Source::Base64 { .. } => inline,
        },
        (None, Some(url)) => source_of_url(url),
        (None, None) => return Err(missing("file")),
    };
    let kind = match &source {
        Source::Base64 { media_type, .. } => kind_of_type(media_type),
        Source::Url(_) => MediaKind::Document,
    };
    Ok(Media {
        name,
        ..Media::of(kind, source)
    })
}

pub(super) fn audio<'a>(fields: &Object<'a>) -> Result<Media<'a>, Untranslatable> {
    let data = fields.text("data").ok_or_else(|| missing("input_audio"))?;
    let format = fields.plain("format").unwrap_or("wav".into());
    let source = Source::Base64 {
        media_type: format!("audio/{format}").into(),
        data,
    };
    Ok(Media::of(MediaKind::Audio, source))
}

fn calls<'a>(fields: &Object<'a>, blocks: &mut Vec<Block<'a>>, losses: &mut Losses) {
    for call in fields.items("tool_calls").map(Json::object) {
        let custom = call.object("custom");
        let is_custom = call.kind() == "custom";
        let inner = if is_custom { custom } else { call.object("function") };
        let kind = if is_custom {
            ToolKind::Custom
        } else {
            ToolKind::Function
        };
        let extra = call.get("extra_content").filter(|extra| extra.is_object());
        let arguments = if is_custom {
            input_as_arguments(inner.text("input"))
        } else {
            arguments_in(inner.text("arguments").as_ref(), losses)
        };
        push_call(
            blocks,
            Call {
                id: call.plain("id").unwrap_or_default(),
                tool: ClientTool {
                    kind,
                    ..function(inner.plain("name").unwrap_or_default())
                },
                arguments,
                signature: None,
                extra: extra.map(|extra| extra.raw().into()),
                cache: None,
            },
        );
    }
    if let Some(earlier_way) = fields.get("function_call").map(Json::object) {
        let name = earlier_way.plain("name").unwrap_or_default();
        push_call(
            blocks,
            Call {
                id: name.clone(),
                tool: function(name),
                arguments: arguments_in(earlier_way.text("arguments").as_ref(), losses),
                signature: None,
                extra: None,
                cache: None,
            },
        );
    }
}

fn result<'a>(fields: &Object<'a>, place: &str, losses: &mut Losses) -> Result<Block<'a>, Untranslatable> {
    let id = fields.plain("tool_call_id").or_else(|| fields.plain("name"));
    let mut id = id.unwrap_or_default();
    untag(&mut id);
    let mut blocks = Vec::new();
    content(fields, place, &mut blocks, losses)?;
    Ok(Block::Result(ToolResult {
        id,
        content: blocks,
        is_error: false,
        cache: fields.get("cache_control").map(Json::raw),
    }))
}
