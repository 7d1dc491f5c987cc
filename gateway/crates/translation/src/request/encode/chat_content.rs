//! The messages of a Chat request.

use crate::json::{ArrayWriter, Json, ObjectWriter, Text};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Media, MediaKind, Role, Source, ToolResult, Turn};
use crate::request::encode::Encoding;
use crate::request::encode::files::{refused, text_of, url_of};
use crate::request::losses::Field;

/// Between texts that become one: many servers take nothing but a single text.
const PARAGRAPH: &str = "\\n\\n";

impl<'a> Encoding<'_, 'a> {
    pub(super) fn chat_messages(&mut self, body: &mut ObjectWriter<'_>) -> Result<(), Untranslatable> {
        let conversation = self.conversation;
        let mut refusal = Ok(());
        body.array("messages", |messages| {
            let instructions = self.instructions();
            if !instructions.is_empty() {
                let texts = instructions.iter().map(|part| &part.text);
                write_message("system", &Text::joined(texts, PARAGRAPH), messages);
            }
            for turn in &conversation.turns {
                refusal = match turn.role {
                    Role::System => {
                        let texts = turn.blocks.iter().filter_map(text_in);
                        write_message("system", &Text::joined(texts, PARAGRAPH), messages);
                        Ok(())
                    }
                    Role::Assistant => {
                        self.assistant(turn, messages);
                        Ok(())
                    }
                    Role::User => self.user(turn, messages),
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
        let texts: Vec<_> = turn.blocks.iter().filter_map(text_in).collect();
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
        messages.object(|message| {
            message.plain("role", "assistant");
            if texts.is_empty() {
                message.json("content", if calls.is_empty() { "\"\"" } else { "null" });
            } else {
                message.text("content", &Text::joined(texts, PARAGRAPH));
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
                    });
                }
            });
        });
    }

    /// The results first, each a message; then what the user said, and the pictures that tools returned, which most
    /// servers take from users only.
    fn user(&mut self, turn: &Turn<'a>, messages: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
        let mut moved: Vec<Moved<'_, 'a>> = Vec::new();
        for block in &turn.blocks {
            if let Block::Result(result) = block {
                self.tool_message(result, messages);
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
            let texts = own.into_iter().filter_map(text_in);
            write_message("user", &Text::joined(texts, PARAGRAPH), messages);
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
        &self,
        own: &[&Block<'a>],
        moved: &[Moved<'_, 'a>],
        content: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        for Moved { call, media } in moved {
            let label = format!("Returned by the tool call {}:", self.names.call(call));
            write_text_part(&Text::from_plain(&label), content);
            write_media(media, content)?;
        }
        for block in own {
            match block {
                Block::Text(text) => write_text_part(&text.text, content),
                Block::Media(media) => write_media(media, content)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn tool_message(&mut self, result: &ToolResult<'a>, messages: &mut ArrayWriter<'_>) {
        if result.is_error {
            self.lose(Field::IsError);
        }
        let texts: Vec<_> = result.content.iter().filter_map(text_in).collect();
        messages.object(|message| {
            message.plain("role", "tool");
            message.plain("tool_call_id", &self.names.call(&result.id));
            if texts.is_empty() && !result.content.is_empty() {
                message.plain("content", "(returned as a file, in the next message)");
            } else {
                message.text("content", &Text::joined(texts, PARAGRAPH));
            }
        });
    }
}

/// A file that a tool returned, told by the user.
struct Moved<'m, 'a> {
    call: &'m str,
    media: &'m Media<'a>,
}

fn text_in<'b, 'a>(block: &'b Block<'a>) -> Option<&'b Text<'a>> {
    match block {
        Block::Text(text) => Some(&text.text),
        _ => None,
    }
}

fn media_in<'b, 'a>(block: &'b Block<'a>) -> Option<&'b Media<'a>> {
    match block {
        Block::Media(media) => Some(media),
        _ => None,
    }
}

fn write_message(role: &str, text: &Text<'_>, messages: &mut ArrayWriter<'_>) {
    messages.object(|message| {
        message.plain("role", role);
        message.text("content", text);
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

fn write_text_part(text: &Text<'_>, content: &mut ArrayWriter<'_>) {
    content.object(|part| {
        part.plain("type", "text");
        part.text("text", text);
    });
}

fn write_media(media: &Media<'_>, content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
    if let Some(text) = text_of(media) {
        write_text_part(&text, content);
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
