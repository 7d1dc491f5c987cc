//! What would become of a call at this gateway, for the control plane: with the health, the speeds and the sessions as
//! they are here and now.

use std::time::Instant;

use airside_protocols::Family;
use airside_routing::{Imagined, Known, explain};
use http::Response;
use http::request::Parts;

use crate::body::RequestBody;
use crate::call::AnswerStream;
use crate::call::route::World;
use crate::gateway::Gateway;
use crate::reply::{self, Refusal};
use crate::service::check_join_token;

/// A described call may hold a whole request.
const MOST_BYTES: u64 = 16 << 20;

/// Explain one imagined call.
pub(crate) async fn answer(gateway: &Gateway, head: &Parts, body: RequestBody, id: &str) -> Response<AnswerStream> {
    let answered = match check_join_token(gateway, &head.headers) {
        Ok(()) => explained(gateway, body).await,
        Err(refusal) => Err(refusal),
    };
    match answered {
        Ok(text) => reply::json(200, text.into_bytes()),
        Err(refusal) => refusal.into_response(Family::OpenaiChat, id),
    }
}

async fn explained(gateway: &Gateway, mut body: RequestBody) -> Result<String, Refusal> {
    let body = body.read(MOST_BYTES).await?;
    let active = gateway
        .active()
        .ok_or_else(|| Refusal::new(503, "no_snapshot", "This gateway has no snapshot yet."))?;
    let wrong = |problem: airside_routing::NotImaginable| Refusal::new(400, "not_imaginable", problem.to_string());
    let imagined = Imagined::from_json(&body).map_err(wrong)?;
    let now = Instant::now();
    let session = imagined.session_key().map(|key| gateway.sessions.view(&key, now));
    let world = World {
        active: &active,
        gateway,
        now,
    };
    let known = Known {
        surroundings: &world,
        session: session.unwrap_or_default(),
        health: Some(gateway.health.notes(now)),
        now_s: gateway.now_s(),
    };
    explain(&active.compiled, &imagined, known).map_err(wrong)
}
