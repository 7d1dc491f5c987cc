//! AWS's keys, where AWS's own programs look for them and in their order.

mod metadata;
mod profile;
mod sso;
mod sts;

use airside_providers::AwsKeys;
use serde_json::Value;

use self::metadata::{container_url, of_container, of_instance};
use self::profile::{Files, Role, Start};
use super::command;
use super::obtained::{Obtained, Secret};
use crate::gateway::Gateway;
use crate::options::environment;

/// The first keys there are.
pub(super) async fn obtain(gateway: &Gateway, profile: Option<&str>) -> Result<Obtained, String> {
    if profile.is_none() {
        if let Some(keys) = of_environment() {
            return Ok(keys);
        }
        if let Some(file) = environment("AWS_WEB_IDENTITY_TOKEN_FILE") {
            let arn =
                environment("AWS_ROLE_ARN").ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not")?;
            let role = Role::named(arn, environment("AWS_ROLE_SESSION_NAME"));
            return sts::with_web_identity(gateway, &role, &file).await;
        }
    }
    let named = profile.map(str::to_owned).or_else(|| environment("AWS_PROFILE"));
    let name = named.as_deref().unwrap_or("default");
    if let Some(way) = Files::read().way_to(name)? {
        return along(gateway, way.start, &way.roles).await;
    }
    if let Some(profile) = named {
        return Err(format!("the shared files have no keys under profile '{profile}'"));
    }
    if let Some(url) = container_url() {
        return of_container(gateway, &url).await;
    }
    of_instance(gateway).await
}

fn of_environment() -> Option<Obtained> {
    let keys = AwsKeys {
        access_key_id: environment("AWS_ACCESS_KEY_ID")?,
        secret_access_key: environment("AWS_SECRET_ACCESS_KEY")?,
        session_token: environment("AWS_SESSION_TOKEN"),
    };
    Some(lasting(keys))
}

/// The keys that a profile leads to: those it starts with, and then one role after the other.
async fn along(gateway: &Gateway, start: Start, roles: &[Role]) -> Result<Obtained, String> {
    let nowhere = |place: &str| format!("a role's credential_source is {place}, and there are no keys");
    let mut obtained = match start {
        Start::Keys(keys) => lasting(keys),
        Start::Process(line) => command::run(&line, gateway.clock.now()).await?,
        Start::SignOn(login) => sso::obtain(gateway, &login).await?,
        Start::WebIdentity(role, file) => sts::with_web_identity(gateway, &role, &file).await?,
        Start::Environment => of_environment().ok_or_else(|| nowhere("the environment"))?,
        Start::Container => of_container(gateway, &container_url().ok_or_else(|| nowhere("a container"))?).await?,
        Start::Instance => of_instance(gateway).await?,
    };
    for role in roles {
        let Secret::Aws(keys) = &obtained.secret else {
            return Err("what provides the keys for a role gave a text".to_owned());
        };
        obtained = sts::assume(gateway, role, keys).await?;
    }
    Ok(obtained)
}

/// The region of the environment.
fn region() -> Option<String> {
    environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION"))
}

/// Where a service is in a region, unless the environment says otherwise.
fn service_url(service: &str, region: &str, told_by: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    let usual = || format!("https://{service}.{region}.amazonaws.com{end}");
    let url = environment(told_by).unwrap_or_else(usual);
    url.trim_end_matches('/').to_owned()
}

const fn lasting(keys: AwsKeys) -> Obtained {
    Obtained {
        secret: Secret::Aws(keys),
        expires_at: None,
    }
}

fn keys_of_json(gateway: &Gateway, answer: &[u8]) -> Result<Obtained, String> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    Obtained::of_json(&json, gateway.clock.now()).ok_or_else(|| "the answer holds no keys".to_owned())
}
