//! The messages of a Chat request.

use crate::json::{ArrayWriter, Json, ObjectWriter, Text, to_json};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Media, MediaKind, Role, Source, TextBlock, ToolResult, Turn};
use crate::request::encode::Encoding;
use crate::request::encode::files::{refused, text_of, url_of};
use crate::request::losses::Field;
use crate::request::models;

/// Between texts that become one: many servers take nothing but a single text.
const PARAGRAPH: &str = "\\n\\n";

impl<'a> Encoding<'_, 'a> {
    pub(super) fn chat_messages(&mut self, body: &mut ObjectWriter<'_>) -> Result<(), Untranslatable> {
        let conversation = self.conversation;
        let mut refusal = Ok(());
        body.array("messages", |messages| {
            let instructions = self.instructions();
            if !instructions.is_empty() {
                let parts = self.marked(instructions.iter().map(AsRef::as_ref), None, true);
                write_message("system", &parts, messages);
            }
            for (number, turn) in conversation.turns.iter().enumerate() {
                refusal = match turn.role {
                    Role::System => {
                        let parts = self.marked(turn.blocks.iter().filter_map(text_in), None, false);
                        write_message("system", &parts, messages);
                        Ok(())
                    }
                    Role::Assistant => {
                        self.assistant(turn, messages);
                        Ok(())
                    }
                    // The newest turn, and the one before it, which the call before this one has cached.
                    Role::User => self.user(turn, number + 3 >= conversation.turns.len(), messages),
                };
                if refusal.is_err() {
                    return;
                }
            }
        });
        let ends_with_model = conversation
            .turns
            .last()
            .is_some_and(|turn| turn.role == Role::Assistant);
        if ends_with_model && !self.is_sibling() {
            self.lose(Field::Prefill);
        }
        refusal
    }

    fn assistant(&mut self, turn: &Turn<'a>, messages: &mut ArrayWriter<'_>) {
        let parts = self.marked(turn.blocks.iter().filter_map(text_in), None, false);
        let calls: Vec<_> = turn
            .blocks
            .iter()
            .filter_map(|block| match block {
                Block::Call(call) => Some(call),
                _ => None,
            })
            .collect();
        if turn.blocks.iter().any(|block| matches!(block, Block::Media(_))) {
            // The model's own pictures have no place in its messages.
            self.losses.add("image");
        }
        // Their own vendor refuses what it does not know.
        let takes_extras = !models::is_openai(self.wanted.model);
        if !takes_extras && calls.iter().any(|call| call.extra.is_some()) {
            self.lose(Field::Thinking);
        }
        messages.object(|message| {
            message.plain("role", "assistant");
            if parts.is_empty() {
                message.json("content", if calls.is_empty() { "\"\"" } else { "null" });
            } else {
                write_content(&parts, message);
            }
            write_thoughts(turn, message);
            if calls.is_empty() {
                return;
            }
            message.array("tool_calls", |array| {
                for call in calls {
                    array.object(|object| {
                        object.plain("id", &self.names.call(&call.id));
                        object.plain("type", "function");
                        object.object("function", |function| {
                            function.plain("name", &self.names.tool(&call.tool));
                            function.plain("arguments", &call.arguments);
                        });
                        object.optional_json("extra_content", call.extra.as_deref().filter(|_| takes_extras));
                    });
                }
            });
        });
    }

    /// The results first, each a message; then what the user said, and the pictures that tools returned, which most
    /// servers take from users only.
    fn user(
        &mut self,
        turn: &Turn<'a>,
        is_good_place: bool,
        messages: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        let mut moved: Vec<Moved<'_, 'a>> = Vec::new();
        for (number, block) in turn.blocks.iter().enumerate() {
            if let Block::Result(result) = block {
                let is_last = number + 1 == turn.blocks.len();
                self.tool_message(result, is_good_place && is_last, messages);
                let media = result.content.iter().filter_map(media_in);
                moved.extend(media.map(|media| Moved {
                    call: &result.id,
                    media,
                }));
            }
        }
        let own = turn.blocks.iter().filter(|block| !matches!(block, Block::Result(_)));
        let own: Vec<_> = own.collect();
        if own.is_empty() && moved.is_empty() {
            return Ok(());
        }
        if moved.is_empty() && own.iter().all(|block| matches!(block, Block::Text(_))) {
            let parts = self.marked(own.into_iter().filter_map(text_in), None, is_good_place);
            write_message("user", &parts, messages);
            return Ok(());
        }
        let mut refusal = Ok(());
        messages.object(|message| {
            message.plain("role", "user");
            message.array("content", |content| refusal = self.parts_of_user(&own, &moved, content));
        });
        refusal
    }

    fn parts_of_user(
        &mut self,
        own: &[&Block<'a>],
        moved: &[Moved<'_, 'a>],
        content: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        for Moved { call, media } in moved {
            let label = format!("Returned by the tool call {}:", self.names.call(call));
            write_text_part(&Text::from_plain(&label), None, content);
            write_media(media, content)?;
        }
        for block in own {
            match block {
                Block::Text(text) => {
                    let mark = self.mark(text.cache, false);
                    write_text_part(&text.text, mark.as_deref(), content);
                }
                Block::Media(media) => write_media(media, content)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tool_message(&mut self, result: &ToolResult<'a>, is_good_place: bool, messages: &mut ArrayWriter<'_>) {
        if result.is_error {
            self.lose(Field::IsError);
        }
        let parts = self.marked(result.content.iter().filter_map(text_in), result.cache, is_good_place);
        messages.object(|message| {
            message.plain("role", "tool");
            message.plain("tool_call_id", &self.names.call(&result.id));
            if parts.is_empty() && !result.content.is_empty() {
                message.plain("content", "(returned as a file, in the next message)");
            } else {
                write_content(&parts, message);
            }
        });
    }

    /// These texts with their cache marks; `of_all` is the mark of all of them together, which stands at the last.
    fn marked<'t>(
        &mut self,
        texts: impl Iterator<Item = &'t TextBlock<'a>>,
        of_all: Option<&'a str>,
        is_good_place: bool,
    ) -> Vec<Part<'t, 'a>>
    where
        'a: 't,
    {
        let mut texts = texts.peekable();
        let mut parts = Vec::new();
        while let Some(block) = texts.next() {
            let is_last = texts.peek().is_none();
            let given = block.cache.or(of_all.filter(|_| is_last));
            parts.push(Part {
                text: &block.text,
                mark: self.mark(given, is_good_place && is_last),
            });
        }
        parts
    }

    /// A cache mark as the server takes it, if it takes any.
    fn mark(&mut self, given: Option<&str>, is_good_place: bool) -> Option<String> {
        let mark = Json::parse(self.chat_marks.as_mut()?.of(given, is_good_place)?.as_bytes())?.object();
        if mark.get("scope").is_some() {
            self.losses.add("cache_control.scope");
        }
        Some(to_json(|written| {
            for name in ["type", "ttl"] {
                written.optional_json(name, mark.get(name).map(Json::raw));
            }
        }))
    }

    /// Name the marks that the caller set and the server was not told of.
    pub(super) fn lose_chat_marks(&mut self) {
        let has_no_place = |block: &Block<'_>| match block {
            Block::Media(media) => media.cache.is_some(),
            Block::Call(call) => call.cache.is_some(),
            Block::Text(_) | Block::Thinking(_) | Block::Result(_) => false,
        };
        let were_lost = self.chat_marks.as_ref().is_none_or(|marks| {
            let conversation = self.conversation;
            marks.were_lost()
                || marks.is_none_set()
                || conversation.tools.iter().any(|tool| tool.cache.is_some())
                || conversation
                    .turns
                    .iter()
                    .any(|turn| turn.blocks.iter().any(has_no_place))
        });
        if were_lost {
            self.lose_said(&[Field::CacheMark]);
        }
    }
}

/// A text, perhaps the end of what is to be cached.
struct Part<'t, 'a> {
    text: &'t Text<'a>,
    mark: Option<String>,
}

/// A file that a tool returned, told by the user.
struct Moved<'m, 'a> {
    call: &'m str,
    media: &'m Media<'a>,
}

fn text_in<'b, 'a>(block: &'b Block<'a>) -> Option<&'b TextBlock<'a>> {
    match block {
        Block::Text(text) => Some(text),
        _ => None,
    }
}

fn media_in<'b, 'a>(block: &'b Block<'a>) -> Option<&'b Media<'a>> {
    match block {
        Block::Media(media) => Some(media),
        _ => None,
    }
}

fn write_message(role: &str, parts: &[Part<'_, '_>], messages: &mut ArrayWriter<'_>) {
    messages.object(|message| {
        message.plain("role", role);
        write_content(parts, message);
    });
}

/// One text where that says it all: marks need parts to stand on.
fn write_content(parts: &[Part<'_, '_>], message: &mut ObjectWriter<'_>) {
    if parts.iter().all(|part| part.mark.is_none()) {
        let texts = parts.iter().map(|part| part.text);
        return message.text("content", &Text::joined(texts, PARAGRAPH));
    }
    message.array("content", |content| {
        for part in parts {
            write_text_part(part.text, part.mark.as_deref(), content);
        }
    });
}

/// What the server once showed of its thoughts goes back where it stood.
fn write_thoughts(turn: &Turn<'_>, message: &mut ObjectWriter<'_>) {
    let thought = turn.blocks.iter().find_map(|block| match block {
        Block::Thinking(thought) => thought.pieces().into_iter().next(),
        _ => None,
    });
    for (key, value) in thought.into_iter().flat_map(Json::members) {
        message.json(&key, value.raw());
    }
}

fn write_text_part(text: &Text<'_>, mark: Option<&str>, content: &mut ArrayWriter<'_>) {
    content.object(|part| {
        part.plain("type", "text");
        part.text("text", text);
        part.optional_json("cache_control", mark);
    });
}

fn write_media(media: &Media<'_>, content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
    if let Some(text) = text_of(media) {
        write_text_part(&text, None, content);
        return Ok(());
    }
    match (media.kind, &media.source) {
        (MediaKind::Image, source) => content.object(|part| {
            part.plain("type", "image_url");
            part.object("image_url", |image| {
                image.text("url", &url_of(source));
                if let Some(detail) = &media.detail {
                    image.text("detail", detail);
                }
            });
        }),
        (MediaKind::Document, Source::Base64 { .. }) => content.object(|part| {
            part.plain("type", "file");
            part.object("file", |file| {
                match &media.name {
                    Some(name) => file.text("filename", name),
                    None => file.plain("filename", "document.pdf"),
                }
                file.text("file_data", &url_of(&media.source));
            });
        }),
        (MediaKind::Audio, Source::Base64 { media_type, data }) => content.object(|part| {
            part.plain("type", "input_audio");
            part.object("input_audio", |audio| {
                audio.text("data", data);
                let is_mp3 = matches!(media_type.as_ref(), "audio/mp3" | "audio/mpeg");
                audio.plain("format", if is_mp3 { "mp3" } else { "wav" });
            });
        }),
        _ => return Err(refused(media, "the Chat dialect")),
    }
    Ok(())
}
