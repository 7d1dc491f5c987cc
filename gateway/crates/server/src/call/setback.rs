//! What is told of attempts that failed: each as it comes, and at the end what the caller hears.

use std::sync::Arc;

use airside_providers::{Failure, Kind, Origin};
use bytes::Bytes;
use http::HeaderMap;

use super::hold::Failed;
use crate::reply::Refusal;

/// What a provider said when it failed, for a caller who gets nothing better.
#[derive(Debug)]
pub(crate) struct LastWord {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// A provider's own words, to be passed on.
    Theirs(LastWord),
    /// Ours.
    Ours(Refusal),
}

/// What a call that nobody answered is told.
#[derive(Default)]
pub(super) struct LastWords {
    word: Option<LastWord>,
    refusal: Option<Refusal>,
    failure: Option<(Failure, Arc<str>)>,
}

impl LastWords {
    pub(super) fn note(&mut self, setback: Setback, provider: &Arc<str>) {
        let Setback {
            failed, word, refusal, ..
        } = setback;
        self.word = word.or(self.word.take());
        self.refusal = refusal.or(self.refusal.take());
        self.failure = Some((failed.failure, Arc::clone(provider)));
    }

    /// A provider that was asked and failed has more to say than one that could not be asked.
    pub(super) fn into_answer(self) -> NoAnswer {
        let ours = || NoAnswer::Ours(self.refusal.unwrap_or_else(|| refusal(self.failure)));
        self.word.map_or_else(ours, NoAnswer::Theirs)
    }
}

/// A failed attempt and what the provider said of it.
pub(super) struct Setback {
    pub(super) failed: Failed,
    word: Option<LastWord>,
    /// Our own refusal, where the request cannot be said in the target's dialect.
    refusal: Option<Refusal>,
    /// False where the provider said that asking again is of no use.
    pub(super) may_wait: bool,
}

impl Setback {
    pub(super) fn new(failed: Failed, word: Option<LastWord>) -> Box<Self> {
        Box::new(Self {
            failed,
            word,
            refusal: None,
            may_wait: true,
        })
    }

    /// The input is too long for this target, and another may take more.
    pub(super) fn too_long(word: LastWord) -> Box<Self> {
        let failure = Failure {
            origin: Origin::Caller,
            ..Failure::at_provider(Kind::TooLong)
        };
        Self::new(Failed { failure, said: None }, Some(word))
    }

    pub(super) fn untranslatable(refusal: Refusal) -> Box<Self> {
        Box::new(Self {
            failed: Failed::silent(Kind::Untranslatable),
            word: None,
            refusal: Some(refusal),
            may_wait: true,
        })
    }
}

fn refusal(last: Option<(Failure, Arc<str>)>) -> Refusal {
    let Some((failure, provider)) = last else {
        return Refusal::new(502, "no_provider", "No provider could be asked.");
    };
    match failure.kind {
        Kind::CredentialRejected => Refusal::new(
            502,
            "provider_credential_rejected",
            format!("Provider '{provider}' does not accept the gateway's credential. The caller's key is fine."),
        ),
        Kind::CredentialMissing => Refusal::new(
            503,
            "no_credential",
            format!("The gateway has no credential for provider '{provider}' now."),
        ),
        Kind::Timeout | Kind::Stalled => Refusal::new(
            504,
            "provider_timeout",
            format!("Provider '{provider}' did not answer in time."),
        ),
        Kind::Connect => Refusal::new(
            502,
            "provider_unreachable",
            format!("Provider '{provider}' cannot be reached."),
        ),
        kind => Refusal::new(
            502,
            "provider_failed",
            format!("Provider '{provider}' gave no usable answer ({}).", kind.reason()),
        ),
    }
}
