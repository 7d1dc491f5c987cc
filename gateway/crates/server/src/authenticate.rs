//! Who is calling: a long-lived key or a session token, in any of the places where clients put one.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use airside_protocols::Family;
use airside_snapshot::{
    KEY_PREFIX, KeyShape, Principal, TOKEN_PREFIX, TokenProblem, claimed_key, key_digest, key_shape,
    verify_session_token,
};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use serde_json::json;

use crate::active::Active;
use crate::gateway::Gateway;
use crate::known::is_current;
use crate::reply::Refusal;

/// How long a call waits for the snapshot that its token asks for.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(2);

/// Who a call is for, and the snapshot it is served from.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) principal: Arc<Principal>,
    pub(crate) active: Arc<Active>,
}

/// Find out who is calling, in this second.
///
/// # Errors
/// 401 with one sentence for everything that is wrong with a key, so that nothing is learnt from it; 503 while there
/// is no snapshot, or not the one that the token needs.
pub(crate) async fn authenticate(
    gateway: &Gateway,
    head: &Parts,
    family: Family,
    now_s: i64,
) -> Result<Caller, Refusal> {
    let active = gateway.active().ok_or_else(no_snapshot)?;
    let mut reason = "missing";
    let in_query = head.uri.query().filter(|_| family == Family::Gemini).and_then(key_in);
    for text in credentials(&head.headers).chain(in_query) {
        let found = if text.starts_with(TOKEN_PREFIX) {
            by_token(gateway, &active, text, now_s).await?
        } else if text.starts_with(KEY_PREFIX) {
            by_key(gateway, &active, text, now_s)
        } else {
            Err("not_ours")
        };
        match found {
            Ok(caller) => return Ok(caller),
            Err(why) => reason = why,
        }
    }
    gateway.metrics.refused_keys.fetch_add(1, Ordering::Relaxed);
    gateway
        .log
        .info("key_refused", json!({"reason": reason, "family": family.name()}));
    Err(Refusal::new(
        401,
        "unauthenticated",
        "This key is not known here: it is missing, mistyped, expired or revoked. `airside keys create` makes one.",
    ))
}

fn no_snapshot() -> Refusal {
    Refusal::new(503, "not_ready", "The gateway has no configuration yet.").retry_after(Duration::from_secs(1))
}

/// The `key` that Gemini's clients may put into the query. It is never passed on.
fn key_in(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("key="))
}

/// What the caller shows, in any header; several may be there, and any may be the one that counts.
fn credentials(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token)
        });
    let api_key = ["x-api-key", "x-goog-api-key"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(|value| value.to_str().ok());
    bearer.chain(api_key).map(str::trim)
}

fn by_key(gateway: &Gateway, active: &Arc<Active>, key: &str, now_s: i64) -> Result<Caller, &'static str> {
    if let Some(principal) = active.known_keys.get(&gateway.marker, key, now_s) {
        let active = Arc::clone(active);
        return Ok(Caller { principal, active });
    }
    match key_shape(key) {
        KeyShape::WellFormed => {}
        KeyShape::WrongChecksum => return Err("wrong_checksum"),
        KeyShape::NotAKey => return Err("malformed"),
    }
    // The map is keyed by the digest of 256 random bits: what its comparison takes tells nothing about the key.
    let principal = active.compiled.key(&key_digest(key)).ok_or("unknown")?;
    if !is_current(principal, now_s) {
        return Err("expired");
    }
    active.known_keys.put(&gateway.marker, key, principal, now_s);
    Ok(Caller {
        principal: Arc::clone(principal),
        active: Arc::clone(active),
    })
}

async fn by_token(
    gateway: &Gateway,
    active: &Arc<Active>,
    token: &str,
    now_s: i64,
) -> Result<Result<Caller, &'static str>, Refusal> {
    let known = gateway.known_tokens.get(&gateway.marker, token, now_s);
    let (principal, active) = match known {
        Some(principal) if principal.minimum_snapshot <= active.compiled.snapshot.version => {
            (principal, Arc::clone(active))
        }
        _ => {
            let active = awaited(gateway, active, token).await?;
            let claims = verify_session_token(token, now_s, |key_id| active.compiled.signer(key_id));
            let claims = match claims {
                Ok(claims) => claims,
                Err(problem) => return Ok(Err(problem.reason())),
            };
            let principal = Arc::new(Principal::from(claims));
            gateway.known_tokens.put(&gateway.marker, token, &principal, now_s);
            (principal, active)
        }
    };
    let is_revoked = principal
        .session_id
        .as_deref()
        .is_some_and(|session| active.compiled.is_revoked(session));
    Ok(if is_revoked {
        Err("revoked")
    } else {
        Ok(Caller { principal, active })
    })
}

/// The snapshot that this token needs, waiting for it a little. A token that is certainly forged does not wait.
async fn awaited(gateway: &Gateway, active: &Arc<Active>, token: &str) -> Result<Arc<Active>, Refusal> {
    let needed = claimed_key(token).map_or(0, |(_, minimum_snapshot)| minimum_snapshot);
    if active.compiled.snapshot.version >= needed {
        return Ok(Arc::clone(active));
    }
    let checked = verify_session_token(token, gateway.now_s(), |key_id| active.compiled.signer(key_id));
    if checked.is_err_and(|problem| problem != TokenProblem::UnknownSigner) {
        return Ok(Arc::clone(active));
    }
    let mut versions = gateway.versions();
    let waited = tokio::time::timeout(SNAPSHOT_WAIT, versions.wait_for(|version| *version >= needed)).await;
    let newer = gateway.active().filter(|_| matches!(waited, Ok(Ok(_))));
    newer.ok_or_else(|| {
        let message = format!("The gateway has not yet heard of configuration {needed}, which this session needs.");
        Refusal::new(503, "snapshot_behind", message).retry_after(Duration::from_secs(1))
    })
}
