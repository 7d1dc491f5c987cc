//! A secret as its place gives it: a text, or JSON with the time it ends.

use std::fmt;

use airside_providers::{AwsKeys, Shown};
use airside_snapshot::{CredentialKind, Moment};
use serde_json::Value;

/// A secret that was just read.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Obtained {
    pub(super) secret: Secret,
    /// From then on it is refused.
    pub(super) expires_at: Option<Moment>,
}

/// What it is.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// One text.
    Text(String),
    /// AWS's keys.
    Aws(AwsKeys),
}

impl fmt::Debug for Obtained {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Obtained")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl Obtained {
    pub(super) fn text(text: &str, expires_at: Option<Moment>) -> Self {
        Self {
            secret: Secret::Text(text.to_owned()),
            expires_at,
        }
    }

    /// What calls show.
    pub(super) fn shown(&self, kind: CredentialKind) -> Result<Shown, String> {
        match (&self.secret, kind) {
            (Secret::Aws(keys), CredentialKind::Sigv4) => Ok(Shown::Aws(keys.clone())),
            (Secret::Aws(_), _) => Err("AWS's keys sign requests; they cannot be sent as a header".to_owned()),
            (Secret::Text(text), _) => Shown::of(kind, Some(text)).map_err(|problem| problem.to_string()),
        }
    }

    /// Read what a file or a command gave: JSON as AWS's `credential_process`, Kubernetes' `ExecCredential` or a token
    /// endpoint write it, else the text itself.
    ///
    /// # Errors
    /// What is wrong with it, never what it is.
    pub(super) fn read(output: &[u8], now: Moment) -> Result<Self, String> {
        let text = std::str::from_utf8(output)
            .map_err(|_| "it gave no text".to_owned())?
            .trim();
        if text.is_empty() {
            return Err("it gave nothing".to_owned());
        }
        let json = serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
        let Some(json) = json else {
            return if text.contains(char::is_whitespace) {
                Err("it gave more than one word, and no JSON".to_owned())
            } else {
                Ok(Self::text(text, None))
            };
        };
        Self::of_json(
            json.get("status").filter(|status| status.is_object()).unwrap_or(&json),
            now,
        )
        .ok_or_else(|| "it gave JSON without a secret: `token`, `access_token`, `secret` or `AccessKeyId`".to_owned())
    }

    /// The secret in a JSON object.
    pub(super) fn of_json(json: &Value, now: Moment) -> Option<Self> {
        let text = |names: &[&str]| {
            let found = names.iter().find_map(|name| json.get(*name)?.as_str());
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let expires_at = expiry(json, now);
        let aws = text(&["AccessKeyId", "access_key_id"]).zip(text(&["SecretAccessKey", "secret_access_key"]));
        let secret = if let Some((access_key_id, secret_access_key)) = aws {
            Secret::Aws(AwsKeys {
                access_key_id,
                secret_access_key,
                session_token: text(&["SessionToken", "Token", "session_token"]),
            })
        } else {
            Secret::Text(text(&["access_token", "token", "secret", "accessToken", "api_key"])?)
        };
        Some(Self { secret, expires_at })
    }
}

/// When it ends: as a date, or as so many seconds from now.
fn expiry(json: &Value, now: Moment) -> Option<Moment> {
    let dates = [
        "Expiration",
        "expires_at",
        "expirationTimestamp",
        "expiration",
        "expireTime",
    ];
    let date = dates.iter().find_map(|name| json.get(*name));
    let at = date.and_then(|value| match value {
        Value::String(text) => Moment::parse(text),
        Value::Number(seconds) => seconds.as_f64().and_then(moment),
        _ => None,
    });
    let within = || {
        let value = json.get("expires_in")?;
        let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
        Some(Moment::from_seconds(now.seconds().saturating_add(whole(seconds)?)))
    };
    at.or_else(within)
}

fn moment(seconds: f64) -> Option<Moment> {
    whole(seconds).map(Moment::from_seconds)
}

fn whole(seconds: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is wanted")]
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_seconds(1_000);

    #[test]
    fn every_common_form_is_read() {
        let token = |at: Option<i64>| Ok(Obtained::text("s3", at.map(Moment::from_seconds)));
        for (output, expected) in [
            ("s3\n", token(None)),
            (r#"{"token":"s3"}"#, token(None)),
            (r#"{"access_token":"s3","expires_in":60}"#, token(Some(1060))),
            (r#"{"access_token":"s3","expires_in":"60"}"#, token(Some(1060))),
            (
                r#"{"secret":"s3","expires_at":"1970-01-01T01:00:00Z"}"#,
                token(Some(3600)),
            ),
            (r#"{"secret":"s3","expires_at":3600}"#, token(Some(3600))),
            (
                r#"{"kind":"ExecCredential","status":{"token":"s3","expirationTimestamp":"1970-01-01T01:00:00Z"}}"#,
                token(Some(3600)),
            ),
        ] {
            assert_eq!(Obtained::read(output.as_bytes(), NOW), expected, "{output}");
        }
        let aws = r#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"1970-01-01T01:00:00Z"}"#;
        let aws = Obtained::read(aws.as_bytes(), NOW).unwrap();
        assert!(matches!(aws.shown(CredentialKind::Sigv4), Ok(Shown::Aws(_))));
        assert!(aws.shown(CredentialKind::Bearer).is_err());
    }

    #[test]
    fn what_is_no_secret_is_not_repeated() {
        for output in ["", "  \n", "two words", r#"{"other":"canary"}"#] {
            let problem = Obtained::read(output.as_bytes(), NOW).unwrap_err();
            assert!(
                !problem.contains("canary") && !problem.contains("two words"),
                "{problem}"
            );
        }
    }
}
