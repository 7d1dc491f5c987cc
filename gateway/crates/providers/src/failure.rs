//! Failures that say whose fault they are and whether to try again, so that routing never inspects text.

use std::time::Duration;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No connection, or it broke before any answer.
    Connect,
    /// No answer within the time allowed.
    Timeout,
    /// 429.
    RateLimited,
    /// 5xx and 529.
    ServerError,
    /// 401, 402 or 403: our credential at the provider is bad.
    CredentialRejected,
    /// There is no credential to show.
    CredentialMissing,
    /// 3xx: the key is not sent on.
    Redirected,
    /// A success without content.
    Empty,
    /// A success that went silent before its first content.
    Stalled,
    /// A success that is not of the protocol.
    Garbage,
    /// A success that said inside its stream that it failed.
    FailedInStream,
    /// It broke off after the first content.
    Cut,
    /// The request cannot be said in the provider's dialect, so it was not asked.
    Untranslatable,
    /// The input does not fit the model's context window.
    TooLong,
}

impl Kind {
    /// The reason in the journal.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::CredentialRejected => "credential_rejected",
            Self::CredentialMissing => "no_credential",
            Self::Redirected => "redirected",
            Self::Empty => "empty",
            Self::Stalled => "stalled",
            Self::Garbage => "garbage",
            Self::FailedInStream => "failed_in_stream",
            Self::Cut => "cut",
            Self::Untranslatable => "untranslatable",
            Self::TooLong => "context_window",
        }
    }
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The request itself.
    Caller,
    /// This gateway or its configuration.
    Gateway,
    /// The provider or the way to it.
    Provider,
}

/// Whether another try makes sense, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// No.
    Never,
    /// Here, after a while.
    SameTarget {
        /// As the provider asked.
        after: Duration,
    },
    /// Elsewhere.
    NextTarget,
}

/// One failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub kind: Kind,
    /// Whose fault it is.
    pub origin: Origin,
    /// What may help.
    pub retry: Retry,
}

impl Failure {
    /// The provider's fault; another may do better.
    #[must_use]
    pub const fn at_provider(kind: Kind) -> Self {
        Self {
            kind,
            origin: Origin::Provider,
            retry: Retry::NextTarget,
        }
    }
}

/// What the status of an answer means for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusMeaning {
    /// The model speaks.
    Answer,
    /// The provider's verdict on the request: passed on as it is.
    Verdict,
    /// The attempt failed.
    Failed(Failure),
}

/// Read the status and Retry-After of an answer's head.
#[must_use]
pub fn meaning_of_status(status: u16, retry_after: Option<Duration>) -> StatusMeaning {
    let retry = retry_after.map_or(Retry::NextTarget, |after| Retry::SameTarget { after });
    let failed = |kind, origin, retry| StatusMeaning::Failed(Failure { kind, origin, retry });
    match status {
        200..=299 => StatusMeaning::Answer,
        300..=399 => failed(Kind::Redirected, Origin::Provider, Retry::NextTarget),
        401..=403 => failed(Kind::CredentialRejected, Origin::Gateway, Retry::NextTarget),
        408 => failed(Kind::Timeout, Origin::Provider, retry),
        429 => failed(Kind::RateLimited, Origin::Provider, retry),
        500..=599 => failed(Kind::ServerError, Origin::Provider, retry),
        _ => StatusMeaning::Verdict,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_on_the_request_is_never_retried() {
        for status in [400, 404, 409, 413, 418, 422] {
            assert_eq!(meaning_of_status(status, None), StatusMeaning::Verdict, "{status}");
        }
    }

    #[test]
    fn our_bad_credential_is_not_the_callers_fault() {
        for status in [401, 402, 403] {
            let StatusMeaning::Failed(failure) = meaning_of_status(status, None) else {
                panic!("{status}")
            };
            assert_eq!((failure.origin, failure.retry), (Origin::Gateway, Retry::NextTarget));
        }
    }

    #[test]
    fn overload_says_when_to_come_back() {
        let after = Duration::from_secs(2);
        for status in [429, 500, 503, 529] {
            let StatusMeaning::Failed(failure) = meaning_of_status(status, Some(after)) else {
                panic!("{status}")
            };
            assert_eq!(failure.retry, Retry::SameTarget { after });
        }
    }
}
