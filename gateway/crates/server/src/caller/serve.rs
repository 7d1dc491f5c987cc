//! A connection from its first request to its last.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Method, Response};
use tokio_util::sync::CancellationToken;

use super::answer_head::Exchange;
use super::connection::Connection;
use super::request_head::{BadHead, RequestHead};
use super::send::{Sent, send};
use super::wire::Wire;
use crate::alarm::Wait;
use crate::call::AnswerStream;
use crate::gateway::Worker;
use crate::leaving::Ear;
use crate::service::{answer, family_of_line};

/// For a whole request head, and for a connection on which nothing is asked.
const LONGEST_HEAD: Duration = Duration::from_secs(90);
/// What a caller still sends when it has its last answer is taken for so long and so far, so that the answer is not lost
/// in a reset.
const LONGEST_FAREWELL: Duration = Duration::from_secs(10);
const MOST_FORGOTTEN: usize = 128 << 20;
/// At once.
const FORGOTTEN_AT_ONCE: usize = 64 << 10;

/// Serve a connection until it ends.
pub(crate) async fn serve(worker: Arc<Worker>, wire: Wire, gently: CancellationToken) {
    let connection = Arc::new(Connection::new(wire, gently));
    let mut served = pin!(requests(&worker, &connection));
    let mut turn = 0;
    poll_fn(|cx| {
        turn = worker.cohort.turn(turn);
        let polled = served.as_mut().poll(cx);
        worker.seat.after(turn);
        polled
    })
    .await;
}

async fn requests(worker: &Arc<Worker>, connection: &Arc<Connection>) {
    let mut ear = worker.leaving.ear();
    let mut is_first = true;
    loop {
        let head = match next_head(connection, &mut ear, is_first).await {
            None => return,
            Some(Ok(head)) => head,
            Some(Err(bad)) => {
                refuse(worker, connection, bad).await;
                return farewell(connection).await;
            }
        };
        is_first = false;
        let mut exchange = Exchange {
            version: head.parts.version,
            is_head: head.parts.method == Method::HEAD,
            keeps: head.keeps,
        };
        // How a connection ends is known to the calls on it; beyond them it is of no interest.
        let response = {
            let answering = pin!(answer(worker, head.parts, connection));
            while_there(connection, answering).await
        };
        let Some(response) = response else {
            return;
        };
        let is_read = connection.line().is_read();
        exchange.keeps &= is_read && !worker.leaving.is_so();
        let date = worker.dates.now(&*worker.gateway.clock);
        match send(connection, response, exchange, &date).await {
            Sent::GoesOn => connection.line().turn(),
            Sent::Ends if is_read => return,
            Sent::Ends => return farewell(connection).await,
            Sent::Breaks => return,
            Sent::Switches => {
                if let Some(heir) = connection.heir() {
                    let over = connection.line().hand_over();
                    heir(over).await;
                }
                return;
            }
        }
    }
}

/// The next request's head; `None` when there is none to come.
async fn next_head(connection: &Connection, ear: &mut Ear<'_>, is_first: bool) -> Option<Result<RequestHead, BadHead>> {
    let mut wait = Wait::of(LONGEST_HEAD);
    poll_fn(|cx| {
        let line = &mut *connection.line();
        if let Poll::Ready(head) = line.poll_head(cx) {
            return Poll::Ready(head);
        }
        let is_idle = line.is_idle();
        if is_idle && !is_first && ear.poll_told(cx) {
            return Poll::Ready(None);
        }
        wait.poll(&mut line.alarm, cx)
            .map(|()| (!is_idle).then_some(Err(BadHead::Late)))
    })
    .await
}

/// An answer to a request, unless its caller is gone before.
async fn while_there(
    connection: &Connection,
    mut answer: Pin<&mut impl Future<Output = Response<AnswerStream>>>,
) -> Option<Response<AnswerStream>> {
    poll_fn(|cx: &mut Context<'_>| match answer.as_mut().poll(cx) {
        Poll::Ready(response) => Poll::Ready(Some(response)),
        Poll::Pending => connection.line().poll_gone(cx).map(|()| None),
    })
    .await
}

/// Say that what came is no request.
async fn refuse(worker: &Worker, connection: &Connection, bad: BadHead) {
    let gateway = &worker.gateway;
    let id = gateway.identifiers.new_id("call", gateway.clock.now());
    let family = family_of_line(connection.line().unread());
    let response = bad.refusal().into_response(family, &id);
    let exchange = Exchange {
        version: http::Version::HTTP_11,
        is_head: false,
        keeps: false,
    };
    let date = worker.dates.now(&*gateway.clock);
    send(connection, response, exchange, &date).await;
}

/// End a connection of which not all was read.
async fn farewell(connection: &Connection) {
    let (mut forgotten, mut room) = (0, vec![0; FORGOTTEN_AT_ONCE]);
    let forget = poll_fn(|cx| {
        if connection.line().poll_shutdown(cx).is_pending() {
            return Poll::Pending;
        }
        while forgotten < MOST_FORGOTTEN {
            match connection.line().poll_forget(cx, &mut room) {
                Poll::Ready(Ok(count)) if count > 0 => forgotten += count,
                Poll::Ready(_) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    });
    let _ = tokio::time::timeout(LONGEST_FAREWELL, forget).await;
}
