//! The content of Gemini's requests.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use airside_protocols::Family;

use crate::json::{Json, Object, Text};
use crate::opaque::unseal;
use crate::request::Untranslatable;
use crate::request::conversation::{
    Block, Call, Media, MediaKind, Role, Source, TextBlock, Thinking, ToolResult, Turn,
};
use crate::request::decode::gemini::{get, object};
use crate::request::decode::{function, push_call, push_text, push_thinking, texts_of, untag};
use crate::request::losses::Losses;
use crate::request::media::kind_of_type;

/// The system instruction.
pub(super) fn instructions<'a>(
    content: &Object<'a>,
    losses: &mut Losses,
) -> Result<Vec<TextBlock<'a>>, Untranslatable> {
    let mut blocks = Vec::new();
    let mut reader = Reader::new(losses);
    for part in content.items("parts") {
        reader.push_part(&part.object(), &mut blocks)?;
    }
    Ok(texts_of(blocks))
}

pub(super) fn turns<'a>(fields: &Object<'a>, losses: &mut Losses) -> Result<Vec<Turn<'a>>, Untranslatable> {
    let contents = fields.get("contents").filter(|contents| contents.is_array());
    let contents = contents.ok_or_else(|| Untranslatable::malformed("`contents` must be an array"))?;
    let mut reader = Reader::new(losses);
    let mut turns = Vec::new();
    for (number, content) in contents.items().enumerate() {
        let content = content.object();
        let role = match content.plain("role").as_deref() {
            None | Some("" | "user" | "function") => Role::User,
            Some("model") => Role::Assistant,
            Some("system") => Role::System,
            Some(_) => {
                let message = format!("`contents[{number}]` has no role that is known");
                return Err(Untranslatable::malformed(&message));
            }
        };
        let mut blocks = Vec::new();
        for part in content.items("parts") {
            reader.push_part(&part.object(), &mut blocks)?;
        }
        turns.push(Turn::of(role, blocks));
    }
    Ok(turns)
}

struct Reader<'a, 'l> {
    /// The ids of all calls by name, oldest first: clients may leave ids out.
    calls: HashMap<Cow<'a, str>, VecDeque<Cow<'a, str>>>,
    /// The calls that were answered by id.
    answered: HashSet<Cow<'a, str>>,
    /// How many ids were made up.
    made: usize,
    losses: &'l mut Losses,
}

impl<'a, 'l> Reader<'a, 'l> {
    fn new(losses: &'l mut Losses) -> Self {
        Self {
            calls: HashMap::new(),
            answered: HashSet::new(),
            made: 0,
            losses,
        }
    }

    fn push_part(&mut self, part: &Object<'a>, blocks: &mut Vec<Block<'a>>) -> Result<(), Untranslatable> {
        push_signature(part, blocks);
        if part.flag("thought") == Some(true) {
            // A summary for people: the model reads its signatures only.
            return Ok(());
        }
        if part.get("text").is_some() {
            push_text(blocks, part.text("text"), None);
        } else if let Some(call) = get(part, "functionCall") {
            push_call(blocks, self.call(&call.object()));
        } else if let Some(returned) = get(part, "functionResponse") {
            blocks.push(Block::Result(self.result(&returned.object())?));
        } else if get(part, "inlineData").is_some() || get(part, "fileData").is_some() {
            blocks.push(Block::Media(media(part)?));
        } else if let Some(other) = part.keys().next() {
            self.losses.add_named(other);
        }
        Ok(())
    }

    fn call(&mut self, fields: &Object<'a>) -> Call<'a> {
        let name = fields.plain("name").unwrap_or_default();
        let id = fields.plain("id").filter(|id| !id.is_empty()).unwrap_or_else(|| {
            self.made += 1;
            Cow::Owned(format!("call_{}", self.made))
        });
        let mut own = id.clone();
        untag(&mut own);
        self.calls.entry(name.clone()).or_default().push_back(own);
        let args = fields.get("args").filter(|args| args.is_object());
        Call {
            id,
            tool: function(name),
            arguments: args.map_or("{}", Json::raw).into(),
            signature: None,
            extra: None,
            cache: None,
        }
    }

    fn result(&mut self, fields: &Object<'a>) -> Result<ToolResult<'a>, Untranslatable> {
        let name = fields.plain("name").unwrap_or_default();
        let id = match fields.plain("id").filter(|id| !id.is_empty()) {
            Some(mut id) => {
                untag(&mut id);
                self.answered.insert(id.clone());
                id
            }
            None => self.oldest_open(&name).unwrap_or(name),
        };
        let (mut content, is_error) = returned(fields.get("response"));
        for part in fields.items("parts") {
            content.push(Block::Media(media(&part.object())?));
        }
        Ok(ToolResult {
            id,
            content,
            is_error,
            cache: None,
        })
    }

    /// The oldest call of this function that has no answer yet.
    fn oldest_open(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let calls = self.calls.get_mut(name)?;
        while let Some(id) = calls.pop_front() {
            if !self.answered.contains(&id) {
                return Some(id);
            }
        }
        None
    }
}

/// The signature of a part, before it: another vendor's thought that we sealed, or Google's own.
fn push_signature<'a>(part: &Object<'a>, blocks: &mut Vec<Block<'a>>) {
    let Some(signature) = get(part, "thoughtSignature") else {
        return;
    };
    let thought = match signature.plain().and_then(|signature| unseal(&signature)) {
        Some(sealed) => Thinking {
            issuer: sealed.issuer,
            data: Cow::Owned(sealed.data),
        },
        None => Thinking {
            issuer: Family::Gemini,
            data: Cow::Borrowed(signature.raw()),
        },
    };
    push_thinking(blocks, thought);
}

/// What a function returned: an object, which is a text where it has one member by one of the agreed names.
fn returned(response: Option<Json<'_>>) -> (Vec<Block<'_>>, bool) {
    let Some(response) = response else {
        return (Vec::new(), false);
    };
    let members: Vec<_> = response.members().collect();
    let (text, is_error) = match members.as_slice() {
        [(key, value)] if matches!(key.as_ref(), "output" | "result") && value.is_string() => (value.text(), false),
        [(key, value)] if key == "error" && value.is_string() => (value.text(), true),
        _ => (Some(Text::from_plain(response.raw())), false),
    };
    let mut blocks = Vec::new();
    push_text(&mut blocks, text, None);
    (blocks, is_error)
}

fn media<'a>(part: &Object<'a>) -> Result<Media<'a>, Untranslatable> {
    let nothing = || Untranslatable::malformed("a part with a file holds nothing");
    if get(part, "fileData").is_some() {
        let file = object(part, "fileData");
        let url = get(&file, "fileUri").and_then(Json::text).ok_or_else(nothing)?;
        let is_kept = url.escaped().contains("generativelanguage.googleapis.com") || !url.escaped().starts_with("http");
        if is_kept {
            return Err(Untranslatable::elsewhere("a file uploaded to Google is named"));
        }
        let media_type = get(&file, "mimeType").and_then(Json::plain);
        let kind = media_type.map_or(MediaKind::Document, |media_type| kind_of_type(&media_type));
        return Ok(Media::of(kind, Source::Url(url)));
    }
    let inline = object(part, "inlineData");
    let media_type = get(&inline, "mimeType").and_then(Json::plain).ok_or_else(nothing)?;
    let kind = kind_of_type(&media_type);
    let data = inline.text("data").ok_or_else(nothing)?;
    let name = get(&inline, "displayName").and_then(Json::text);
    Ok(Media {
        name,
        ..Media::of(kind, Source::Base64 { media_type, data })
    })
}
