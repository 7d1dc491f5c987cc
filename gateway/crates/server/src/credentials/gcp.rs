//! Google's access tokens, where Google's own programs look for them and in their order.

use airside_snapshot::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::fetch::{FORM, Wish, fetch, form};
use super::obtained::Obtained;
use crate::gateway::Gateway;
use crate::options::environment;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
const METADATA: &str = "metadata.google.internal";
const LIFE_S: i64 = 3600;

/// A token for whom the key file, the user's login or the machine says this is.
pub(super) async fn obtain(gateway: &Gateway, path: Option<&str>) -> Result<Obtained, String> {
    let named = path
        .map(str::to_owned)
        .or_else(|| environment("GOOGLE_APPLICATION_CREDENTIALS"));
    if let Some(path) = named {
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        return of_file(gateway, &path, &text).await;
    }
    let home = environment("HOME").unwrap_or_default();
    let folder = environment("CLOUDSDK_CONFIG").unwrap_or_else(|| format!("{home}/.config/gcloud"));
    let login = format!("{folder}/application_default_credentials.json");
    if let Ok(text) = std::fs::read_to_string(&login) {
        return of_file(gateway, &login, &text).await;
    }
    of_metadata(gateway).await
}

async fn of_file(gateway: &Gateway, path: &str, text: &str) -> Result<Obtained, String> {
    let file: Value = serde_json::from_str(text).map_err(|_| format!("{path} is no JSON"))?;
    let field = |name: &str| text_at(&file, name).ok_or_else(|| format!("{path} lacks '{name}'"));
    let body = match field("type")? {
        "service_account" => {
            let url = text_at(&file, "token_uri").unwrap_or(TOKEN_URL);
            let now = gateway.clock.now();
            let assertion = assertion(field("client_email")?, field("private_key")?, url, now)?;
            form(&[
                ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
                ("assertion", &assertion),
            ])
        }
        "authorized_user" => form(&[
            ("grant_type", "refresh_token"),
            ("client_id", field("client_id")?),
            ("client_secret", field("client_secret")?),
            ("refresh_token", field("refresh_token")?),
        ]),
        "external_account" => return of_workload(gateway, path, &file).await,
        other => return Err(format!("{path}: credentials of type '{other}' are not supported")),
    };
    let url = text_at(&file, "token_uri").unwrap_or(TOKEN_URL);
    exchange(gateway, url, body).await
}

async fn exchange(gateway: &Gateway, url: &str, body: String) -> Result<Obtained, String> {
    let wish = Wish {
        method: Method::POST,
        url,
        headers: &[FORM],
        body,
    };
    token_in(gateway, &fetch(gateway, &wish).await?)
}

fn token_in(gateway: &Gateway, answer: &[u8]) -> Result<Obtained, String> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    Obtained::of_json(&json, gateway.clock.now()).ok_or_else(|| "the answer holds no token".to_owned())
}

/// A signed statement of who asks (RFC 7523, RS256).
fn assertion(email: &str, private_key: &str, audience: &str, now: Moment) -> Result<String, String> {
    let bad_key = || "its private key cannot be used".to_owned();
    let der = PrivatePkcs8KeyDer::from_pem_slice(private_key.as_bytes()).map_err(|_| bad_key())?;
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| bad_key())?;
    let claims = json!({"iss": email, "scope": SCOPE, "aud": audience, "iat": now.seconds(),
                        "exp": now.seconds() + LIFE_S});
    let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        signed.as_bytes(),
        &mut signature,
    )
    .map_err(|_| bad_key())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// A token of another identity provider, from a file, for one of Google's (workload identity federation).
async fn of_workload(gateway: &Gateway, path: &str, file: &Value) -> Result<Obtained, String> {
    let field = |name: &str| text_at(file, name).ok_or_else(|| format!("{path} lacks '{name}'"));
    let subject = file.pointer("/credential_source/file").and_then(Value::as_str);
    let subject = subject.ok_or_else(|| format!("{path}: only a token in a file can be exchanged"))?;
    let token = std::fs::read_to_string(subject).map_err(|error| format!("{subject}: {error}"))?;
    let body = form(&[
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", field("audience")?),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token_type", field("subject_token_type")?),
        ("subject_token", token.trim()),
    ]);
    let wish = Wish {
        method: Method::POST,
        url: field("token_url")?,
        headers: &[FORM],
        body,
    };
    let answer = fetch(gateway, &wish).await?;
    let Some(url) = text_at(file, "service_account_impersonation_url") else {
        return token_in(gateway, &answer);
    };
    let json: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let bearer = format!("Bearer {}", text_at(&json, "access_token").unwrap_or_default());
    let wish = Wish {
        method: Method::POST,
        url,
        headers: &[("authorization", &bearer), ("content-type", "application/json")],
        body: json!({"scope": [SCOPE]}).to_string(),
    };
    token_in(gateway, &fetch(gateway, &wish).await?)
}

fn text_at<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

async fn of_metadata(gateway: &Gateway) -> Result<Obtained, String> {
    let host = environment("GCE_METADATA_HOST").unwrap_or_else(|| METADATA.to_owned());
    let wish = Wish {
        url: &format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token"),
        headers: &[("metadata-flavor", "Google")],
        ..Wish::default()
    };
    token_in(gateway, &fetch(gateway, &wish).await?)
}
