//! One socket, from its first frame to its last.
//!
//! What a caller asks for is answered in its order, one after the other. While an answer goes out, what comes in is
//! still read: a ping is answered, a close cancels the call, and the next request waits its turn.

use std::sync::Arc;
use std::time::Duration;

use airside_protocols::{Address, EventSplitter, Family, FrontDoor, events, scan_request, top_level_text};
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Response;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::sync::CancellationToken;

use super::create::Create;
use super::transcript::{Answer, Mark, Transcript};
use super::wire::{self, End, Socket, Waiting, say, sent};
use super::words;
use crate::authenticate::authenticate;
use crate::body::RequestBody;
use crate::call::{AnswerStream, Arrived, serve};
use crate::caller::HandedOver;
use crate::gateway::Worker;
use crate::reply::Refusal;

/// Where each call over a socket would have gone by POST.
const ADDRESS: Address = Address {
    door: FrontDoor::Responses,
    model: None,
    streams: false,
};
/// Keeps what stands between from forgetting an idle socket, and finds out when the other side is gone.
const PING_EVERY: Duration = Duration::from_secs(30);

/// What a socket is for, and what was said over it.
#[derive(Debug)]
pub(super) struct Session {
    worker: Arc<Worker>,
    head: Parts,
    gently: CancellationToken,
    transcript: Transcript,
    waiting: Waiting,
    until: Instant,
    lifetime: Duration,
    most_bytes: u64,
}

impl Session {
    pub(super) fn new(worker: Arc<Worker>, head: Parts, gently: CancellationToken) -> Self {
        let limits = worker.gateway.active().map(|active| active.compiled.snapshot.limits);
        let limits = limits.unwrap_or_default();
        let lifetime = Duration::from_millis(limits.websocket_lifetime_ms);
        Self {
            transcript: Transcript::counted(&worker.gateway.transcript_bytes),
            waiting: Waiting::new(limits.max_body_bytes),
            worker,
            head,
            gently,
            until: Instant::now() + lifetime,
            lifetime,
            most_bytes: limits.max_body_bytes,
        }
    }
}

/// Serve a socket until it ends.
pub(super) async fn hold(over: HandedOver, mut session: Session) {
    let mut socket = wire::over(over, session.most_bytes).await;
    let end = session.converse(&mut socket).await;
    wire::close(&mut socket, end).await;
}

impl Session {
    async fn converse(&mut self, socket: &mut Socket) -> End {
        loop {
            let next = match self.next(socket).await {
                Ok(next) => next,
                Err(end) => return end,
            };
            if let Err(end) = self.answer(socket, &next).await {
                return end;
            }
            if self.worker.gateway.is_leaving() {
                return End::Close(CloseCode::Away, "another gateway has taken over");
            }
        }
    }

    /// The next request, when there is one.
    async fn next(&mut self, socket: &mut Socket) -> Result<Utf8Bytes, End> {
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            if self.gently.is_cancelled() {
                return Err(End::Close(CloseCode::Away, "this gateway stops"));
            }
            if Instant::now() >= self.until {
                let minutes = self.lifetime.as_secs() / 60;
                say(socket, words::connection_limit_reached(minutes)).await?;
                return Err(End::Close(CloseCode::Normal, "as old as a socket may become"));
            }
            if let Some(text) = self.waiting.next() {
                return Ok(text);
            }
            tokio::select! {
                () = self.gently.cancelled() => {}
                () = tokio::time::sleep_until(self.until) => {}
                _ = ping.tick() => sent(socket.send(Message::Ping(Bytes::new()))).await?,
                message = socket.next() => self.waiting.hear(message)?,
            }
        }
    }

    async fn answer(&mut self, socket: &mut Socket, text: &Utf8Bytes) -> Result<(), End> {
        let create = match Create::read(text.as_bytes()) {
            Ok(create) => create,
            Err(refusal) => return say(socket, words::refused(&refusal)).await,
        };
        let nothing = Transcript::default();
        let before = match &create.previous {
            None => &nothing,
            Some(id) if self.transcript.is_of(id) => &self.transcript,
            Some(id) => return say(socket, words::previous_response_not_found(id)).await,
        };
        let body = create.body(before);
        if !create.generates {
            return self.prewarm(socket, &create, &body).await;
        }
        let arrived = Arrived {
            address: ADDRESS,
            head: Box::new(self.head.clone()),
            body: RequestBody::Here(body),
            at: std::time::Instant::now(),
        };
        // What travels with each call is large; the socket itself waits most of its life.
        let call = Box::pin(serve(&self.worker, arrived));
        let response = self.waiting.during(socket, call).await?;
        if response.status().is_success() {
            let mut answer = Answer::new(
                usize::try_from(self.most_bytes).unwrap_or(usize::MAX),
                create.stores_nothing(),
            );
            let mark = self.relay(socket, response, &mut answer).await?;
            if mark == Mark::Whole {
                self.remember(&create, answer.whole());
            }
            return Ok(());
        }
        self.fail(socket, response).await
    }

    /// What was said can be continued.
    fn remember(&mut self, create: &Create<'_>, answer: Option<(String, Vec<Vec<u8>>)>) {
        if create.previous.is_none() {
            self.transcript.forget();
        }
        match answer {
            Some((id, items)) => self.transcript.continue_with(id, &create.new_items(), &items),
            None => self.transcript.forget(),
        }
    }

    /// Take note of a conversation's start without asking anybody for anything. No call is made, so none is recorded.
    async fn prewarm(&mut self, socket: &mut Socket, create: &Create<'_>, body: &[u8]) -> Result<(), End> {
        let gateway = &self.worker.gateway;
        let sound = scan_request(body, &ADDRESS);
        if let Err(problem) = sound {
            let refusal = Refusal::new(400, problem.code(), problem.to_string());
            return say(socket, words::refused(&refusal)).await;
        }
        if let Err(refusal) = authenticate(gateway, &self.head, Family::OpenaiResponses, gateway.now_s()).await {
            say(socket, words::refused(&refusal)).await?;
            return end_if_unknown(refusal.status);
        }
        let now = gateway.clock.now();
        let id = gateway.identifiers.new_id("resp", now);
        let model = create.model().unwrap_or_default();
        let told = words::prewarmed(&id, &model, now.seconds());
        self.remember(create, Some((id, Vec::new())));
        for event in told {
            say(socket, event).await?;
        }
        Ok(())
    }

    /// Pass an answer on, event by event.
    async fn relay(
        &mut self,
        socket: &mut Socket,
        response: Response<AnswerStream>,
        answer: &mut Answer,
    ) -> Result<Mark, End> {
        let kind = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_stream = kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with(b"text/event-stream"));
        let mut body = response.into_body();
        if !is_stream {
            return self.tell_document(socket, body, answer).await;
        }
        let mut splitter = EventSplitter::default();
        while let Some(frame) = self.waiting.during(socket, body.frame()).await? {
            let chunk = frame.ok().and_then(|frame| frame.into_data().ok()).unwrap_or_default();
            let Ok(block) = splitter.push(chunk) else { break };
            let mark = pass_on(socket, &block.unwrap_or_default(), answer).await?;
            sent(socket.flush()).await?;
            if mark != Mark::Underway {
                // The call is over; what the provider still says is its connection's end, which nobody waits for.
                self.worker
                    .tasks
                    .spawn(async move { while body.frame().await.is_some() {} });
                return Ok(mark);
            }
        }
        say(socket, words::cut()).await?;
        Ok(Mark::Failed)
    }

    async fn tell_document(
        &mut self,
        socket: &mut Socket,
        body: AnswerStream,
        answer: &mut Answer,
    ) -> Result<Mark, End> {
        let document = self.whole(socket, body).await?;
        let Some(events) = document.as_deref().and_then(words::told_at_once) else {
            say(socket, words::cut()).await?;
            return Ok(Mark::Failed);
        };
        answer.note_whole(&document.unwrap_or_default());
        for event in events {
            sent(socket.feed(Message::text(event))).await?;
        }
        sent(socket.flush()).await?;
        Ok(Mark::Whole)
    }

    async fn fail(&mut self, socket: &mut Socket, response: Response<AnswerStream>) -> Result<(), End> {
        let (head, mut body) = response.into_parts();
        let told = std::mem::take(&mut body.told);
        let body = self.whole(socket, body).await?.unwrap_or_default();
        let words = words::unsuccessful(head.status.as_u16(), &head.headers, &told, &body);
        say(socket, words).await?;
        end_if_unknown(head.status.as_u16())
    }

    /// All of a body, if it is whole and no longer than a request may be.
    async fn whole(&mut self, socket: &mut Socket, body: AnswerStream) -> Result<Option<Bytes>, End> {
        let limit = usize::try_from(self.most_bytes).unwrap_or(usize::MAX);
        let collecting = http_body_util::Limited::new(body, limit).collect();
        let collected = self.waiting.during(socket, collecting).await?;
        Ok(collected.ok().map(http_body_util::Collected::to_bytes))
    }
}

/// A key that is not known any more opens nothing any more.
fn end_if_unknown(status: u16) -> Result<(), End> {
    if status == 401 {
        return Err(End::Close(CloseCode::Policy, "this key is not known here any more"));
    }
    Ok(())
}

/// Pass on the events of a block; what the last of them means.
async fn pass_on(socket: &mut Socket, block: &[u8], answer: &mut Answer) -> Result<Mark, End> {
    for event in events(block) {
        if event.data.trim_ascii() == b"[DONE]" {
            continue;
        }
        let named = event.name.map(String::from_utf8_lossy);
        let kind = named
            .or_else(|| top_level_text(&event.data, "type"))
            .unwrap_or_default();
        let mark = answer.note(&kind, &event.data);
        let text = if kind == "error" {
            words::in_stream(&event.data)
        } else {
            String::from_utf8_lossy(&event.data).into_owned()
        };
        sent(socket.feed(Message::text(text))).await?;
        if mark != Mark::Underway {
            return Ok(mark);
        }
    }
    Ok(Mark::Underway)
}
