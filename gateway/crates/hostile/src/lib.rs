//! What reads bytes of strangers, each as a function of bytes that must not panic and must keep what it promises.
//!
//! Not for tests of what is right, which are beside the code. `tests/mutations.rs` feeds these with a small corpus and
//! seeded mutations of it on every test run; `gateway/fuzz` feeds them by `cargo fuzz`. A panic is a finding.

mod event_stream;
mod front_door;

use airside_protocols::{
    Address, EventSplitter, Family, FrontDoor, RequestScan, StreamReader, array_elements, compacted, events,
    object_members, replace_model, scan_request, summary_request, top_level_text, with_summaries,
};
use airside_translation::{AnswerTranslator, Wanted, translate_answer, translate_error, translate_request};
use bytes::Bytes;

use event_stream::event_stream;
use front_door::front_door;

/// A reader of strangers' bytes.
pub type Target = fn(&[u8]);

/// All of them, by name.
pub const TARGETS: [(&str, Target); 8] = [
    ("event_splitter", event_splitter),
    ("request_scan", request_scan),
    ("stream_reader", stream_reader),
    ("json_members", json_members),
    ("request_translation", request_translation),
    ("answer_translation", answer_translation),
    ("event_stream", event_stream),
    ("front_door", front_door),
];

/// Feed the target of this name.
pub fn run(name: &str, bytes: &[u8]) {
    for (_, target) in TARGETS.iter().filter(|(known, _)| *known == name) {
        target(bytes);
    }
}

const FAMILIES: [Family; 4] = [
    Family::Anthropic,
    Family::OpenaiResponses,
    Family::OpenaiChat,
    Family::Gemini,
];

/// The bytes cut in three, at places the bytes choose.
fn pieces(bytes: &[u8]) -> [&[u8]; 3] {
    let first = bytes.first().map_or(0, |byte| usize::from(*byte)) % (bytes.len() + 1);
    let (start, rest) = bytes.split_at_checked(first).unwrap_or((bytes, b""));
    let (middle, end) = rest.split_at_checked(rest.len() / 2).unwrap_or((rest, b""));
    [start, middle, end]
}

/// Events are cut where they end, whatever the chunks were, and no byte is lost.
fn event_splitter(bytes: &[u8]) {
    let (mut splitter, mut seen) = (EventSplitter::default(), Vec::new());
    for piece in pieces(bytes) {
        match splitter.push(Bytes::copy_from_slice(piece)) {
            Ok(block) => seen.extend_from_slice(&block.unwrap_or_default()),
            Err(_) => return,
        }
    }
    let count = events(&seen).count();
    seen.extend_from_slice(splitter.rest());
    assert_eq!(seen, bytes, "bytes were lost, after {count} events");
}

/// A request that is understood names its model where it says, at every front door, and is the same read as it comes.
fn request_scan(bytes: &[u8]) {
    for door in FrontDoor::ALL {
        let address = Address {
            door,
            model: None,
            streams: false,
        };
        let scanned = scan_request(bytes, &address);
        let (mut coming, mut came) = (RequestScan::at(door), 0);
        for piece in pieces(bytes) {
            came += piece.len();
            coming.go_on(bytes.get(..came).unwrap_or_default());
        }
        assert_eq!(coming.finish(bytes, &address), scanned, "it is another as it comes");
        let Ok(fields) = scanned else {
            continue;
        };
        let body = Bytes::copy_from_slice(bytes);
        let renamed: Vec<u8> = replace_model(&body, &fields.model_range, "another").concat();
        if !fields.model_range.is_empty() {
            let again = scan_request(&renamed, &address).map(|fields| fields.model);
            assert_eq!(again.as_deref(), Ok("another"), "the model was put elsewhere");
        }
    }
}

/// A stream is followed in any dialect, however it is cut.
fn stream_reader(bytes: &[u8]) {
    for family in FAMILIES {
        let mut reader = StreamReader::new(family);
        let mut splitter = EventSplitter::default();
        for piece in pieces(bytes) {
            let Ok(block) = splitter.push(Bytes::copy_from_slice(piece)) else {
                break;
            };
            reader.read(&block.unwrap_or_default(), |_| {});
        }
        let _ = (reader.verdict(), reader.next_sequence(), reader.content_bytes());
    }
}

/// Members and elements lie within their text; compaction takes what is given.
fn json_members(bytes: &[u8]) {
    for (key, value) in object_members(bytes).unwrap_or_default() {
        let _ = top_level_text(bytes, &key);
        for element in array_elements(value).unwrap_or_default() {
            assert!(value.get(element).is_some(), "an element lies outside its array");
        }
    }
    let _ = summary_request(bytes);
    let _ = compacted(bytes, bytes, "id", 0);
    let _ = with_summaries(bytes);
}

const WANTED: Wanted<'static> = Wanted {
    model: "target",
    shown_model: "shown",
    streams: true,
    default_output_tokens: 1000,
    cache_key: Some("session"),
    takes_cache_marks: true,
    can_think: true,
    answer_id: "answer",
    now_s: 1_700_000_000,
};

/// The least that each dialect calls a request.
const fn smallest(family: Family) -> &'static [u8] {
    match family {
        Family::Anthropic => br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"a"}]}"#,
        Family::OpenaiResponses => br#"{"model":"m","input":"a"}"#,
        Family::OpenaiChat => br#"{"model":"m","messages":[{"role":"user","content":"a"}]}"#,
        Family::Gemini => br#"{"contents":[{"role":"user","parts":[{"text":"a"}]}]}"#,
    }
}

fn pairs() -> impl Iterator<Item = (Family, Family)> {
    FAMILIES.into_iter().flat_map(|from| {
        FAMILIES
            .into_iter()
            .filter(move |to| *to != from)
            .map(move |to| (from, to))
    })
}

/// Any request in any dialect is translated or refused.
fn request_translation(bytes: &[u8]) {
    for (from, to) in pairs() {
        let _ = translate_request(from, to, bytes, &WANTED);
    }
}

/// Any answer in any dialect is translated or refused: whole, as an error, and in pieces.
fn answer_translation(bytes: &[u8]) {
    for (from, to) in pairs() {
        let Ok(translated) = translate_request(from, to, smallest(from), &WANTED) else {
            continue;
        };
        let plan = translated.plan;
        let _ = translate_answer(&plan, bytes);
        let _ = translate_error(to, from, 500, bytes, "request");
        let (mut translator, mut out) = (AnswerTranslator::new(plan), Vec::new());
        let told = pieces(bytes)
            .into_iter()
            .try_for_each(|piece| translator.push(piece, &mut out));
        if told.is_ok() {
            let _ = translator.finish(&mut out);
        }
    }
}
