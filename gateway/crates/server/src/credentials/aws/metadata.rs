//! The services next to a container or a machine that give out the keys of its role.

use http::Method;

use super::keys_of_json;
use crate::credentials::fetch::{Wish, fetch};
use crate::credentials::obtained::Obtained;
use crate::gateway::Gateway;
use crate::options::environment;

const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// Where a container asks; `None` outside of one.
pub(super) fn container_url() -> Option<String> {
    let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    relative.or_else(|| environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
}

/// The keys of a container's role.
pub(super) async fn of_container(gateway: &Gateway, url: &str) -> Result<Obtained, String> {
    let file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    let token = match file {
        Some(path) => std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?,
        None => environment("AWS_CONTAINER_AUTHORIZATION_TOKEN").unwrap_or_default(),
    };
    let shown = [("authorization", token.trim())];
    let wish = Wish {
        url,
        headers: if token.is_empty() { &[] } else { &shown },
        ..Wish::default()
    };
    keys_of_json(gateway, &fetch(gateway, &wish).await?)
}

/// The keys of the machine's own role, by the second version of the metadata service.
pub(super) async fn of_instance(gateway: &Gateway) -> Result<Obtained, String> {
    if environment("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("no keys in the environment, the shared files or a container".to_owned());
    }
    let base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or_else(|| INSTANCE.to_owned());
    let base = base.trim_end_matches('/');
    let wish = Wish {
        method: Method::PUT,
        url: &format!("{base}/latest/api/token"),
        headers: &[("x-aws-ec2-metadata-token-ttl-seconds", "21600")],
        ..Wish::default()
    };
    let token = fetch(gateway, &wish).await?;
    let token = String::from_utf8_lossy(&token).into_owned();
    let headers = [("x-aws-ec2-metadata-token", token.as_str())];
    let list = format!("{base}/latest/meta-data/iam/security-credentials/");
    let get = |url| Wish {
        url,
        headers: &headers,
        ..Wish::default()
    };
    let roles = fetch(gateway, &get(&list)).await?;
    let roles = String::from_utf8_lossy(&roles).into_owned();
    let role = roles.lines().next().unwrap_or_default().trim();
    if role.is_empty() {
        return Err("this instance has no role".to_owned());
    }
    keys_of_json(gateway, &fetch(gateway, &get(&format!("{list}{role}"))).await?)
}
