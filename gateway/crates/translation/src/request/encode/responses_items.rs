//! The input items of a Responses request.

use crate::json::{ArrayWriter, ObjectWriter};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Call, Media, MediaKind, Role, Source, Thinking, ToolResult, Turn};
use crate::request::encode::Encoding;
use crate::request::encode::files::{refused, text_of, url_of};
use crate::request::losses::Field;

impl<'a> Encoding<'_, 'a> {
    pub(super) fn input(&mut self, body: &mut ObjectWriter<'_>) -> Result<(), Untranslatable> {
        let mut refusal = Ok(());
        body.array("input", |input| {
            for turn in &self.conversation.turns {
                refusal = self.items(turn, input);
                if refusal.is_err() {
                    return;
                }
            }
        });
        let ends_with_model = self
            .conversation
            .turns
            .last()
            .is_some_and(|turn| turn.role == Role::Assistant);
        if ends_with_model && !self.is_sibling() {
            self.lose(Field::Prefill);
        }
        refusal
    }

    /// Neighbouring texts and files make one message; everything else is an item of its own.
    fn items(&mut self, turn: &Turn<'a>, input: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
        let is_content = |block: &Block<'_>| matches!(block, Block::Text(_) | Block::Media(_));
        for group in turn.blocks.chunk_by(|one, next| is_content(one) && is_content(next)) {
            match group {
                [Block::Thinking(thought)] => write_thought(thought, input),
                [Block::Call(call)] => self.function_call(call, input),
                [Block::Result(result)] => self.function_output(result, input)?,
                content => self.message(turn.role, content, input)?,
            }
        }
        Ok(())
    }

    fn message(&mut self, role: Role, blocks: &[Block<'a>], input: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
        let (name, kind) = match role {
            Role::System => ("developer", "input_text"),
            Role::User => ("user", "input_text"),
            Role::Assistant => ("assistant", "output_text"),
        };
        let mut refusal = Ok(());
        input.object(|message| {
            message.plain("type", "message");
            message.plain("role", name);
            message.array("content", |content| refusal = self.parts(kind, blocks, content));
        });
        refusal
    }

    fn parts(&mut self, kind: &str, blocks: &[Block<'a>], content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
        for block in blocks {
            match block {
                Block::Text(text) => content.object(|part| {
                    part.plain("type", kind);
                    part.text("text", &text.text);
                }),
                // The model's own pictures have no place in its messages.
                Block::Media(_) if kind == "output_text" => self.losses.add("image"),
                Block::Media(media) => write_media(media, content)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn function_call(&mut self, call: &Call<'a>, input: &mut ArrayWriter<'_>) {
        input.object(|item| {
            item.plain("type", "function_call");
            item.plain("call_id", &self.names.call(&call.id));
            item.plain("name", &self.names.tool(&call.tool));
            item.plain("arguments", &call.arguments);
        });
    }

    fn function_output(&mut self, result: &ToolResult<'a>, input: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
        if result.is_error {
            self.lose(Field::IsError);
        }
        let mut refusal = Ok(());
        input.object(|item| {
            item.plain("type", "function_call_output");
            item.plain("call_id", &self.names.call(&result.id));
            match result.content.as_slice() {
                [] => item.plain("output", ""),
                [Block::Text(text)] => item.text("output", &text.text),
                several => item.array("output", |output| refusal = self.parts("input_text", several, output)),
            }
        });
        refusal
    }
}

fn write_media(media: &Media<'_>, content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
    if let Some(text) = text_of(media) {
        content.object(|part| {
            part.plain("type", "input_text");
            part.text("text", &text);
        });
        return Ok(());
    }
    match media.kind {
        MediaKind::Image => content.object(|part| {
            part.plain("type", "input_image");
            part.text("image_url", &url_of(&media.source));
            match &media.detail {
                Some(detail) => part.text("detail", detail),
                None => part.plain("detail", "auto"),
            }
        }),
        MediaKind::Document => content.object(|part| {
            part.plain("type", "input_file");
            match &media.source {
                Source::Url(url) => part.text("file_url", url),
                inline @ Source::Base64 { .. } => {
                    match &media.name {
                        Some(name) => part.text("filename", name),
                        None => part.plain("filename", "document.pdf"),
                    }
                    part.text("file_data", &url_of(inline));
                }
            }
        }),
        MediaKind::Audio | MediaKind::Video => return Err(refused(media, "the Responses dialect")),
    }
    Ok(())
}

/// The item that the model once wrote, or several.
fn write_thought(thought: &Thinking<'_>, input: &mut ArrayWriter<'_>) {
    for item in thought.pieces() {
        input.json(item.raw());
    }
}
