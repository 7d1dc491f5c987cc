//! AWS's keys, where AWS's own programs look for them and in their order.
//!
//! Not single sign-on and not roles named in the shared files: a profile's `credential_process` stands in for both.

use std::collections::HashMap;

use airside_providers::AwsKeys;
use http::Method;
use serde_json::Value;

use super::command;
use super::fetch::{Wish, fetch, form};
use super::obtained::{Obtained, Secret};
use crate::gateway::Gateway;
use crate::options::environment;

const INSTANCE: &str = "http://169.254.169.254";
const CONTAINER: &str = "http://169.254.170.2";

/// The first keys there are.
pub(super) async fn obtain(gateway: &Gateway, profile: Option<&str>) -> Result<Obtained, String> {
    if profile.is_none() {
        if let Some(keys) = of_environment() {
            return Ok(keys);
        }
        if let Some(file) = environment("AWS_WEB_IDENTITY_TOKEN_FILE") {
            return of_web_identity(gateway, &file).await;
        }
    }
    let named = profile.map(str::to_owned).or_else(|| environment("AWS_PROFILE"));
    if let Some(keys) = of_shared_files(gateway, named.as_deref().unwrap_or("default")).await? {
        return Ok(keys);
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

const fn lasting(keys: AwsKeys) -> Obtained {
    Obtained {
        secret: Secret::Aws(keys),
        expires_at: None,
    }
}

/// The keys of a profile; `None` when the files do not name it.
async fn of_shared_files(gateway: &Gateway, profile: &str) -> Result<Option<Obtained>, String> {
    let home = environment("HOME").unwrap_or_default();
    let path = |name: &str, usual: &str| environment(name).unwrap_or_else(|| format!("{home}/.aws/{usual}"));
    let read = |path: String| std::fs::read_to_string(path).unwrap_or_default();
    let credentials = section(&read(path("AWS_SHARED_CREDENTIALS_FILE", "credentials")), &[profile]);
    let config = section(
        &read(path("AWS_CONFIG_FILE", "config")),
        &[profile, &format!("profile {profile}")],
    );
    for settings in [credentials, config] {
        if let Some(keys) = keys_in(&settings) {
            return Ok(Some(lasting(keys)));
        }
        if let Some(process) = settings.get("credential_process") {
            let argv = words(process);
            return command::run(&argv, gateway.clock.now()).await.map(Some);
        }
        if settings
            .keys()
            .any(|name| name.starts_with("sso_") || name == "role_arn")
        {
            return Err(format!(
                "profile '{profile}' needs single sign-on or a role: give it a credential_process that provides keys"
            ));
        }
    }
    Ok(None)
}

fn keys_in(settings: &HashMap<String, String>) -> Option<AwsKeys> {
    Some(AwsKeys {
        access_key_id: settings.get("aws_access_key_id")?.clone(),
        secret_access_key: settings.get("aws_secret_access_key")?.clone(),
        session_token: settings.get("aws_session_token").cloned(),
    })
}

/// The settings of the first of these sections.
fn section(file: &str, names: &[&str]) -> HashMap<String, String> {
    let mut settings = HashMap::new();
    let mut is_inside = false;
    for line in file.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_inside = names.contains(&name.trim());
        } else if let Some((name, value)) = line.split_once('=').filter(|_| is_inside && !line.starts_with('#')) {
            settings.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    settings
}

/// A command line in words; quotes keep spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A role, for a token that says who this is (`AssumeRoleWithWebIdentity`).
async fn of_web_identity(gateway: &Gateway, file: &str) -> Result<Obtained, String> {
    let token = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let role = environment("AWS_ROLE_ARN").ok_or("AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not")?;
    let name = environment("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "airside-gateway".to_owned());
    let region = environment("AWS_REGION").or_else(|| environment("AWS_DEFAULT_REGION"));
    let usual = region.map_or_else(
        || "https://sts.amazonaws.com".to_owned(),
        |region| format!("https://sts.{region}.amazonaws.com"),
    );
    let base = environment("AWS_ENDPOINT_URL_STS").unwrap_or(usual);
    let query = form(&[
        ("Action", "AssumeRoleWithWebIdentity"),
        ("Version", "2011-06-15"),
        ("RoleArn", &role),
        ("RoleSessionName", &name),
        ("WebIdentityToken", token.trim()),
    ]);
    let wish = Wish {
        method: Method::POST,
        url: &format!("{}/", base.trim_end_matches('/')),
        headers: &[super::fetch::FORM],
        body: query,
    };
    let answer = fetch(gateway, &wish).await?;
    let text = String::from_utf8_lossy(&answer);
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

fn container_url() -> Option<String> {
    let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{CONTAINER}{path}"));
    relative.or_else(|| environment("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
}

async fn of_container(gateway: &Gateway, url: &str) -> Result<Obtained, String> {
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
async fn of_instance(gateway: &Gateway) -> Result<Obtained, String> {
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

fn keys_of_json(gateway: &Gateway, answer: &[u8]) -> Result<Obtained, String> {
    let json: Value = serde_json::from_slice(answer).unwrap_or_default();
    Obtained::of_json(&json, gateway.clock.now()).ok_or_else(|| "the answer holds no keys".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_the_shared_files_is_read() {
        let file = "[default]\naws_access_key_id = D\n# a = b\n[profile dev]\naws_access_key_id=A\naws_secret_access_key = S=\n";
        let settings = section(file, &["dev", "profile dev"]);
        let keys = keys_in(&settings).unwrap();
        assert_eq!(
            (keys.access_key_id.as_str(), keys.secret_access_key.as_str()),
            ("A", "S=")
        );
        assert!(keys_in(&section(file, &["default"])).is_none());
    }

    #[test]
    fn a_command_line_is_taken_apart_without_a_shell() {
        assert_eq!(words("a  'b c' d\"e f\"g ''"), ["a", "b c", "de fg", ""]);
        assert!(words("  ").is_empty());
    }

    #[test]
    fn stss_answer_is_read() {
        let text = "<R><Credentials><AccessKeyId>A</AccessKeyId></Credentials></R>";
        assert_eq!(between(text, "<AccessKeyId>", "</AccessKeyId>"), Some("A"));
        assert_eq!(between(text, "<SessionToken>", "</SessionToken>"), None);
    }
}
