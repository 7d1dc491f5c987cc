//! Where calls can go, and what is shown there.

use std::collections::HashSet;
use std::fmt;

use airside_protocols::Family;
use serde::{Deserialize, Serialize};

use crate::problem::SnapshotProblem;

/// Longer ones would not fit the room a journal record is given.
const MAX_KEY_ID_BYTES: usize = 64;

/// Whose service a provider is: how its calls are addressed, written and signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// The Claude API.
    Anthropic,
    /// The `OpenAI` API.
    Openai,
    /// Azure `OpenAI`, and Claude in Foundry.
    Azure,
    /// The Gemini API.
    Gemini,
    /// Claude and Gemini on Google Cloud.
    Vertex,
    /// Amazon Bedrock.
    Bedrock,
    /// `OpenRouter`.
    Openrouter,
    /// Anything else that speaks one of the dialects: vLLM, Ollama, another gateway.
    Compatible,
}

/// How a secret is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// `authorization: Bearer`.
    Bearer,
    /// `x-api-key`.
    XApiKey,
    /// `api-key`, Azure's.
    ApiKey,
    /// `x-goog-api-key`, Gemini's.
    XGoogApiKey,
    /// A signature over the request, AWS's.
    Sigv4,
    /// No credential at all.
    None,
}

/// Where the gateway itself reads a secret, again and again, as it changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum SecretSource {
    /// A file that holds nothing else, or JSON as a command's output.
    File {
        /// Where it is.
        path: String,
    },
    /// A program that writes it: as it is, or as JSON with the time it expires.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
    },
    /// Where AWS's own programs look: environment, shared files, web identity, container, instance.
    Aws {
        /// Of the shared files.
        #[serde(default)]
        profile: Option<String>,
    },
    /// Where Google's own programs look: a key file, the user's login, the metadata server.
    Gcp {
        /// A key file, instead of the one that the environment names.
        #[serde(default)]
        path: Option<String>,
    },
    /// Where Azure's own programs look: a client of the environment, a managed identity.
    Azure {},
}

/// What the gateway presents to a provider. Its `Debug` shows no secret.
#[derive(Clone, Deserialize)]
pub struct Credential {
    /// How it is sent.
    pub kind: CredentialKind,
    /// The value itself.
    #[serde(default)]
    pub secret: Option<String>,
    /// In a snapshot from a file: the environment variable that holds it.
    #[serde(default)]
    pub env: Option<String>,
    /// Where the gateway reads it.
    #[serde(default)]
    pub source: Option<SecretSource>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Credential")
            .field("kind", &self.kind)
            .field("env", &self.env)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Default for Credential {
    fn default() -> Self {
        Self {
            kind: CredentialKind::None,
            secret: None,
            env: None,
            source: None,
        }
    }
}

/// One of a provider's credentials.
#[derive(Debug, Clone, Deserialize)]
pub struct ProviderKey {
    /// The same in every snapshot that has it; says nothing about the secret.
    pub key_id: String,
    /// Its share of the calls.
    #[serde(default = "one")]
    pub weight: u32,
    /// The credential.
    #[serde(flatten)]
    pub credential: Credential,
}

const fn one() -> u32 {
    1
}

/// How long the gateway waits for a provider.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
pub struct Timeouts {
    /// To open a connection, TLS included.
    pub connect_ms: u64,
    /// From the last request byte to the response head.
    pub first_byte_ms: u64,
    /// Between two chunks of a response body.
    pub idle_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_byte_ms: 120_000,
            idle_ms: 120_000,
        }
    }
}

/// One account at one vendor.
#[derive(Debug, Clone, Deserialize)]
pub struct Provider {
    /// The name that targets use.
    pub name: String,
    /// The wire it speaks.
    pub protocol: Family,
    /// Whose service it is; told from the protocol where a snapshot does not say.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// What the vendor's own SDK takes.
    pub base_url: String,
    /// AWS's region or Google Cloud's location.
    #[serde(default)]
    pub region: Option<String>,
    /// Google Cloud's project.
    #[serde(default)]
    pub project: Option<String>,
    /// Azure's `api-version`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// What the gateway shows it, in snapshots without `credentials`.
    #[serde(default)]
    pub credential: Option<Credential>,
    /// What the gateway shows it: one of these.
    #[serde(default)]
    pub credentials: Vec<ProviderKey>,
    /// Sent with every call.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// How long to wait for it.
    #[serde(default)]
    pub timeouts: Timeouts,
}

impl Provider {
    /// Whose service it is.
    #[must_use]
    pub fn vendor(&self) -> Vendor {
        self.vendor.unwrap_or(match self.protocol {
            Family::Anthropic => Vendor::Anthropic,
            Family::Gemini => Vendor::Gemini,
            Family::OpenaiResponses | Family::OpenaiChat => Vendor::Compatible,
        })
    }

    /// True if its Chat dialect takes Anthropic's cache marks for this model.
    #[must_use]
    pub fn takes_cache_marks(&self, model: &str) -> bool {
        self.vendor() == Vendor::Openrouter && model.contains("claude")
    }

    /// Its credentials, at least one, in the snapshot's order.
    #[must_use]
    pub fn keys(&self) -> Vec<ProviderKey> {
        if !self.credentials.is_empty() {
            return self.credentials.clone();
        }
        let credential = self.credential.clone().unwrap_or_default();
        vec![ProviderKey {
            key_id: "default".to_owned(),
            weight: 1,
            credential,
        }]
    }

    /// Check what calls would stumble over.
    pub(crate) fn check(&self) -> Result<(), SnapshotProblem> {
        let inconsistent = |detail: String| {
            Err(SnapshotProblem::Inconsistent(format!(
                "provider '{}': {detail}",
                self.name
            )))
        };
        let url = &self.base_url;
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let Some(rest) = rest else {
            return inconsistent(format!("base_url '{url}' must begin with http:// or https://"));
        };
        let authority = rest.split('/').next().unwrap_or_default();
        if authority.is_empty() || authority.contains('@') || rest.contains(['?', '#', ' ', '\\']) {
            return inconsistent(format!(
                "base_url '{url}' must be a host and a path, without user, query or fragment"
            ));
        }
        let mut ids = HashSet::new();
        for key in self.keys() {
            if key.key_id.is_empty() || key.key_id.len() > MAX_KEY_ID_BYTES || !ids.insert(key.key_id.clone()) {
                return inconsistent("each of its credentials needs an id of its own".to_owned());
            }
            let secret = key.credential.secret.as_deref().unwrap_or_default();
            if key.credential.kind != CredentialKind::None && !secret.bytes().all(|byte| (0x21..0x7f).contains(&byte)) {
                return inconsistent("its credential has characters no header can carry".to_owned());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(more: &serde_json::Value) -> Provider {
        let mut whole = serde_json::json!({"name": "p", "protocol": "anthropic", "base_url": "https://x.test"});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_snapshot_with_a_single_credential_is_still_read() {
        let old = provider(&serde_json::json!({"credential": {"kind": "x_api_key", "secret": "s"}}));
        let keys = old.keys();
        assert_eq!((keys.len(), keys[0].key_id.as_str(), keys[0].weight), (1, "default", 1));
        assert_eq!(keys[0].credential.secret.as_deref(), Some("s"));
        assert_eq!(old.vendor(), Vendor::Anthropic);
    }

    #[test]
    fn a_pool_has_ids_and_weights() {
        let pool = provider(&serde_json::json!({"vendor": "bedrock", "credentials": [
            {"key_id": "a", "kind": "bearer", "secret": "s", "weight": 3},
            {"key_id": "b", "kind": "sigv4", "source": {"from": "aws", "profile": "dev"}}]}));
        let keys = pool.keys();
        assert_eq!((keys[0].weight, keys[1].weight), (3, 1));
        let aws = SecretSource::Aws {
            profile: Some("dev".to_owned()),
        };
        assert_eq!(keys[1].credential.source, Some(aws));
        assert_eq!(pool.vendor(), Vendor::Bedrock);
        assert!(pool.check().is_ok());
        assert!(!format!("{pool:?}").contains("\"s\""));
    }

    #[test]
    fn two_credentials_of_one_id_are_refused() {
        let twice = provider(&serde_json::json!({"credentials": [
            {"key_id": "a", "kind": "bearer"}, {"key_id": "a", "kind": "bearer"}]}));
        assert!(twice.check().unwrap_err().to_string().contains("an id of its own"));
    }
}
