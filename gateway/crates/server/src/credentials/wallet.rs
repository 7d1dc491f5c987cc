//! All secrets of this gateway that change, each read once however many providers and snapshots name it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use airside_providers::{NotShowable, Shown};
use airside_snapshot::{CredentialKind, ProviderKey, SecretSource};
use tokio::sync::mpsc;

use super::live::{ActiveKey, Held, LiveSecret, State};

type Known = HashMap<(SecretSource, &'static str), Weak<LiveSecret>>;

/// The secrets in use. One that no snapshot in use names any more is forgotten.
#[derive(Debug)]
pub(crate) struct Wallet {
    known: Mutex<Known>,
    wanted: mpsc::UnboundedSender<Weak<LiveSecret>>,
    to_be_kept: Mutex<Option<mpsc::UnboundedReceiver<Weak<LiveSecret>>>>,
}

impl Default for Wallet {
    fn default() -> Self {
        let (wanted, to_be_kept) = mpsc::unbounded_channel();
        Self {
            known: Mutex::default(),
            wanted,
            to_be_kept: Mutex::new(Some(to_be_kept)),
        }
    }
}

impl Wallet {
    /// A key of the snapshot, ready for calls.
    pub(crate) fn key(&self, key: &ProviderKey, environment: impl Fn(&str) -> Option<String>) -> ActiveKey {
        let credential = &key.credential;
        let held = if let Some(source) = &credential.source {
            Held::Live(self.live(source, credential.kind))
        } else {
            let named = credential.env.as_deref().and_then(environment);
            let secret = credential.secret.as_deref().or(named.as_deref());
            Held::Fixed(match Shown::of(credential.kind, secret) {
                Ok(shown) => State::Ready(Arc::new(shown)),
                Err(NotShowable(why)) => State::Missing(why.into()),
            })
        };
        ActiveKey {
            id: key.key_id.as_str().into(),
            held,
        }
    }

    fn live(&self, source: &SecretSource, kind: CredentialKind) -> Arc<LiveSecret> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, secret| secret.strong_count() > 0);
        let name = (source.clone(), kind_name(kind));
        if let Some(secret) = known.get(&name).and_then(Weak::upgrade) {
            return secret;
        }
        let secret = Arc::new(LiveSecret::new(source.clone(), kind));
        known.insert(name, Arc::downgrade(&secret));
        // Without a keeper the gateway is stopping, and nobody will wait for it.
        let _ = self.wanted.send(Arc::downgrade(&secret));
        secret
    }

    /// The secrets that are to be read from now on. There is one reader.
    pub(crate) fn to_be_kept(&self) -> Option<mpsc::UnboundedReceiver<Weak<LiveSecret>>> {
        self.to_be_kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const fn kind_name(kind: CredentialKind) -> &'static str {
    match kind {
        CredentialKind::Bearer => "bearer",
        CredentialKind::XApiKey => "x-api-key",
        CredentialKind::ApiKey => "api-key",
        CredentialKind::XGoogApiKey => "x-goog-api-key",
        CredentialKind::Sigv4 => "sigv4",
        CredentialKind::None => "none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use airside_snapshot::Credential;

    fn key(source: &SecretSource) -> ProviderKey {
        ProviderKey {
            key_id: "k".to_owned(),
            weight: 1,
            credential: Credential {
                kind: CredentialKind::Bearer,
                source: Some(source.clone()),
                ..Credential::default()
            },
        }
    }

    #[test]
    fn a_secret_is_read_once_for_all_who_name_it_and_forgotten_after_them() {
        let wallet = Wallet::default();
        let mut wanted = wallet.to_be_kept().unwrap();
        let source = SecretSource::File { path: "/x".to_owned() };
        let first = wallet.key(&key(&source), |_| None);
        let second = wallet.key(&key(&source), |_| None);
        assert!(wanted.try_recv().is_ok() && wanted.try_recv().is_err());
        let (Held::Live(one), Held::Live(other)) = (&first.held, &second.held) else {
            panic!("live secrets")
        };
        assert!(Arc::ptr_eq(one, other));
        drop((first, second));
        let _third = wallet.key(&key(&source), |_| None);
        assert!(wanted.try_recv().is_ok());
    }

    #[test]
    fn a_secret_of_the_environment_may_be_missing() {
        let credential = Credential {
            kind: CredentialKind::Bearer,
            env: Some("NAME".to_owned()),
            ..Credential::default()
        };
        let named = ProviderKey {
            key_id: "k".to_owned(),
            weight: 1,
            credential,
        };
        let wallet = Wallet::default();
        assert!(wallet.key(&named, |_| None).is_missing());
        assert!(!wallet.key(&named, |name| Some(format!("value of {name}"))).is_missing());
    }
}
