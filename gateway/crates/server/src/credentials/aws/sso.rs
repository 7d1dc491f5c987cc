//! Single sign-on (IAM Identity Center): keys for the login that `aws sso login` left on this machine.
//!
//! The login itself is not renewed here: what renews it takes turns, and the one of AWS's own program would be lost.

use std::fmt::Write as _;

use airside_snapshot::Moment;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use super::service_url;
use crate::credentials::fetch::{Wish, fetch, form};
use crate::credentials::obtained::Obtained;
use crate::gateway::Gateway;
use crate::options::environment;

const ENDPOINT: &str = "AWS_ENDPOINT_URL_SSO";

/// Who signed on where, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) profile: String,
    /// What the name of the cached login is made of: that of its session, or where it starts.
    pub(super) cached_as: String,
    pub(super) region: String,
    pub(super) account: String,
    pub(super) role: String,
}

/// Keys for the role of a login.
pub(super) async fn obtain(gateway: &Gateway, login: &Login) -> Result<Obtained, String> {
    let path = cache_path(&environment("HOME").unwrap_or_default(), &login.cached_as);
    let cached = std::fs::read(path).unwrap_or_default();
    let token = token_in(&cached, gateway.clock.now()).ok_or_else(|| {
        let profile = &login.profile;
        format!("nobody is signed on for profile '{profile}', or no longer: run `aws sso login --profile {profile}`")
    })?;
    let asked = form(&[("account_id", &login.account), ("role_name", &login.role)]);
    let base = service_url("portal.sso", &login.region, ENDPOINT);
    let wish = Wish {
        url: &format!("{base}/federation/credentials?{asked}"),
        headers: &[("x-amz-sso_bearer_token", &token)],
        ..Wish::default()
    };
    keys_in(&fetch(gateway, &wish).await?, gateway.clock.now()).ok_or_else(|| "the answer holds no keys".to_owned())
}

fn cache_path(home: &str, cached_as: &str) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, cached_as.as_bytes());
    let mut path = format!("{home}/.aws/sso/cache/");
    for byte in hash.as_ref() {
        let _ = write!(path, "{byte:02x}");
    }
    path + ".json"
}

/// The token of a cached login, while it is good.
fn token_in(cached: &[u8], now: Moment) -> Option<String> {
    let login: Value = serde_json::from_slice(cached).ok()?;
    // Older programs end the time so.
    let ends = login.get("expiresAt")?.as_str()?.replace("UTC", "Z");
    let is_good = Moment::parse(&ends)?.seconds() > now.seconds();
    let token = login.get("accessToken")?.as_str()?;
    is_good.then(|| token.to_owned())
}

/// The keys in an answer, whose time is in milliseconds.
fn keys_in(answer: &[u8], now: Moment) -> Option<Obtained> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let keys = answer.get("roleCredentials")?;
    let ends = keys.get("expiration").and_then(Value::as_i64)?;
    let json = json!({
        "AccessKeyId": keys.get("accessKeyId"), "SecretAccessKey": keys.get("secretAccessKey"),
        "SessionToken": keys.get("sessionToken"), "Expiration": ends / 1_000,
    });
    Obtained::of_json(&json, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_seconds(1_000);

    #[test]
    fn a_login_is_found_under_the_hash_of_its_name() {
        // SHA-1 of "abc", FIPS 180-1, appendix A.
        let expected = "/h/.aws/sso/cache/a9993e364706816aba3e25717850c26c9cd0d89d.json";
        assert_eq!(cache_path("/h", "abc"), expected);
    }

    #[test]
    fn a_login_is_good_until_it_ends() {
        for (ends, is_good) in [
            ("1970-01-01T01:00:00Z", true),
            ("1970-01-01T01:00:00UTC", true),
            ("1970-01-01T00:10:00Z", false),
            ("soon", false),
        ] {
            let cached = json!({"accessToken": "t", "expiresAt": ends}).to_string();
            assert_eq!(token_in(cached.as_bytes(), NOW).is_some(), is_good, "{ends}");
        }
        assert_eq!(token_in(b"", NOW), None);
    }

    #[test]
    fn the_answers_time_is_in_milliseconds() {
        let answer = json!({"roleCredentials": {"accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T", "expiration": 5_000_000}});
        let keys = keys_in(answer.to_string().as_bytes(), NOW).unwrap();
        assert_eq!(keys.expires_at, Some(Moment::from_seconds(5_000)));
        assert!(keys_in(b"{}", NOW).is_none());
    }
}
