//! A key of a provider, as a call sees it.

use std::sync::Arc;
use std::time::Duration;

use airside_providers::Shown;
use airside_snapshot::{CredentialKind, SecretSource};
use tokio::sync::watch;

/// How long a call waits for a secret that has never been there.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// What is known of a secret.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// It is being read for the first time.
    Pending,
    /// It can be shown.
    Ready(Arc<Shown>),
    /// It cannot be had, for this reason.
    Missing(Arc<str>),
}

/// A secret that changes.
#[derive(Debug)]
pub(crate) struct LiveSecret {
    pub(crate) source: SecretSource,
    pub(crate) kind: CredentialKind,
    pub(crate) state: watch::Sender<State>,
}

impl LiveSecret {
    pub(crate) fn new(source: SecretSource, kind: CredentialKind) -> Self {
        Self {
            source,
            kind,
            state: watch::Sender::new(State::Pending),
        }
    }
}

/// Where a key's secret comes from.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// From the snapshot.
    Fixed(State),
    /// From a place of the gateway's own.
    Live(Arc<LiveSecret>),
}

/// One of a provider's keys.
#[derive(Debug)]
pub(crate) struct ActiveKey {
    pub(crate) id: Arc<str>,
    pub(crate) held: Held,
}

impl ActiveKey {
    fn state(&self) -> State {
        match &self.held {
            Held::Fixed(state) => state.clone(),
            Held::Live(secret) => secret.state.borrow().clone(),
        }
    }

    /// The secret itself, for those who look for it where it must not be.
    pub(crate) fn secret(&self) -> Option<String> {
        match self.state() {
            State::Ready(shown) => shown.secret().map(str::to_owned),
            State::Pending | State::Missing(_) => None,
        }
    }

    /// True if it is known that there is nothing to show.
    pub(crate) fn is_missing(&self) -> bool {
        self.why_missing().is_some()
    }

    /// Why there is nothing to show.
    pub(crate) fn why_missing(&self) -> Option<Arc<str>> {
        match self.state() {
            State::Missing(why) => Some(why),
            State::Pending | State::Ready(_) => None,
        }
    }

    /// What is shown now.
    ///
    /// # Errors
    /// The reason why there is nothing to show.
    pub(crate) async fn shown(&self) -> Result<Arc<Shown>, Arc<str>> {
        let state = match (self.state(), &self.held) {
            (State::Pending, Held::Live(secret)) => first_of(secret).await,
            (state, _) => state,
        };
        match state {
            State::Ready(shown) => Ok(shown),
            State::Missing(why) => Err(why),
            State::Pending => Err("it has not been read yet".into()),
        }
    }
}

async fn first_of(secret: &LiveSecret) -> State {
    let mut states = secret.state.subscribe();
    let known = states.wait_for(|state| !matches!(state, State::Pending));
    match tokio::time::timeout(FIRST_WAIT, known).await {
        Ok(Ok(state)) => state.clone(),
        _ => State::Pending,
    }
}
