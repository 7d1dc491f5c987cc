//! The messages of an Anthropic request.

use airside_protocols::Family;

use crate::json::{ArrayWriter, ObjectWriter};
use crate::request::conversation::{
    Block, Call, Conversation, Media, MediaKind, Role, Source, Thinking, ToolResult, Turn,
};
use crate::request::encode::Encoding;
use crate::request::encode::files::{refused, text_of};
use crate::request::{Untranslatable, Wanted};

/// The dialect takes no more.
const MOST_MARKS: usize = 4;
const FIVE_MINUTES: &str = r#"{"type":"ephemeral"}"#;

/// Where the prompt cache is to end. Callers of dialects that cache by themselves set no marks: for a session the
/// gateway sets them, or its every call would be paid in full.
#[derive(Debug)]
pub(super) struct Marks {
    set: usize,
    lost: bool,
    sets_own: bool,
}

impl Marks {
    pub(super) fn new(conversation: &Conversation<'_>, wanted: &Wanted<'_>) -> Self {
        Self {
            set: 0,
            lost: false,
            sets_own: !conversation.has_cache_marks
                && conversation.caller != Family::Anthropic
                && wanted.cache_key.is_some(),
        }
    }

    /// The mark of a block: the caller's, or ours if the block is a good place.
    pub(super) fn of<'m>(&mut self, given: Option<&'m str>, is_good_place: bool) -> Option<&'m str> {
        let mark = given.or((self.sets_own && is_good_place).then_some(FIVE_MINUTES))?;
        if self.set == MOST_MARKS {
            self.lost = true;
            return None;
        }
        self.set += 1;
        Some(mark)
    }

    pub(super) const fn is_none_set(&self) -> bool {
        self.set == 0
    }

    pub(super) const fn were_lost(&self) -> bool {
        self.lost
    }
}

impl<'a> Encoding<'_, 'a> {
    pub(super) fn messages(&mut self, body: &mut ObjectWriter<'_>, marks: &mut Marks) -> Result<(), Untranslatable> {
        let turns = &self.conversation.turns;
        let mut result = Ok(());
        body.array("messages", |messages| {
            for (number, turn) in turns.iter().enumerate() {
                // The newest turn, and the one before it, which the call before this one has cached.
                let is_marked = turn.role == Role::User && number + 3 >= turns.len();
                messages.object(|message| {
                    message.plain(
                        "role",
                        if turn.role == Role::Assistant {
                            "assistant"
                        } else {
                            "user"
                        },
                    );
                    message.array("content", |content| {
                        if let Err(refusal) = self.turn(turn, is_marked, marks, content) {
                            result = Err(refusal);
                        }
                    });
                });
                if result.is_err() {
                    return;
                }
            }
        });
        result
    }

    fn turn(
        &mut self,
        turn: &Turn<'a>,
        is_marked: bool,
        marks: &mut Marks,
        content: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        for (number, block) in turn.blocks.iter().enumerate() {
            let is_good_place = is_marked && number + 1 == turn.blocks.len();
            match block {
                Block::Text(text) => {
                    let mark = marks.of(text.cache, is_good_place);
                    content.object(|object| {
                        object.plain("type", "text");
                        object.text("text", &text.text);
                        object.optional_json("cache_control", mark);
                    });
                }
                Block::Media(media) => write_media(media, marks.of(media.cache, is_good_place), content)?,
                Block::Thinking(thought) => write_thought(thought, content),
                Block::Call(call) => self.call(call, marks.of(call.cache, is_good_place), content),
                Block::Result(result) => self.result(result, marks.of(result.cache, is_good_place), content)?,
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &Call<'a>, mark: Option<&str>, content: &mut ArrayWriter<'_>) {
        content.object(|object| {
            object.plain("type", "tool_use");
            object.plain("id", &self.names.call(&call.id));
            object.plain("name", &self.names.tool(&call.tool));
            object.json("input", &call.arguments);
            object.optional_json("cache_control", mark);
        });
    }

    fn result(
        &mut self,
        result: &ToolResult<'a>,
        mark: Option<&str>,
        content: &mut ArrayWriter<'_>,
    ) -> Result<(), Untranslatable> {
        let mut refusal = Ok(());
        content.object(|object| {
            object.plain("type", "tool_result");
            object.plain("tool_use_id", &self.names.call(&result.id));
            match result.content.as_slice() {
                [] => {}
                [Block::Text(text)] => object.text("content", &text.text),
                several => object.array("content", |inner| refusal = write_returned(several, inner)),
            }
            if result.is_error {
                object.flag("is_error", true);
            }
            object.optional_json("cache_control", mark);
        });
        refusal
    }
}

fn write_returned(blocks: &[Block<'_>], content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
    for block in blocks {
        match block {
            Block::Text(text) => content.object(|object| {
                object.plain("type", "text");
                object.text("text", &text.text);
            }),
            Block::Media(media) => write_media(media, None, content)?,
            _ => {}
        }
    }
    Ok(())
}

fn write_media(media: &Media<'_>, mark: Option<&str>, content: &mut ArrayWriter<'_>) -> Result<(), Untranslatable> {
    if let Some(text) = text_of(media) {
        content.object(|object| {
            object.plain("type", "text");
            object.text("text", &text);
            object.optional_json("cache_control", mark);
        });
        return Ok(());
    }
    let is_readable = match &media.source {
        Source::Url(_) => true,
        Source::Base64 { media_type, .. } => media.kind == MediaKind::Image || media_type == "application/pdf",
    };
    let kind = match media.kind {
        MediaKind::Image => "image",
        MediaKind::Document if is_readable => "document",
        _ => return Err(refused(media, "Anthropic's dialect")),
    };
    content.object(|object| {
        object.plain("type", kind);
        object.object("source", |source| match &media.source {
            Source::Base64 { media_type, data } => {
                source.plain("type", "base64");
                source.plain("media_type", media_type);
                source.text("data", data);
            }
            Source::Url(url) => {
                source.plain("type", "url");
                source.text("url", url);
            }
        });
        if let (Some(name), MediaKind::Document) = (&media.name, media.kind) {
            object.text("title", name);
        }
        object.optional_json("cache_control", mark);
    });
    Ok(())
}

/// The block that Claude once wrote, or several.
fn write_thought(thought: &Thinking<'_>, content: &mut ArrayWriter<'_>) {
    for block in thought.pieces() {
        content.json(block.raw());
    }
}
