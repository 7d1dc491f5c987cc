//! Reading what targets say, one file for each dialect.

mod anthropic;
mod chat;
mod gemini;
mod responses;

use airside_protocols::Family;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use self::anthropic::AnthropicReader;
use self::chat::ChatReader;
use self::gemini::GeminiReader;
use self::responses::ResponsesReader;
use super::NotAnAnswer;
use super::heard::Heard;

/// A reader of one answer.
#[derive(Debug)]
pub(crate) enum Reader {
    Anthropic(AnthropicReader),
    Responses(Box<ResponsesReader>),
    Chat(ChatReader),
    Gemini(GeminiReader),
}

impl Reader {
    pub(crate) fn new(target: Family) -> Self {
        match target {
            Family::Anthropic => Self::Anthropic(AnthropicReader::default()),
            Family::OpenaiResponses => Self::Responses(Box::default()),
            Family::OpenaiChat => Self::Chat(ChatReader::default()),
            Family::Gemini => Self::Gemini(GeminiReader::default()),
        }
    }

    /// Read one event of a stream. Events that mean nothing are passed over.
    ///
    /// # Errors
    /// `NotAnAnswer` when it is not an event of the dialect.
    pub(crate) fn event(
        &mut self,
        name: Option<&[u8]>,
        data: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<(), NotAnAnswer> {
        match self {
            Self::Anthropic(reader) => reader.event(name, data, heard),
            Self::Responses(reader) => reader.event(name, data, heard),
            Self::Chat(reader) => reader.event(data, heard),
            Self::Gemini(reader) => reader.event(data, heard),
        }
    }

    /// The body is over. Says the end where the dialect has no event for it.
    pub(crate) fn end_of_body(&mut self, heard: &mut Vec<Heard>) {
        if let Self::Gemini(reader) = self {
            reader.end_of_body(heard);
        }
    }

    /// The end is assured, even if `end_of_body` is still to say it.
    pub(crate) const fn has_ended(&self) -> bool {
        matches!(self, Self::Gemini(reader) if reader.has_ended())
    }

    /// Read an answer that came whole.
    ///
    /// # Errors
    /// `NotAnAnswer` when it is not one.
    pub(crate) fn whole(mut self, body: &[u8]) -> Result<Vec<Heard>, NotAnAnswer> {
        let mut heard = Vec::new();
        match &mut self {
            Self::Anthropic(reader) => reader.whole(body, &mut heard)?,
            Self::Responses(reader) => reader.whole(body, &mut heard)?,
            Self::Chat(reader) => reader.whole(body, &mut heard)?,
            Self::Gemini(reader) => reader.whole(body, &mut heard)?,
        }
        Ok(heard)
    }
}

fn parsed<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, NotAnAnswer> {
    serde_json::from_slice(data).map_err(|_| NotAnAnswer)
}

/// A member whose oddity must not spoil the answer, such as token counts.
fn lenient<T: DeserializeOwned>(raw: Option<&RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// The text of a member that some servers give as a string of JSON and others as the JSON itself.
fn arguments_text(raw: &RawValue) -> String {
    let text = raw.get();
    if text == "null" {
        return String::new();
    }
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

/// A member that is an object with something in it.
fn is_filled_object(raw: &RawValue) -> bool {
    let text = raw.get();
    text.starts_with('{') && text.len() > 2 && text.bytes().any(|byte| byte == b'"')
}
