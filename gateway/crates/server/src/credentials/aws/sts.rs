//! Roles: keys for a while, from AWS's security token service.

use airside_providers::{AwsKeys, Sending, sign_for_aws};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Uri};

use super::profile::Role;
use super::service_url;
use crate::credentials::fetch::{FORM, Wish, fetch, form};
use crate::credentials::obtained::Obtained;
use crate::gateway::Gateway;

const VERSION: (&str, &str) = ("Version", "2011-06-15");
/// Signs for the service where no region is named.
const USUAL_REGION: &str = "us-east-1";
const ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";
/// Headers of a signed request.
const SIGNED: [&str; 3] = ["authorization", "x-amz-date", "x-amz-security-token"];

/// A role, for a token in a file that says who this is (`AssumeRoleWithWebIdentity`).
pub(super) async fn with_web_identity(gateway: &Gateway, role: &Role, file: &str) -> Result<Obtained, String> {
    let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let wish = asked(
        role,
        "AssumeRoleWithWebIdentity",
        Some(("WebIdentityToken", token.trim())),
    );
    let url = format!("{}/", base(role));
    let wish = Wish {
        method: Method::POST,
        url: &url,
        headers: &[FORM],
        body: wish,
    };
    keys_of_xml(gateway, &fetch(gateway, &wish).await?)
}

/// A role, for keys that may assume it (`AssumeRole`).
pub(super) async fn assume(gateway: &Gateway, role: &Role, keys: &AwsKeys) -> Result<Obtained, String> {
    let body = asked(role, "AssumeRole", None);
    let url = format!("{}/", base(role));
    let signed = signed(gateway, role, keys, &url, &body)?;
    let mut headers = vec![FORM];
    headers.extend(
        SIGNED
            .iter()
            .filter_map(|name| Some((*name, signed.get(*name)?.to_str().ok()?))),
    );
    let wish = Wish {
        method: Method::POST,
        url: &url,
        headers: &headers,
        body,
    };
    let answer = fetch(gateway, &wish)
        .await
        .map_err(|problem| format!("{problem}, asked for role {}", role.arn))?;
    keys_of_xml(gateway, &answer)
}

fn base(role: &Role) -> String {
    match &role.region {
        Some(region) => service_url("sts", region, ENDPOINT),
        None => service_url("sts", USUAL_REGION, ENDPOINT),
    }
}

fn asked(role: &Role, action: &str, more: Option<(&str, &str)>) -> String {
    let session = role.session.as_deref().unwrap_or("airside-gateway");
    let mut pairs = vec![
        ("Action", action),
        VERSION,
        ("RoleArn", &role.arn),
        ("RoleSessionName", session),
    ];
    pairs.extend(role.external_id.as_deref().map(|id| ("ExternalId", id)));
    pairs.extend(role.seconds.as_deref().map(|seconds| ("DurationSeconds", seconds)));
    pairs.extend(more);
    form(&pairs)
}

fn signed(gateway: &Gateway, role: &Role, keys: &AwsKeys, url: &str, body: &str) -> Result<HeaderMap, String> {
    let uri: Uri = url.parse().map_err(|_| format!("{ENDPOINT} is no URL"))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(FORM.1));
    let mut sending = Sending {
        method: &Method::POST,
        authority: uri.authority().map_or("", |authority| authority.as_str()),
        path: uri.path(),
        headers: &mut headers,
        body: &[Bytes::copy_from_slice(body.as_bytes())],
        at: gateway.clock.now(),
    };
    sign_for_aws(
        keys,
        role.region.as_deref().unwrap_or(USUAL_REGION),
        "sts",
        &mut sending,
    );
    Ok(headers)
}

fn keys_of_xml(gateway: &Gateway, answer: &[u8]) -> Result<Obtained, String> {
    let text = String::from_utf8_lossy(answer);
    let field = |name: &str| between(&text, &format!("<{name}>"), &format!("</{name}>"));
    let json = serde_json::json!({
        "AccessKeyId": field("AccessKeyId"), "SecretAccessKey": field("SecretAccessKey"),
        "SessionToken": field("SessionToken"), "Expiration": field("Expiration"),
    });
    Obtained::of_json(&json, gateway.clock.now()).ok_or_else(|| "STS gave no keys".to_owned())
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stss_answer_is_read() {
        let text = "<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>";
        assert_eq!(between(text, "<AccessKeyId>", "</AccessKeyId>"), Some("A"));
        assert_eq!(between(text, "<SessionToken>", "</SessionToken>"), None);
    }

    #[test]
    fn a_role_is_asked_for_with_all_that_its_profile_says() {
        let role = Role {
            arn: "arn:aws:iam::1:role/r".to_owned(),
            external_id: Some("x y".to_owned()),
            seconds: Some("900".to_owned()),
            ..Role::default()
        };
        let expected = "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
                        &RoleSessionName=airside-gateway&ExternalId=x%20y&DurationSeconds=900";
        assert_eq!(asked(&role, "AssumeRole", None), expected);
    }
}
