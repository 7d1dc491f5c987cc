//! What a provider is shown: a header with a secret, or the keys that sign a request.

use std::fmt;

use airside_snapshot::CredentialKind;
use http::header::{self, HeaderName, HeaderValue};

/// A credential in the form in which it is used. Its `Debug` shows no secret.
#[derive(Clone, PartialEq, Eq)]
pub enum Shown {
    /// None is needed.
    Nothing,
    /// A header.
    Header {
        /// Its name.
        name: HeaderName,
        /// Its value.
        value: HeaderValue,
        /// What in it is secret.
        secret: String,
    },
    /// AWS's keys.
    Aws(AwsKeys),
}

/// What signs a request to AWS.
#[derive(Clone, PartialEq, Eq)]
pub struct AwsKeys {
    /// The public half.
    pub access_key_id: String,
    /// The secret half.
    pub secret_access_key: String,
    /// Of temporary keys.
    pub session_token: Option<String>,
}

/// A text that is no credential of the kind it should be. Says what is wrong with it and not what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotShowable(pub &'static str);

impl fmt::Display for NotShowable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl std::error::Error for NotShowable {}

impl fmt::Debug for Shown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("Nothing"),
            Self::Header { name, .. } => out.debug_tuple("Header").field(name).finish_non_exhaustive(),
            Self::Aws(keys) => keys.fmt(out),
        }
    }
}

impl fmt::Debug for AwsKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("AwsKeys")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

impl Shown {
    /// A secret as it is shown under this kind. AWS's keys are written `id:secret` or `id:secret:session token`.
    ///
    /// # Errors
    /// `NotShowable` when it is missing or no header can carry it.
    pub fn of(kind: CredentialKind, secret: Option<&str>) -> Result<Self, NotShowable> {
        let missing = NotShowable("it has no value");
        let name = match kind {
            CredentialKind::None => return Ok(Self::Nothing),
            CredentialKind::Sigv4 => return AwsKeys::read(secret.ok_or(missing)?).map(Self::Aws),
            CredentialKind::Bearer => header::AUTHORIZATION,
            CredentialKind::XApiKey => HeaderName::from_static("x-api-key"),
            CredentialKind::ApiKey => HeaderName::from_static("api-key"),
            CredentialKind::XGoogApiKey => HeaderName::from_static("x-goog-api-key"),
        };
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or(missing)?;
        let text = match kind {
            CredentialKind::Bearer => format!("Bearer {secret}"),
            _ => secret.to_owned(),
        };
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| NotShowable("it has characters no header can carry"))?;
        value.set_sensitive(true);
        Ok(Self::Header {
            name,
            value,
            secret: secret.to_owned(),
        })
    }

    /// What must never be seen by a caller.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Header { secret, .. } => Some(secret),
            Self::Aws(keys) => Some(&keys.secret_access_key),
        }
    }
}

impl AwsKeys {
    fn read(text: &str) -> Result<Self, NotShowable> {
        let mut parts = text.splitn(3, ':').map(str::to_owned).filter(|part| !part.is_empty());
        let keys = parts.next().zip(parts.next());
        let (access_key_id, secret_access_key) = keys.ok_or(NotShowable("it is not of the form id:secret"))?;
        Ok(Self {
            access_key_id,
            secret_access_key,
            session_token: parts.next(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_secret_is_told_from_none_wanted() {
        assert_eq!(Shown::of(CredentialKind::None, None), Ok(Shown::Nothing));
        for secret in [None, Some(""), Some("a\nb")] {
            assert!(Shown::of(CredentialKind::Bearer, secret).is_err(), "{secret:?}");
        }
        let Ok(Shown::Header { name, value, .. }) = Shown::of(CredentialKind::Bearer, Some("k")) else {
            panic!("a header")
        };
        assert_eq!(
            (name.as_str(), value.to_str().unwrap(), value.is_sensitive()),
            ("authorization", "Bearer k", true)
        );
    }

    #[test]
    fn awss_keys_are_one_text() {
        let shown = Shown::of(CredentialKind::Sigv4, Some("AKIA:s/e+c:to:ken")).unwrap();
        let Shown::Aws(keys) = &shown else { panic!("keys") };
        assert_eq!(keys.session_token.as_deref(), Some("to:ken"));
        assert_eq!(shown.secret(), Some("s/e+c"));
        assert!(!format!("{shown:?}").contains("s/e+c"));
        assert!(Shown::of(CredentialKind::Sigv4, Some("AKIA")).is_err());
    }
}
