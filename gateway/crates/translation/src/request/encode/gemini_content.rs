//! The contents of a Gemini request.

use std::collections::HashMap;

use crate::json::{ArrayWriter, ObjectWriter, Text};
use crate::request::Untranslatable;
use crate::request::conversation::{Block, Media, Role, Source, ToolResult, Turn};
use crate::request::encode::Encoding;
use crate::request::losses::Field;
use crate::request::media::guessed_type;
use crate::request::models;

/// What the vendor takes instead of a signature, from histories that other models made.
const UNSIGNED: &str = r#""skip_thought_signature_validator""#;

impl<'a> Encoding<'_, 'a> {
    pub(super) fn contents(&mut self, body: &mut ObjectWriter<'_>) -> Result<(), Untranslatable> {
        let turns = &self.conversation.turns;
        let current = current_turn(turns);
        let signs = !models::gemini_is_old(self.wanted.model);
        let mut called = HashMap::new();
        let mut refusal = Ok(());
        body.array("contents", |contents| {
            for (number, turn) in turns.iter().enumerate() {
                contents.object(|content| {
                    let is_model = turn.role == Role::Assistant;
                    content.plain("role", if is_model { "model" } else { "user" });
                    content.array("parts", |parts| {
                        if is_model {
                            self.model_parts(turn, signs && number > current, &mut called, parts);
                        } else {
                            refusal = self.user_parts(turn, &called, parts);
                        }
                    });
                });
                if refusal.is_err() {
                    return;
                }
            }
        });
        let ends_with_model = turns.last().is_some_and(|turn| turn.role == Role::Assistant);
        if ends_with_model {
            self.lose(Field::Prefill);
        }
        refusal
    }

    /// A signature goes back to the part it came with: a call of its own, or what follows the thought.
    fn model_parts<'t>(
        &mut self,
        turn: &'t Turn<'a>,
        must_be_signed: bool,
        called: &mut HashMap<&'t str, String>,
        parts: &mut ArrayWriter<'_>,
    ) {
        let mut pending: Option<&str> = None;
        let mut is_first_call = true;
        for block in &turn.blocks {
            match block {
                Block::Thinking(thought) => pending = thought.pieces().first().map(|signature| signature.raw()),
                Block::Text(text) => parts.object(|part| {
                    part.text("text", &text.text);
                    part.optional_json("thoughtSignature", pending.take());
                }),
                Block::Call(call) => {
                    let last_resort = (must_be_signed && is_first_call).then_some(UNSIGNED);
                    let signature = call.signature.as_deref().or(pending.take()).or(last_resort);
                    is_first_call = false;
                    let name = self.names.tool(&call.tool);
                    parts.object(|part| {
                        part.object("functionCall", |function| {
                            function.plain("id", &self.names.call(&call.id));
                            function.plain("name", &name);
                            function.json("args", &call.arguments);
                        });
                        part.optional_json("thoughtSignature", signature);
                    });
                    called.insert(call.id.as_ref(), name);
                }
                Block::Media(media) => write_media(media, parts),
                Block::Result(_) => {}
            }
        }
        if let Some(signature) = pending {
            parts.object(|part| {
                part.plain("text", "");
                part.json("thoughtSignature", signature);
            });
        }
    }

    fn user_parts(
        &mut self,
        turn: &Turn<'a>,
        called: &HashMap<&str, String>,
        parts: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        let mut beside: Vec<&Media<'_>> = Vec::new();
        for block in &turn.blocks {
            match block {
                Block::Result(result) => {
                    let name = called.get(result.id.as_ref()).ok_or_else(|| {
                        let message = format!("the tool result `{}` answers no call", self.names.call(&result.id));
                        Untranslatable::malformed(&message)
                    })?;
                    beside.extend(self.function_response(result, name, parts));
                }
                Block::Text(text) => parts.object(|part| part.text("text", &text.text)),
                Block::Media(media) => write_media(media, parts),
                Block::Thinking(_) | Block::Call(_) => {}
            }
        }
        for media in beside {
            write_media(media, parts);
        }
        Ok(())
    }

    /// One response; the files that have no place in it.
    fn function_response<'r>(
        &self,
        result: &'r ToolResult<'a>,
        name: &str,
        parts: &mut ArrayWriter<'_>,
    ) -> Vec<&'r Media<'a>> {
        let texts = result.content.iter().filter_map(|block| match block {
            Block::Text(text) => Some(&text.text),
            _ => None,
        });
        let text = Text::joined(texts, "\\n\\n");
        let media = result.content.iter().filter_map(|block| match block {
            Block::Media(media) => Some(media),
            _ => None,
        });
        let takes_files = !models::gemini_is_old(self.wanted.model);
        let is_inside = |media: &&Media<'_>| takes_files && matches!(media.source, Source::Base64 { .. });
        let (inside, beside): (Vec<_>, Vec<_>) = media.partition(is_inside);
        parts.object(|part| {
            part.object("functionResponse", |response| {
                response.plain("id", &self.names.call(&result.id));
                response.plain("name", name);
                response.object("response", |object| {
                    object.text(if result.is_error { "error" } else { "output" }, &text);
                });
                if !inside.is_empty() {
                    response.array("parts", |array| {
                        for media in inside {
                            write_media(media, array);
                        }
                    });
                }
            });
        });
        beside
    }
}

/// Where the current turn began: with the last content of the user that answers no call.
fn current_turn(turns: &[Turn<'_>]) -> usize {
    let opens = |turn: &Turn<'_>| {
        turn.role != Role::Assistant && !turn.blocks.iter().any(|block| matches!(block, Block::Result(_)))
    };
    turns.iter().rposition(opens).unwrap_or(0)
}

fn write_media(media: &Media<'_>, parts: &mut ArrayWriter<'_>) {
    parts.object(|part| match &media.source {
        Source::Base64 { media_type, data } => part.object("inlineData", |inline| {
            inline.plain("mimeType", media_type);
            inline.text("data", data);
        }),
        Source::Url(url) => part.object("fileData", |file| {
            file.plain("mimeType", guessed_type(&url.plain(), media.kind));
            file.text("fileUri", url);
        }),
    });
}
