//! Session tokens: `airs_` + base64url(claims as JSON) + `.` + base64url(Ed25519 signature of that first part's text).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

/// What every session token begins with.
pub const TOKEN_PREFIX: &str = "airs_";

/// How far the control plane's clock may be from ours.
pub const CLOCK_TOLERANCE_S: i64 = 30;

const MAX_TOKEN_BYTES: usize = 16 << 10;

/// What a session token says. Mirrors `SessionClaims` of `airside/dataplanes/snapshot.py`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClaims {
    /// The layout of these claims; 1.
    #[serde(default = "one")]
    pub version: u64,
    /// Which key signed it.
    pub key_id: String,
    /// Whose it is.
    pub session_id: String,
    /// What started the session.
    #[serde(default)]
    pub deployment_id: Option<String>,
    /// The agent.
    pub agent_id: String,
    /// Its name.
    pub agent_name: String,
    /// And version.
    pub agent_version: u64,
    /// The team, if any.
    #[serde(default)]
    pub team: Option<String>,
    /// The person it is for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The project.
    pub project: String,
    /// The harness the token is for.
    pub harness: String,
    /// Aliases it may call.
    pub models: Vec<String>,
    /// The session's own cap over its whole life.
    #[serde(default)]
    pub budget_nanousd: Option<u64>,
    /// Seconds since 1970.
    pub issued_at: i64,
    /// Seconds since 1970.
    pub expires_at: i64,
    /// The gateway waits briefly for this version.
    #[serde(default)]
    pub minimum_snapshot: u64,
}

const fn one() -> u64 {
    1
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenProblem {
    /// Not of the form.
    Malformed,
    /// Signed by a key nobody announced.
    UnknownSigner,
    /// The signature does not fit.
    BadSignature,
    /// Claims of a layout this gateway does not know.
    NewerVersion,
    /// From the future.
    NotYetValid,
    /// Over.
    Expired,
}

impl TokenProblem {
    /// The reason for logs.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSigner => "unknown_signer",
            Self::BadSignature => "bad_signature",
            Self::NewerVersion => "newer_version",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for TokenProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the session token is refused: {}", self.reason())
    }
}

impl std::error::Error for TokenProblem {}

impl SessionClaims {
    /// True between its two times, give or take the tolerance.
    ///
    /// # Errors
    /// `NotYetValid` or `Expired`.
    pub const fn check_time(&self, now_s: i64) -> Result<(), TokenProblem> {
        if self.issued_at > now_s.saturating_add(CLOCK_TOLERANCE_S) {
            return Err(TokenProblem::NotYetValid);
        }
        if self.expires_at.saturating_add(CLOCK_TOLERANCE_S) <= now_s {
            return Err(TokenProblem::Expired);
        }
        Ok(())
    }
}

/// Which key a token claims to be signed by and which snapshot it asks for. Nothing of it is verified.
#[must_use]
pub fn claimed_key(token: &str) -> Option<(String, u64)> {
    #[derive(Deserialize)]
    struct Claimed {
        key_id: String,
        #[serde(default)]
        minimum_snapshot: u64,
    }
    let (payload, _) = parts(token)?;
    let claimed: Claimed = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Some((claimed.key_id, claimed.minimum_snapshot))
}

fn parts(token: &str) -> Option<(&str, &str)> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    token.strip_prefix(TOKEN_PREFIX)?.split_once('.')
}

/// The claims of a token whose signature fits one of these keys and whose time is now.
///
/// `public_key` gives the 32 bytes for a key id.
///
/// # Errors
/// See `TokenProblem`.
pub fn verify_session_token<'a>(
    token: &str,
    now_s: i64,
    public_key: impl FnOnce(&str) -> Option<&'a [u8]>,
) -> Result<SessionClaims, TokenProblem> {
    let (payload, signature) = parts(token).ok_or(TokenProblem::Malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| TokenProblem::Malformed)?;
    let (key_id, _) = claimed_key(token).ok_or(TokenProblem::Malformed)?;
    let public_key = public_key(&key_id).ok_or(TokenProblem::UnknownSigner)?;
    UnparsedPublicKey::new(&ED25519, public_key)
        .verify(payload.as_bytes(), &signature)
        .map_err(|_| TokenProblem::BadSignature)?;
    let text = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenProblem::Malformed)?;
    let claims: SessionClaims = serde_json::from_slice(&text).map_err(|_| TokenProblem::Malformed)?;
    if claims.version != 1 {
        return Err(TokenProblem::NewerVersion);
    }
    claims.check_time(now_s)?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors, and the moment they hold at.
    fn vectors() -> (serde_json::Value, Vec<u8>, i64) {
        let text = include_str!("../../../../contracts/vectors/session_tokens.json");
        let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
        let key = URL_SAFE_NO_PAD.decode(vectors["ed25519"].as_str().unwrap()).unwrap();
        let now = vectors["now"].as_i64().unwrap();
        (vectors, key, now)
    }

    #[test]
    fn the_shared_vectors_agree() {
        let (vectors, key, now) = vectors();
        for vector in vectors["tokens"].as_array().unwrap() {
            let token = vector["token"].as_str().unwrap();
            let found = verify_session_token(token, now, |id| (id == "stk_1").then_some(key.as_slice()));
            match vector["problem"].as_str() {
                Some(problem) => assert_eq!(found.unwrap_err().reason(), problem),
                None => assert_eq!(serde_json::to_value(found.unwrap()).unwrap(), vector["claims"]),
            }
        }
    }

    #[test]
    fn a_token_with_any_byte_changed_is_refused() {
        let (vectors, key, now) = vectors();
        let token = vectors["tokens"][0]["token"].as_str().unwrap();
        for at in TOKEN_PREFIX.len()..token.len() {
            let mut bytes = token.as_bytes().to_vec();
            // Swapping by far enough: the last character of a base64 text holds bits nobody reads.
            bytes[at] = if bytes[at] == b'Q' { b'h' } else { b'Q' };
            let forged = String::from_utf8(bytes).unwrap();
            let found = verify_session_token(&forged, now, |_| Some(key.as_slice()));
            assert!(found.is_err(), "byte {at} changed");
        }
    }

    #[test]
    fn clocks_may_differ_a_little() {
        let (vectors, key, _) = vectors();
        let token = vectors["tokens"][0]["token"].as_str().unwrap();
        let expires = vectors["tokens"][0]["claims"]["expires_at"].as_i64().unwrap();
        let issued = vectors["tokens"][0]["claims"]["issued_at"].as_i64().unwrap();
        let verify = |now| verify_session_token(token, now, |_| Some(key.as_slice()));
        assert!(verify(expires + CLOCK_TOLERANCE_S - 1).is_ok());
        assert_eq!(verify(expires + CLOCK_TOLERANCE_S), Err(TokenProblem::Expired));
        assert!(verify(issued - CLOCK_TOLERANCE_S).is_ok());
        assert_eq!(verify(issued - CLOCK_TOLERANCE_S - 1), Err(TokenProblem::NotYetValid));
    }
}
