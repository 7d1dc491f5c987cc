//! AWS's signature, version 4, over a request with the path as it is sent.
//!
//! Every service but S3 escapes the path once more for the signature, so a `:` in a model's id, sent as `%3A`, is signed
//! as `%253A` ("Create a signed AWS API request" in the IAM user guide).

use airside_snapshot::Moment;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::digest::{Context, SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};

use crate::encode::encoded;
use crate::shown::AwsKeys;
use crate::vendor::Sending;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Sign a request to this service in place: by its date, its host, its type and its own `x-amz-` headers.
pub fn sign(keys: &AwsKeys, region: &str, service: &str, sending: &mut Sending<'_>) {
    let at = timestamp(sending.at);
    if let Ok(value) = HeaderValue::from_str(&at) {
        sending.headers.insert(DATE, value);
    }
    if let Some(mut value) = keys
        .session_token
        .as_deref()
        .and_then(|token| HeaderValue::from_str(token).ok())
    {
        value.set_sensitive(true);
        sending.headers.insert(TOKEN, value);
    }
    let signed = signed_headers(sending.authority, sending.headers);
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let request = canonical_request(sending.method.as_str(), sending.path, &signed, &names, sending.body);
    let day = at.get(..8).unwrap_or_default();
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text = format!(
        "{ALGORITHM}\n{at}\n{scope}\n{}",
        hex(digest(&SHA256, request.as_bytes()).as_ref())
    );
    let key = [day, region, service, "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", keys.secret_access_key).into_bytes(), |key, part| {
            hmac(&key, part)
        });
    let signature = hex(&hmac(&key, &text));
    let id = &keys.access_key_id;
    let header = format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={names}, Signature={signature}");
    if let Ok(mut value) = HeaderValue::from_str(&header) {
        value.set_sensitive(true);
        sending.headers.insert(AUTHORIZATION, value);
    }
}

/// `20150830T123600Z`.
fn timestamp(at: Moment) -> String {
    let text = Moment::from_seconds(at.seconds()).to_string();
    let digits: String = text.chars().filter(|letter| !matches!(letter, '-' | ':')).collect();
    let seconds = digits.get(..15).unwrap_or_default();
    format!("{seconds}Z")
}

fn signed_headers<'a>(authority: &'a str, headers: &'a HeaderMap) -> Vec<(&'a str, String)> {
    let mut signed = vec![("host", authority.to_owned())];
    for (name, value) in headers {
        let counts = *name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
        if let Some(text) = value.to_str().ok().filter(|_| counts) {
            signed.push((name.as_str(), text.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    signed.sort();
    signed
}

fn canonical_request(method: &str, path: &str, signed: &[(&str, String)], names: &str, body: &[Bytes]) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let path = encoded(path, |byte| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte));
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let headers: Vec<String> = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let mut hash = Context::new(&SHA256);
    for piece in body {
        hash.update(piece);
    }
    let hash = hex(hash.finish().as_ref());
    format!(
        "{method}\n{path}\n{}\n{}\n{names}\n{hash}",
        pairs.join("&"),
        headers.concat()
    )
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    /// The credential, time and scope of AWS's published test suite for signature version 4.
    fn signature(method: &Method, path: &str, headers: &[(&'static str, &str)], token: Option<&str>) -> String {
        let keys = AwsKeys {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            session_token: token.map(str::to_owned),
        };
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let mut sending = Sending {
            method,
            authority: "example.amazonaws.com",
            path,
            headers: &mut map,
            body: &[],
            at: Moment::parse("2015-08-30T12:36:00Z").unwrap(),
        };
        sign(&keys, "us-east-1", "service", &mut sending);
        map[AUTHORIZATION].to_str().unwrap().to_owned()
    }

    #[test]
    fn the_published_vectors_hold() {
        let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, ";
        for (method, path, signature_of) in [
            // get-vanilla
            (
                Method::GET,
                "/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            // post-vanilla
            (
                Method::POST,
                "/",
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
            ),
            // get-vanilla-query-order-key-case
            (
                Method::GET,
                "/?Param2=value2&Param1=value1",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
        ] {
            assert_eq!(
                signature(&method, path, &[], None),
                format!("{scope}SignedHeaders=host;x-amz-date, Signature={signature_of}"),
                "{path}"
            );
        }
    }

    #[test]
    fn a_path_is_escaped_once_more_for_the_signature() {
        let signed = [("host", "h".to_owned())];
        let request = canonical_request("POST", "/model/a%3A0%2Fb/invoke", &signed, "host", &[]);
        assert!(
            request.starts_with("POST\n/model/a%253A0%252Fb/invoke\n\nhost:h\n\nhost\n"),
            "{request}"
        );
    }

    #[test]
    fn a_session_token_is_signed() {
        let signed = signature(
            &Method::POST,
            "/",
            &[("content-type", "application/json"), ("x-other", "1")],
            Some("t"),
        );
        assert!(
            signed.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"),
            "{signed}"
        );
    }

    #[test]
    fn the_time_is_written_without_separators() {
        let at = Moment::parse("2026-11-26T01:02:03.987Z").unwrap();
        assert_eq!(timestamp(at), "20261126T010203Z");
    }
}
