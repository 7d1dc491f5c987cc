//! The content of Anthropic's messages.

use airside_protocols::Family;

use crate::json::{Json, Object, Text};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Call, Media, MediaKind, Role, Source, ToolResult, Turn};
use crate::request::decode::{function, push_call, push_text, push_thinking, thinking_in, untag};
use crate::request::losses::Losses;

/// Where a block stands, for the refusals.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    name: &'p str,
    depth: usize,
}

impl<'p> Place<'p> {
    pub(super) const fn of(name: &'p str) -> Self {
        Self { name, depth: 0 }
    }

    /// One level deeper: results hold documents, and documents hold blocks, but it does not go on for ever.
    fn inner(self) -> Result<Self, Untranslatable> {
        if self.depth == 3 {
            return Err(Untranslatable::malformed(&format!(
                "`{}` holds blocks in blocks in blocks",
                self.name
            )));
        }
        Ok(Self {
            depth: self.depth + 1,
            ..self
        })
    }
}

/// One message.
pub(super) fn turn<'a>(message: Json<'a>, number: usize, losses: &mut Losses) -> Result<Turn<'a>, Untranslatable> {
    let fields = message.object();
    let place = format!("messages[{number}]");
    let role = match fields.plain("role").as_deref() {
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("system") => Role::System,
        _ => {
            return Err(Untranslatable::malformed(&format!(
                "`{place}` has no role that is known"
            )));
        }
    };
    let Some(content) = fields.get("content") else {
        return Err(Untranslatable::malformed(&format!("`{place}` has no content")));
    };
    Ok(Turn::of(role, blocks(content, Place::of(&place), losses)?))
}

/// What a text or an array of blocks holds.
pub(super) fn blocks<'a>(
    content: Json<'a>,
    place: Place<'_>,
    losses: &mut Losses,
) -> Result<Vec<Block<'a>>, Untranslatable> {
    let mut blocks = Vec::new();
    if content.is_string() {
        push_text(&mut blocks, content.text(), None);
        return Ok(blocks);
    }
    if !content.is_array() {
        return Err(Untranslatable::malformed(&format!(
            "the content of `{}` is neither a text nor an array",
            place.name
        )));
    }
    for item in content.items() {
        if !item.is_object() {
            return Err(Untranslatable::malformed(&format!(
                "`{}` holds a block that is no object",
                place.name
            )));
        }
        push_block(item, place, &mut blocks, losses)?;
    }
    Ok(blocks)
}

fn push_block<'a>(
    item: Json<'a>,
    place: Place<'_>,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    let fields = item.object();
    let cache = fields.get("cache_control").map(Json::raw);
    match fields.kind().as_ref() {
        "text" => {
            if fields.items("citations").next().is_some() {
                losses.add("citations");
            }
            push_text(blocks, fields.text("text"), cache);
        }
        "image" => blocks.push(image(&fields, cache)?),
        "document" => document(&fields, cache, place, blocks, losses)?,
        "thinking" => push_thinking(blocks, thinking_in(fields.text("signature"), Family::Anthropic, item)),
        "redacted_thinking" => push_thinking(blocks, thinking_in(fields.text("data"), Family::Anthropic, item)),
        "tool_use" => push_call(blocks, call(&fields, cache)),
        "tool_result" => blocks.push(result(&fields, cache, place, losses)?),
        "search_result" => search_result(&fields, cache, place, blocks, losses)?,
        "tool_reference" => {
            losses.add("tool_reference");
            let name = fields
                .text("tool_name")
                .map(|name| name.within("The tool `", "` is available."));
            push_text(blocks, name, cache);
        }
        "container_upload" => {
            return Err(Untranslatable::elsewhere(
                "a file in a container of Anthropic's is named",
            ));
        }
        other => losses.add_named(other),
    }
    Ok(())
}

fn call<'a>(fields: &Object<'a>, cache: Option<&'a str>) -> Call<'a> {
    let input = fields.get("input").filter(|input| input.is_object());
    Call {
        id: fields.plain("id").unwrap_or_default(),
        tool: function(fields.plain("name").unwrap_or_default()),
        arguments: input.map_or("{}", Json::raw).into(),
        signature: None,
        extra: None,
        cache,
    }
}

fn result<'a>(
    fields: &Object<'a>,
    cache: Option<&'a str>,
    place: Place<'_>,
    losses: &mut Losses,
) -> Result<Block<'a>, Untranslatable> {
    let mut id = fields.plain("tool_use_id").unwrap_or_default();
    untag(&mut id);
    let place = place.inner()?;
    let content = fields.get("content").map(|content| blocks(content, place, losses));
    Ok(Block::Result(ToolResult {
        id,
        content: content.transpose()?.unwrap_or_default(),
        is_error: fields.flag("is_error") == Some(true),
        cache,
    }))
}

fn image<'a>(fields: &Object<'a>, cache: Option<&'a str>) -> Result<Block<'a>, Untranslatable> {
    let source = source(&fields.object("source"), "image/png")?;
    Ok(Block::Media(Media {
        cache,
        ..Media::of(MediaKind::Image, source)
    }))
}

fn source<'a>(fields: &Object<'a>, otherwise: &'static str) -> Result<Source<'a>, Untranslatable> {
    match fields.kind().as_ref() {
        "base64" => Ok(Source::Base64 {
            media_type: fields.plain("media_type").unwrap_or(otherwise.into()),
            data: fields
                .text("data")
                .ok_or_else(|| Untranslatable::malformed("a source has no data"))?,
        }),
        "url" => {
            let url = fields.text("url");
            Ok(Source::Url(
                url.ok_or_else(|| Untranslatable::malformed("a source has no url"))?,
            ))
        }
        "file" => Err(Untranslatable::elsewhere("a file uploaded to Anthropic is named")),
        _ => Err(Untranslatable::malformed("the source of a file is of no known type")),
    }
}

/// Text documents are text to everybody else.
fn document<'a>(
    fields: &Object<'a>,
    cache: Option<&'a str>,
    place: Place<'_>,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    if fields.object("citations").flag("enabled") == Some(true) {
        losses.add("citations");
    }
    let title = fields.text("title");
    push_text(blocks, fields.text("context"), None);
    let file = fields.object("source");
    match file.kind().as_ref() {
        "text" => {
            let pieces: Vec<Text<'a>> = title.into_iter().chain(file.text("data")).collect();
            push_text(blocks, Some(Text::joined(&pieces, "\\n\\n")), cache);
        }
        "content" => {
            push_text(blocks, title, None);
            if let Some(content) = file.get("content") {
                blocks.extend(self::blocks(content, place.inner()?, losses)?);
            }
        }
        _ => blocks.push(Block::Media(Media {
            name: title,
            cache,
            ..Media::of(MediaKind::Document, source(&file, "application/pdf")?)
        })),
    }
    Ok(())
}

/// A source with its texts; nobody else can cite it by its place.
fn search_result<'a>(
    fields: &Object<'a>,
    cache: Option<&'a str>,
    place: Place<'_>,
    blocks: &mut Vec<Block<'a>>,
    losses: &mut Losses,
) -> Result<(), Untranslatable> {
    losses.add("search_result");
    let head: Vec<Text<'a>> = ["title", "source"].iter().filter_map(|key| fields.text(key)).collect();
    push_text(blocks, Some(Text::joined(&head, "\\n")), cache);
    if let Some(content) = fields.get("content") {
        blocks.extend(self::blocks(content, place.inner()?, losses)?);
    }
    Ok(())
}
