//! Tokens of Microsoft Entra, where Azure's own programs look for them: a client of the environment, else the machine.

use http::Method;
use serde_json::Value;

use super::fetch::{FORM, Wish, fetch, form};
use super::obtained::Obtained;
use crate::gateway::Gateway;
use crate::options::environment;

const RESOURCE: &str = "https://cognitiveservices.azure.com";
const AUTHORITY: &str = "https://login.microsoftonline.com";
const METADATA: &str = "http://169.254.169.254";

pub(super) async fn obtain(gateway: &Gateway) -> Result<Obtained, String> {
    let client = environment("AZURE_TENANT_ID").zip(environment("AZURE_CLIENT_ID"));
    let Some((tenant, client)) = client else {
        return of_machine(gateway).await;
    };
    let scope = format!("{RESOURCE}/.default");
    let mut pairs = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client.as_str()),
        ("scope", scope.as_str()),
    ];
    let secret = environment("AZURE_CLIENT_SECRET");
    let assertion = match environment("AZURE_FEDERATED_TOKEN_FILE") {
        Some(path) => Some(std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?),
        None => None,
    };
    match (&secret, &assertion) {
        (Some(secret), _) => pairs.push(("client_secret", secret)),
        (None, Some(token)) => pairs.extend([
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", token.trim()),
        ]),
        (None, None) => return Err("AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE is needed".to_owned()),
    }
    let authority = environment("AZURE_AUTHORITY_HOST").unwrap_or_else(|| AUTHORITY.to_owned());
    let wish = Wish {
        method: Method::POST,
        url: &format!("{}/{tenant}/oauth2/v2.0/token", authority.trim_end_matches('/')),
        headers: &[FORM],
        body: form(&pairs),
    };
    token_in(gateway, &fetch(gateway, &wish).await?)
}

async fn of_machine(gateway: &Gateway) -> Result<Obtained, String> {
    let base = environment("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or_else(|| METADATA.to_owned());
    let query = form(&[("api-version", "2018-02-01"), ("resource", RESOURCE)]);
    let wish = Wish {
        url: &format!("{}/metadata/identity/oauth2/token?{query}", base.trim_end_matches('/')),
        headers: &[("metadata", "true")],
        ..Wish::default()
    };
    token_in(gateway, &fetch(gateway, &wish).await?)
}

fn token_in(gateway: &Gateway, answer: &[u8]) -> Result<Obtained, String> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    Obtained::of_json(&json, gateway.clock.now()).ok_or_else(|| "the answer holds no token".to_owned())
}
