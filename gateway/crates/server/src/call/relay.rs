//! An answer that is committed to, on its way to the caller: whole events as they come, never more than one ahead.
//!
//! Nothing is read from the provider unless the caller takes it, and a caller that is gone takes this with it, which
//! closes the connection to the provider.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use airside_journal::{AttemptOutcome, Outcome};
use airside_protocols::{ErrorReply, EventSplitter, StreamReader, stream_error};
use airside_providers::Kind;
use airside_translation::AnswerTranslator;
use bytes::Bytes;
use futures_util::stream::unfold;
use http_body::Frame;

use super::hold::{MOST_COPIED, Start, joined};
use super::settle::Call;
use super::stream::{Aborted, AnswerStream};
use super::told::trailers;
use crate::alarm::Wait;
use crate::upstream::{AnswerBody, BodyFault, Late};

/// How long a provider may take to close a stream whose last event it has sent.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What a caller is told when its stream breaks off.
const CUT_STATUS: u16 = 502;
const CUT_CODE: &str = "provider_cut";
const CUT_MESSAGE: &str = "The provider broke off in the middle of its answer.";

/// Turn the start of an answer into the body of the caller's response.
pub(crate) fn relay(start: Start, mut call: Box<Call>, idle: Duration) -> AnswerStream {
    let (held, body, shape) = match start {
        Start::Whole(bytes) => {
            call.hands_over(&bytes);
            return whole(bytes, &mut call);
        }
        Start::Plain { held, body } if held.is_empty() && body.is_over() => return whole(Bytes::new(), &mut call),
        Start::Plain { held, body } => {
            let copied = held.iter().map(Bytes::len).sum();
            (held.clone(), body, Shape::Plain { copy: held, copied })
        }
        Start::Events {
            held,
            body,
            splitter,
            reader,
            translator,
        } => (
            held,
            body,
            Shape::Events {
                splitter,
                reader,
                translator,
            },
        ),
    };
    for piece in &held {
        call.hands_over(piece);
    }
    let relay = Relay {
        call,
        body,
        queue: held.into(),
        shape,
        idle,
        is_over: false,
        handed_over: None,
    };
    AnswerStream::chunks(unfold(Box::new(relay), |mut relay| async move {
        let frame = relay.next_frame().await?;
        Some((frame, relay))
    }))
}

/// An answer that is there as a whole. Its record is written first: who got an answer has one, wherever the gateway is
/// killed.
fn whole(bytes: Bytes, call: &mut Call) -> AnswerStream {
    call.end_answered();
    AnswerStream::whole(bytes)
}

enum Shape {
    /// A document; what went by is kept for counting.
    Plain { copy: Vec<Bytes>, copied: usize },
    /// Events.
    Events {
        splitter: EventSplitter,
        reader: StreamReader,
        translator: Option<Box<AnswerTranslator>>,
    },
}

struct Relay {
    call: Box<Call>,
    body: AnswerBody,
    /// What is to be sent next.
    queue: VecDeque<Bytes>,
    shape: Shape,
    idle: Duration,
    /// Nothing more is read; when the queue is empty, the answer ends.
    is_over: bool,
    /// When the caller was given its last bytes.
    handed_over: Option<Instant>,
}

impl Relay {
    /// The next bytes, and behind the last ones of a stream what is only known then, for a caller that takes it.
    async fn next_frame(&mut self) -> Option<Result<Frame<Bytes>, Aborted>> {
        if let Some(chunk) = self.next().await {
            return Some(chunk.map(Frame::data));
        }
        let takes_trailers = std::mem::take(&mut self.call.takes_trailers);
        let has_trailers = takes_trailers && matches!(self.shape, Shape::Events { .. });
        has_trailers.then(|| Ok(Frame::trailers(trailers(&self.call.record))))
    }

    async fn next(&mut self) -> Option<Result<Bytes, Aborted>> {
        if let Some(moment) = self.handed_over.take() {
            self.call.waited_since(moment);
        }
        self.look_at_start();
        loop {
            if let Some(bytes) = self.queue.pop_front() {
                self.handed_over = Some(Instant::now());
                return Some(Ok(bytes));
            }
            if self.is_over {
                return None;
            }
            if let Err(aborted) = self.read().await {
                return Some(Err(aborted));
            }
        }
    }

    /// The events held at the start may already have said how it ends.
    fn look_at_start(&mut self) {
        if let Shape::Events { reader, .. } = &self.shape {
            let verdict = reader.verdict();
            if verdict.failed && !self.is_over {
                self.end_cut(Kind::FailedInStream);
            }
            self.call.is_answer_whole |= verdict.may_end;
            self.note_end(verdict.finished);
        }
    }

    /// The event that ends an answer is about to be passed on: the record is written first, so that whoever has seen
    /// the end of a call finds its record.
    fn note_end(&mut self, is_finished: bool) {
        if is_finished {
            self.call.is_answer_whole = true;
            self.call.end(Outcome::Completed);
        }
    }

    fn pass_on(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.call.hands_over(&bytes);
        self.queue.push_back(bytes);
    }

    async fn read(&mut self) -> Result<(), Aborted> {
        let patience = if self.call.is_answer_whole {
            LAST_WORDS.min(self.idle)
        } else {
            self.idle
        };
        let mut wait = Wait::of(patience);
        let chunk = self.body.chunk_within(&mut wait).await;
        self.call.waited_for(wait.lasted());
        match chunk {
            Ok(Some(Ok(chunk))) => self.take(chunk),
            Ok(None) => self.end_of_body(),
            Ok(Some(Err(BodyFault))) => self.broke_off(Kind::Cut),
            Err(Late) => self.broke_off(Kind::Stalled),
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), Aborted> {
        match &mut self.shape {
            Shape::Plain { copy, copied } => {
                *copied += chunk.len();
                if *copied <= MOST_COPIED {
                    copy.push(chunk.clone());
                }
                self.pass_on(chunk);
                // A caller who knows the length does not ask again after the last byte.
                if self.body.is_over() {
                    self.end_of_body()
                } else {
                    Ok(())
                }
            }
            Shape::Events {
                splitter,
                reader,
                translator,
            } => {
                let Ok(block) = splitter.push(chunk) else {
                    return self.broke_off(Kind::Garbage);
                };
                let Some(block) = block else { return Ok(()) };
                let (family, call) = (self.call.family, &mut self.call);
                reader.read(&block, |payload| call.usage.read_event(family, payload));
                call.note_finish(&block);
                call.content_passed(reader.content_bytes());
                let verdict = reader.verdict();
                if verdict.began {
                    call.first_content();
                }
                self.call.is_answer_whole |= verdict.may_end;
                let Some(said) = in_the_callers_dialect(translator.as_deref_mut(), block) else {
                    return self.broke_off(Kind::Garbage);
                };
                self.pass_on(said);
                self.note_end(verdict.finished);
                if verdict.failed {
                    self.end_cut(Kind::FailedInStream);
                }
                Ok(())
            }
        }
    }

    /// The provider closed its answer properly. Whether the answer is whole is another matter.
    fn end_of_body(&mut self) -> Result<(), Aborted> {
        match &mut self.shape {
            Shape::Plain { copy, copied } => {
                self.is_over = true;
                if *copied <= MOST_COPIED {
                    let whole = joined(copy);
                    self.call.usage.read_answer(self.call.family, &whole);
                    self.call.note_finish(&whole);
                    self.call.is_answer_whole = true;
                }
                self.call.content_passed(*copied as u64);
                let is_success = (200..300).contains(&self.call.record.status);
                self.call.end(if is_success {
                    Outcome::Completed
                } else {
                    Outcome::Failed
                });
                Ok(())
            }
            Shape::Events {
                translator: Some(_), ..
            } => {
                if !self.say_last_words() {
                    return self.broke_off(Kind::Cut);
                }
                self.is_over = true;
                self.note_end(true);
                Ok(())
            }
            Shape::Events { splitter, .. } if self.call.is_answer_whole => {
                self.is_over = true;
                if !splitter.rest().is_empty() {
                    let rest = Bytes::copy_from_slice(splitter.rest());
                    self.pass_on(rest);
                }
                self.call.end(Outcome::Completed);
                Ok(())
            }
            Shape::Events { .. } => self.broke_off(Kind::Cut),
        }
    }

    /// What a translated answer says when its provider's is over; false if it is not whole.
    fn say_last_words(&mut self) -> bool {
        let Shape::Events {
            translator: Some(translator),
            ..
        } = &mut self.shape
        else {
            return true;
        };
        let mut said = Vec::new();
        let is_whole = translator.finish(&mut said).is_ok();
        self.call.loses(translator.losses());
        self.pass_on(said.into());
        is_whole
    }

    /// The provider stopped before its answer was whole. What was an unfinished event is not passed on.
    fn broke_off(&mut self, kind: Kind) -> Result<(), Aborted> {
        if self.call.is_answer_whole {
            self.say_last_words();
            self.is_over = true;
            self.call.end(Outcome::Completed);
            return Ok(());
        }
        match &mut self.shape {
            Shape::Plain { .. } => {
                self.end_cut(kind);
                Err(Aborted)
            }
            Shape::Events { reader, translator, .. } => {
                let reply = ErrorReply {
                    status: CUT_STATUS,
                    code: CUT_CODE,
                    message: CUT_MESSAGE,
                    request_id: &self.call.record.call_id,
                };
                let event = match translator {
                    Some(translator) => translator.cut(reply),
                    None => stream_error(self.call.door.family(), reply, reader.next_sequence()),
                };
                self.pass_on(Bytes::from(event));
                self.call.record.error_code = Some(CUT_CODE);
                self.end_cut(kind);
                Ok(())
            }
        }
    }

    fn end_cut(&mut self, kind: Kind) {
        self.is_over = true;
        self.call.end_attempt(AttemptOutcome::Cut, Some(kind.reason()), None);
        self.call.end(Outcome::Cut);
    }
}

/// A block of whole events as the caller reads it. `None` when it is not of the provider's dialect.
fn in_the_callers_dialect(translator: Option<&mut AnswerTranslator>, block: Bytes) -> Option<Bytes> {
    let Some(translator) = translator else {
        return Some(block);
    };
    let mut said = Vec::new();
    translator.push(&block, &mut said).ok()?;
    Some(said.into())
}
