//! What the events of an answer mean: nothing yet, content, the end, or a failure said inside the stream.
//!
//! Order and names are those of the vendors' own streams. Unknown events mean nothing and are passed on.

use std::sync::LazyLock;

use memchr::memmem;

use crate::family::Family;
use crate::json::{Cursor, top_level_member, top_level_text};
use crate::nesting::MAX_DEPTH;
use crate::skip::Blind;
use crate::sse::events;

/// What one event means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventMeaning {
    /// Nothing that could not be taken back: the answer may still come from elsewhere.
    Startup,
    /// Something the model said.
    Content,
    /// The answer is whole.
    Finished,
    /// The provider gives up, in its own words.
    Failed,
}

/// What has become of a stream so far.
#[expect(clippy::struct_excessive_bools, reason = "each is a separate claim of the stream")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Content was seen: from here on the answer is this provider's.
    pub began: bool,
    /// The event that ends a whole answer was seen.
    pub finished: bool,
    /// The provider said that it failed.
    pub failed: bool,
    /// The answer is whole if the stream ends here: Gemini's has no event that ends it.
    pub may_end: bool,
}

/// Reads the events of one answer as they pass.
#[derive(Debug)]
pub struct StreamReader {
    family: Family,
    verdict: Verdict,
    /// Text of the model seen so far, in bytes of JSON: the ground for an estimate when no count comes.
    content_bytes: u64,
    next_sequence: u64,
}

impl StreamReader {
    /// A reader at the start of an answer.
    #[must_use]
    pub fn new(family: Family) -> Self {
        Self {
            family,
            verdict: Verdict::default(),
            content_bytes: 0,
            next_sequence: 0,
        }
    }

    /// Where the stream stands.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// How many bytes of the model's own text went by.
    #[must_use]
    pub const fn content_bytes(&self) -> u64 {
        self.content_bytes
    }

    /// The `sequence_number` that an event of our own would bear next.
    #[must_use]
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Read a block of whole events; hand each payload that may carry token counts to `count`.
    pub fn read(&mut self, block: &[u8], mut count: impl FnMut(&[u8])) {
        for event in events(block) {
            let meaning = self.meaning(event.name, &event.data, &mut count);
            match meaning {
                EventMeaning::Startup => {}
                EventMeaning::Content => self.verdict.began = true,
                EventMeaning::Finished => self.verdict.finished = true,
                EventMeaning::Failed => {
                    self.verdict.failed = true;
                    // What follows an event of failure is not an answer any more.
                    return;
                }
            }
        }
    }

    /// The payload of the event by which a stream of this family failed, among whole events from its start on.
    #[must_use]
    pub fn failing_event(family: Family, block: &[u8]) -> Option<Vec<u8>> {
        let mut reader = Self::new(family);
        let mut failing =
            events(block).filter(|event| reader.meaning(event.name, &event.data, &mut |_| ()) == EventMeaning::Failed);
        failing.next().map(|event| event.data.into_owned())
    }

    fn meaning(&mut self, name: Option<&[u8]>, data: &[u8], count: &mut impl FnMut(&[u8])) -> EventMeaning {
        match self.family {
            Family::OpenaiChat => self.chat(data, count),
            Family::Gemini => self.gemini(data, count),
            Family::Anthropic => with_kind(name, data, |kind| self.anthropic(kind, data, count)),
            Family::OpenaiResponses => with_kind(name, data, |kind| self.responses(kind, data, count)),
        }
    }

    fn anthropic(&mut self, kind: &[u8], data: &[u8], count: &mut impl FnMut(&[u8])) -> EventMeaning {
        match kind {
            b"message_start" => {
                count(data);
                EventMeaning::Startup
            }
            b"content_block_delta" => {
                self.content_bytes += text_bytes(data, &[&TEXT, &THINKING, &PARTIAL_JSON]);
                EventMeaning::Content
            }
            b"content_block_stop" => EventMeaning::Content,
            b"message_delta" => {
                count(data);
                EventMeaning::Content
            }
            b"message_stop" => self.finish(),
            b"error" => EventMeaning::Failed,
            _ => EventMeaning::Startup,
        }
    }

    fn responses(&mut self, kind: &[u8], data: &[u8], count: &mut impl FnMut(&[u8])) -> EventMeaning {
        if let Some(number) = number_after(data, &SEQUENCE_NUMBER) {
            self.next_sequence = number.saturating_add(1);
        }
        match kind {
            b"response.completed" | b"response.incomplete" | b"response.cancelled" => {
                count(data);
                self.finish()
            }
            b"response.failed" => {
                count(data);
                EventMeaning::Failed
            }
            b"error" => EventMeaning::Failed,
            // Hidden thoughts come whole, and sealed.
            b"response.output_item.done" => {
                self.content_bytes += text_bytes(data, &[&ENCRYPTED_CONTENT]);
                EventMeaning::Content
            }
            _ if kind.ends_with(b".delta") => {
                self.content_bytes += text_bytes(data, &[&DELTA]);
                EventMeaning::Content
            }
            _ if kind.ends_with(b".done") => EventMeaning::Content,
            _ => EventMeaning::Startup,
        }
    }

    fn chat(&mut self, data: &[u8], count: &mut impl FnMut(&[u8])) -> EventMeaning {
        if data.trim_ascii() == b"[DONE]" {
            // Without a word said or a reason to stop, this is an empty answer, not a whole one.
            return if self.verdict.began {
                EventMeaning::Finished
            } else {
                EventMeaning::Failed
            };
        }
        if ERROR.is_in(data) && is_object(data, "error") {
            return EventMeaning::Failed;
        }
        if USAGE.is_in(data) && is_object(data, "usage") {
            count(data);
        }
        let said = text_bytes(data, &[&CONTENT, &ARGUMENTS, &REASONING_CONTENT, &REASONING, &REFUSAL]);
        self.content_bytes += said;
        if said > 0 || has_text(data, &FINISH_REASON) || has_text(data, &NAME) {
            return EventMeaning::Content;
        }
        EventMeaning::Startup
    }

    /// Each event is a whole `GenerateContentResponse`. The last one says why the model stopped; with several
    /// candidates there are as many of those, and counts may still follow.
    fn gemini(&mut self, data: &[u8], count: &mut impl FnMut(&[u8])) -> EventMeaning {
        if ERROR.is_in(data) && is_object(data, "error") {
            return EventMeaning::Failed;
        }
        if USAGE_METADATA.is_in(data) && is_object(data, "usageMetadata") {
            count(data);
        }
        let called: u64 = FUNCTION_CALL.values(data).filter_map(object_length).sum();
        let said = text_bytes(data, &[&TEXT]) + called;
        self.content_bytes += said;
        if !self.verdict.began && said == 0 && MALFORMED.is_in(data) {
            // The model's call could not be read by its own provider: nothing came of it, and another may do better.
            return EventMeaning::Failed;
        }
        if has_text(data, &FINISH_REASON_CAMEL) || has_text(data, &BLOCK_REASON) {
            self.verdict.may_end = true;
            return EventMeaning::Content;
        }
        if said > 0 || EXECUTABLE_CODE.is_in(data) || INLINE_DATA.is_in(data) {
            return EventMeaning::Content;
        }
        EventMeaning::Startup
    }

    fn finish(&mut self) -> EventMeaning {
        self.verdict.began = true;
        EventMeaning::Finished
    }
}

fn with_kind<T>(name: Option<&[u8]>, data: &[u8], then: impl FnOnce(&[u8]) -> T) -> T {
    if let Some(name) = name {
        return then(name);
    }
    match top_level_text(data, "type") {
        Some(kind) => then(kind.as_bytes()),
        None => then(b""),
    }
}

fn is_object(data: &[u8], key: &str) -> bool {
    top_level_member(data, key).and_then(|range| data.get(range.start)) == Some(&b'{')
}

/// A key that is looked for in every event, its search prepared once.
struct Sought(LazyLock<memmem::Finder<'static>>);

macro_rules! sought {
    ($($name:ident = $key:literal),* $(,)?) => {
        $(static $name: Sought = Sought(LazyLock::new(|| memmem::Finder::new(concat!("\"", $key, "\""))));)*
    };
}

sought! {
    TEXT = "text", THINKING = "thinking", PARTIAL_JSON = "partial_json", DELTA = "delta", CONTENT = "content",
    ARGUMENTS = "arguments", REASONING_CONTENT = "reasoning_content", REASONING = "reasoning", REFUSAL = "refusal",
    FUNCTION_CALL = "functionCall", FINISH_REASON_CAMEL = "finishReason", BLOCK_REASON = "blockReason",
    EXECUTABLE_CODE = "executableCode", INLINE_DATA = "inlineData", USAGE_METADATA = "usageMetadata",
    FINISH_REASON = "finish_reason", NAME = "name", SEQUENCE_NUMBER = "sequence_number", ERROR = "error", USAGE = "usage",
    ENCRYPTED_CONTENT = "encrypted_content", MALFORMED = "MALFORMED_FUNCTION_CALL",
}

impl Sought {
    fn is_in(&self, data: &[u8]) -> bool {
        self.0.find(data).is_some()
    }

    /// The text from each value of this key on, wherever it stands.
    fn values<'a>(&self, data: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let width = self.0.needle().len();
        self.0.find_iter(data).filter_map(move |at| {
            if at > 0 && data.get(at - 1) == Some(&b'\\') {
                return None;
            }
            let mut cursor = Cursor::new(data.get(at + width..)?, 0);
            cursor.skip_whitespace();
            cursor.expect(b':').ok()?;
            cursor.skip_whitespace();
            data.get(at + width + cursor.position()..)
        })
    }
}

/// The raw string values of these keys, wherever they stand, added up.
fn text_bytes(data: &[u8], keys: &[&Sought]) -> u64 {
    keys.iter()
        .flat_map(|key| key.values(data))
        .filter_map(string_length)
        .sum()
}

fn has_text(data: &[u8], key: &Sought) -> bool {
    key.values(data).filter_map(string_length).any(|length| length > 0)
}

fn number_after(data: &[u8], key: &Sought) -> Option<u64> {
    let rest = key.values(data).last()?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(rest.get(..digits)?).ok()?.parse().ok()
}

fn string_length(rest: &[u8]) -> Option<u64> {
    if rest.first() != Some(&b'"') {
        return None;
    }
    let range = Cursor::new(rest, 0).value(&mut Blind).ok()?;
    Some((range.len() as u64).saturating_sub(2))
}

fn object_length(rest: &[u8]) -> Option<u64> {
    if rest.first() != Some(&b'{') {
        return None;
    }
    let range = Cursor::new(rest, MAX_DEPTH).value(&mut Blind).ok()?;
    Some(range.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(family: Family, stream: &str) -> (Verdict, Vec<String>, StreamReader) {
        let mut reader = StreamReader::new(family);
        let mut counted = Vec::new();
        reader.read(stream.as_bytes(), |data| {
            counted.push(String::from_utf8(data.to_vec()).unwrap());
        });
        (reader.verdict(), counted, reader)
    }

    #[test]
    fn anthropic_content_begins_with_the_first_delta() {
        let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\n\
                     event: ping\ndata: {\"type\":\"ping\"}\n\n\
                     event: content_block_start\ndata: {\"type\":\"content_block_start\"}\n\n";
        let (verdict, counted, _) = read(Family::Anthropic, start);
        assert_eq!(verdict, Verdict::default());
        assert_eq!(counted.len(), 1);
        let more = format!(
            "{start}data: {{\"type\":\"content_block_delta\",\"delta\":{{\"type\":\"text_delta\",\"text\":\"Hi\\n\"}}}}\n\n"
        );
        let (verdict, _, reader) = read(Family::Anthropic, &more);
        assert!(verdict.began && !verdict.finished);
        assert_eq!(reader.content_bytes(), 4);
    }

    #[test]
    fn a_failure_before_content_is_told_from_one_after() {
        let (verdict, _, _) = read(Family::Anthropic, "event: error\ndata: {}\n\n");
        assert!(verdict.failed && !verdict.began);
        let (verdict, _, _) = read(
            Family::Anthropic,
            "event: content_block_delta\ndata: {}\n\nevent: error\ndata: {}\n\n",
        );
        assert!(verdict.failed && verdict.began);
    }

    #[test]
    fn responses_numbers_its_events() {
        let stream = "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\": 0}\n\n\
                      event: response.output_text.delta\ndata: {\"delta\":\"abc\",\"sequence_number\":41}\n\n";
        let (verdict, _, reader) = read(Family::OpenaiResponses, stream);
        assert!(verdict.began);
        assert_eq!((reader.next_sequence(), reader.content_bytes()), (42, 3));
        let (verdict, counted, _) = read(
            Family::OpenaiResponses,
            "event: response.completed\ndata: {\"response\":{}}\n\n",
        );
        assert!(verdict.finished && counted.len() == 1);
    }

    #[test]
    fn chat_is_whole_only_with_done_and_content() {
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n";
        assert_eq!(read(Family::OpenaiChat, role).0, Verdict::default());
        let said = format!("{role}data: {{\"choices\":[{{\"delta\":{{\"content\":\"\\\"usage\\\":{{}}\"}}}}]}}\n\n");
        let (verdict, counted, reader) = read(Family::OpenaiChat, &said);
        assert!(verdict.began && counted.is_empty());
        assert_eq!(reader.content_bytes(), 12);
        let done = format!("{said}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":1}}}}\n\ndata: [DONE]\n\n");
        let (verdict, counted, _) = read(Family::OpenaiChat, &done);
        assert!(verdict.finished && counted.len() == 1);
        assert!(read(Family::OpenaiChat, "data: [DONE]\n\n").0.failed);
        assert!(
            read(Family::OpenaiChat, "data: {\"error\":{\"message\":\"no\"}}\n\n")
                .0
                .failed
        );
    }

    #[test]
    fn a_chat_tool_call_is_content_by_its_name() {
        let call = "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"bash\",\"arguments\":\"\"}}]}}]}\n\n";
        assert!(read(Family::OpenaiChat, call).0.began);
    }

    fn gemini(part: &str, more: &str) -> String {
        format!(
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{part}],\"role\":\"model\"}}{more}}}],\"usageMetadata\":{{}}}}\r\n\r\n"
        )
    }

    #[test]
    fn gemini_may_end_where_a_reason_to_stop_was_given() {
        let empty = gemini("{\"text\":\"\"}", "");
        assert_eq!(read(Family::Gemini, &empty).0, Verdict::default());
        let said = empty + &gemini("{\"text\":\"abc\"}", "");
        let (verdict, counted, reader) = read(Family::Gemini, &said);
        assert!(verdict.began && !verdict.may_end && !verdict.finished);
        assert_eq!((counted.len(), reader.content_bytes()), (2, 3));
        let (verdict, ..) = read(Family::Gemini, &(said + &gemini("", ",\"finishReason\":\"STOP\"")));
        assert!(verdict.may_end && !verdict.finished && !verdict.failed);
        let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n";
        assert!(read(Family::Gemini, blocked).0.may_end);
    }

    #[test]
    fn a_gemini_function_call_counts_with_its_arguments() {
        let call = gemini("{\"functionCall\":{\"name\":\"f\",\"args\":{\"a\":{}}}}", "");
        let (verdict, _, reader) = read(Family::Gemini, &call);
        assert!(verdict.began);
        assert_eq!(reader.content_bytes(), 28);
    }

    #[test]
    fn gemini_fails_inside_its_stream() {
        let failed = "data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n";
        assert!(read(Family::Gemini, failed).0.failed);
    }

    #[test]
    fn a_gemini_call_that_its_provider_cannot_read_is_a_failure_where_nothing_was_said() {
        let malformed = gemini("", ",\"finishReason\":\"MALFORMED_FUNCTION_CALL\"");
        assert!(read(Family::Gemini, &malformed).0.failed);
        let (verdict, ..) = read(Family::Gemini, &(gemini("{\"text\":\"abc\"}", "") + &malformed));
        assert!(verdict.may_end && !verdict.failed);
    }

    #[test]
    fn the_event_of_a_failure_is_found_among_those_before_it() {
        let started = "event: response.created\ndata: {\"type\":\"response.created\"}\n\n";
        let failed = "event: response.failed\ndata: {\"response\":{\"error\":{}}}\n\n";
        let find = |stream: &str| StreamReader::failing_event(Family::OpenaiResponses, stream.as_bytes());
        assert_eq!(
            find(&format!("{started}{failed}{started}")).as_deref(),
            Some(&b"{\"response\":{\"error\":{}}}"[..])
        );
        assert_eq!(find(started), None);
    }

    #[test]
    fn sealed_thoughts_count_as_said() {
        let item = "event: response.output_item.done\ndata: {\"item\":{\"type\":\"reasoning\",\"encrypted_content\":\"abcdef\"}}\n\n";
        assert_eq!(read(Family::OpenaiResponses, item).2.content_bytes(), 6);
    }
}
