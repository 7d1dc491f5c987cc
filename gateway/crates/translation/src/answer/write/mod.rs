//! Writing answers, one file for each dialect: the stream, and the whole answer.

mod anthropic;
mod chat;
mod collector;
mod gemini;
mod items;
mod response;
mod responses;

use airside_protocols::{Family, ObjectWriter};

use self::anthropic::AnthropicWriter;
use self::chat::ChatWriter;
pub(crate) use self::collector::Collector;
use self::gemini::GeminiWriter;
use self::responses::ResponsesWriter;
use super::teller::Writer;
use crate::plan::AnswerPlan;

/// What writes the stream that a plan's caller is to read.
pub(crate) fn stream_writer(plan: &AnswerPlan) -> Box<dyn Writer + Send + Sync> {
    match plan.client {
        Family::Anthropic => Box::new(AnthropicWriter::new(plan)),
        Family::OpenaiResponses => Box::new(ResponsesWriter::new(plan)),
        Family::OpenaiChat => Box::new(ChatWriter::new(plan)),
        Family::Gemini => Box::new(GeminiWriter::new(plan)),
    }
}

/// The body of a whole answer.
pub(crate) fn whole(plan: &AnswerPlan, collected: &Collector) -> Vec<u8> {
    match plan.client {
        Family::Anthropic => anthropic::whole(plan, collected),
        Family::OpenaiResponses => responses::whole(plan, collected),
        Family::OpenaiChat => chat::whole(plan, collected),
        Family::Gemini => gemini::whole(plan, collected),
    }
}

/// One event.
fn event(out: &mut Vec<u8>, name: Option<&str>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    object(out, write);
    out.extend_from_slice(b"\n\n");
}

fn object(out: &mut Vec<u8>, write: impl FnOnce(&mut ObjectWriter<'_>)) {
    let mut writer = ObjectWriter::open(out);
    write(&mut writer);
    writer.close();
}

/// An array of values that are JSON already.
fn array<'a>(out: &mut Vec<u8>, values: impl IntoIterator<Item = &'a [u8]>) {
    out.push(b'[');
    for (number, value) in values.into_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(value);
    }
    out.push(b']');
}

/// A member that is JSON already. Line ends between its tokens would end the event's line.
fn raw(object: &mut ObjectWriter<'_>, key: &str, json: &[u8]) {
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let one_line = json.iter().map(|byte| if is_line_end(byte) { b' ' } else { *byte });
    object.key(key).extend(one_line);
}
