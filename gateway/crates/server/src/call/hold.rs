//! The start of an answer, held back until it is sure that there is one.
//!
//! Until its first content an answer can still come from elsewhere: a success that turns out empty, silent, garbled or
//! failed is an attempt that failed, not an answer.

use std::time::{Duration, Instant};

use airside_journal::AttemptOutcome;
use airside_protocols::{Document, DocumentMeaning, EventSplitter, FrontDoor, StreamReader};
use airside_providers::{Failure, Kind};
use airside_snapshot::Limits;
use airside_translation::AnswerTranslator;
use bytes::{Bytes, BytesMut};

use super::lane::Lane;
use super::settle::Call;
use crate::alarm::Wait;
use crate::upstream::{AnswerBody, BodyFault, Late};

/// Bytes of an answer that came whole and are copied for counting; more is counted from bytes seen.
pub(crate) const MOST_COPIED: usize = 32 << 20;

/// An attempt that failed, and what may be told of it if all do.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// What it sent where it said itself, inside a success, that it failed.
    pub(crate) said: Option<Bytes>,
}

impl Failed {
    pub(crate) const fn silent(kind: Kind) -> Self {
        Self {
            failure: Failure::at_provider(kind),
            said: None,
        }
    }

    fn in_its_words(said: Bytes) -> Self {
        Self {
            said: Some(said),
            ..Self::silent(Kind::FailedInStream)
        }
    }
}

/// The start of an answer that is now committed to.
#[derive(Debug)]
pub(crate) enum Start {
    /// All of it.
    Whole(Bytes),
    /// The start of a body that is not a stream of events.
    Plain { held: Vec<Bytes>, body: AnswerBody },
    /// The start of a stream of events, cut at an event's end.
    Events {
        held: Vec<Bytes>,
        body: AnswerBody,
        splitter: EventSplitter,
        reader: StreamReader,
        /// Says the events in the caller's dialect; `None` where they pass as they came.
        translator: Option<Box<AnswerTranslator>>,
    },
}

/// How long and how much is held back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) idle: Duration,
    pub(crate) hold: Duration,
    pub(crate) bytes: usize,
}

impl Patience {
    pub(crate) fn new(limits: &Limits, idle_ms: u64) -> Self {
        Self {
            idle: Duration::from_millis(idle_ms),
            hold: Duration::from_millis(limits.startup_hold_ms),
            bytes: usize::try_from(limits.startup_hold_bytes).unwrap_or(usize::MAX),
        }
    }
}

enum Arrival {
    Chunk(Bytes),
    End,
    Broken,
    Silent,
    Deadline,
}

async fn arrival(body: &mut AnswerBody, call: &mut Call, mut wait: Wait) -> Arrival {
    let chunk = body.chunk_within(&mut wait).await;
    call.waited_for(wait.lasted());
    match chunk {
        Ok(Some(Ok(bytes))) => Arrival::Chunk(bytes),
        Ok(None) => Arrival::End,
        Ok(Some(Err(BodyFault))) => Arrival::Broken,
        Err(Late) if wait.is_cut_short() => Arrival::Deadline,
        Err(Late) => Arrival::Silent,
    }
}

/// Hold a stream of events until its first content.
pub(crate) async fn hold_events(
    mut body: AnswerBody,
    call: &mut Call,
    lane: &Lane,
    patience: Patience,
) -> Result<Start, Failed> {
    let (family, deadline) = (call.family, Instant::now() + patience.hold);
    let mut splitter = EventSplitter::default();
    let mut reader = StreamReader::new(family);
    let (mut held, mut seen) = (Vec::new(), 0);
    loop {
        match arrival(&mut body, call, Wait::by(patience.idle, deadline)).await {
            Arrival::Chunk(chunk) => {
                seen += chunk.len();
                let block = splitter.push(chunk).map_err(|_| Failed::silent(Kind::Garbage))?;
                if let Some(block) = block {
                    reader.read(&block, |payload| call.usage.read_event(family, payload));
                    call.note_finish(&block);
                    held.push(block);
                }
                let verdict = reader.verdict();
                if verdict.failed && !verdict.began {
                    return Err(Failed::in_its_words(joined(&held)));
                }
                if verdict.began || seen > patience.bytes {
                    break;
                }
            }
            Arrival::Deadline => break,
            Arrival::End if held.is_empty() && seen > 0 => return Err(Failed::silent(Kind::Garbage)),
            Arrival::End => return Err(Failed::silent(Kind::Empty)),
            Arrival::Broken => return Err(Failed::silent(Kind::Cut)),
            Arrival::Silent => return Err(Failed::silent(Kind::Stalled)),
        }
    }
    call.content_passed(reader.content_bytes());
    if let Some(first) = held.first() {
        call.note_issued(first);
    }
    if reader.verdict().began {
        call.first_content();
    }
    let mut translator = lane.translator();
    if let Some(translator) = &mut translator {
        held = translated(translator, &held)?;
    }
    Ok(Start::Events {
        held,
        body,
        splitter,
        reader,
        translator,
    })
}

fn translated(translator: &mut AnswerTranslator, held: &[Bytes]) -> Result<Vec<Bytes>, Failed> {
    let mut said = Vec::new();
    for block in held {
        let pushed = translator.push(block, &mut said);
        pushed.map_err(|_| Failed::silent(Kind::Garbage))?;
    }
    Ok(if said.is_empty() { Vec::new() } else { vec![said.into()] })
}

/// Hold an answer that is one JSON document, up to the bound; one that is to be translated, whole.
pub(crate) async fn hold_document(
    mut body: AnswerBody,
    call: &mut Call,
    lane: &Lane,
    patience: Patience,
) -> Result<Start, Failed> {
    let (mut held, mut seen) = (Vec::with_capacity(1), 0);
    loop {
        // A document's first content is its first byte, so only silence and size end the wait.
        match arrival(&mut body, call, Wait::of(patience.idle)).await {
            Arrival::Chunk(chunk) => {
                seen += chunk.len();
                held.push(chunk);
                if lane.is_translated() && seen > MOST_COPIED {
                    return Err(Failed::silent(Kind::Garbage));
                }
                if seen > patience.bytes && !lane.is_translated() {
                    call.first_content();
                    return Ok(Start::Plain { held, body });
                }
                if body.is_over() {
                    break;
                }
            }
            Arrival::End => break,
            Arrival::Broken => return Err(Failed::silent(Kind::Cut)),
            Arrival::Silent | Arrival::Deadline => return Err(Failed::silent(Kind::Stalled)),
        }
    }
    let whole = joined(&held);
    let door = if lane.is_translated() {
        FrontDoor::of(call.family)
    } else {
        call.door
    };
    let document = Document::read(door, &whole);
    check_document(call, lane, &whole, document.meaning)?;
    let said = lane.answer(whole.clone(), call);
    let said = said.ok_or(Failed::silent(Kind::Garbage))?;
    call.content_passed(whole.len() as u64);
    call.note_issued(&whole);
    call.usage.read_document(call.family, &document);
    call.note_finish(&whole);
    call.is_answer_whole = true;
    Ok(Start::Whole(said))
}

fn check_document(call: &Call, lane: &Lane, whole: &Bytes, meaning: DocumentMeaning) -> Result<(), Failed> {
    match meaning {
        DocumentMeaning::Failed => Err(Failed::in_its_words(whole.clone())),
        DocumentMeaning::Empty => Err(Failed::silent(Kind::Empty)),
        DocumentMeaning::Garbage => Err(Failed::silent(Kind::Garbage)),
        // Whoever asked for a stream reads events. What is passed on as it came is the provider's own affair, and a
        // socket makes events of it.
        DocumentMeaning::Answer if call.record.stream && lane.is_translated() => Err(Failed::silent(Kind::Garbage)),
        DocumentMeaning::Answer => Ok(()),
    }
}

/// Read an answer that is not passed on yet, if it is short and comes soon.
pub(crate) async fn read_short(body: &mut AnswerBody, limit: usize, within: Duration) -> Option<Bytes> {
    let reading = async {
        let (mut held, mut seen) = (Vec::new(), 0);
        loop {
            match body.chunk().await {
                Some(Ok(chunk)) => {
                    seen += chunk.len();
                    if seen > limit {
                        return None;
                    }
                    held.push(chunk);
                }
                Some(Err(BodyFault)) => return None,
                None => return Some(joined(&held)),
            }
        }
    };
    tokio::time::timeout(within, reading).await.ok().flatten()
}

/// Several pieces as one; a single one is not copied.
pub(crate) fn joined(pieces: &[Bytes]) -> Bytes {
    match pieces {
        [] => Bytes::new(),
        [one] => one.clone(),
        many => {
            let mut whole = BytesMut::with_capacity(many.iter().map(Bytes::len).sum());
            for piece in many {
                whole.extend_from_slice(piece);
            }
            whole.freeze()
        }
    }
}

/// Note in the record how a failed attempt ended.
pub(crate) fn note_failure(call: &mut Call, failed: &Failed) {
    let wait = match failed.failure.retry {
        airside_providers::Retry::SameTarget { after } => Some(after),
        _ => None,
    };
    call.end_attempt(AttemptOutcome::Failed, Some(failed.failure.kind.reason()), wait);
}
