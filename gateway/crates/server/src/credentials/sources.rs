//! The places where a gateway reads secrets itself.

use airside_snapshot::SecretSource;

use super::obtained::Obtained;
use super::{aws, azure, command, file, gcp};
use crate::gateway::Gateway;

/// Read a secret from its place.
///
/// # Errors
/// A sentence without the secret.
pub(super) async fn obtain(gateway: &Gateway, source: &SecretSource) -> Result<Obtained, String> {
    let now = gateway.clock.now();
    match source {
        SecretSource::File { path } => file::read(path, now),
        SecretSource::Command { argv } => command::run(argv, now).await,
        SecretSource::Aws { profile } => aws::obtain(gateway, profile.as_deref()).await,
        SecretSource::Gcp { path } => gcp::obtain(gateway, path.as_deref()).await,
        SecretSource::Azure {} => azure::obtain(gateway).await,
    }
}

/// The place in words. Arguments of a command may be secret.
pub(super) fn place(source: &SecretSource) -> String {
    match source {
        SecretSource::File { path } => format!("file {path}"),
        SecretSource::Command { argv } => format!("command {}", argv.first().map_or("", String::as_str)),
        SecretSource::Aws { profile: Some(profile) } => format!("AWS profile {profile}"),
        SecretSource::Aws { profile: None } => "AWS".to_owned(),
        SecretSource::Gcp { .. } => "Google Cloud".to_owned(),
        SecretSource::Azure {} => "Azure".to_owned(),
    }
}
