//! Why ProBonus did not give an answer that can be used.

use std::time::Duration;

/// What is known about the effect of a call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// ProBonus certainly did nothing: the call did not leave, or was turned away at the door.
    None,
    /// It may have been done or not.
    Unknown,
    /// ProBonus understood and said no.
    Rejected,
}

/// A failed call. Holds no text of ProBonus, no address and no credential, so it may be shown and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Not reached, not answered in time, or answered with a failure of its own.
    #[error("ProBonus cannot be reached")]
    Unavailable {
        /// When it asks to be asked again.
        retry_after: Option<Duration>,
        /// What a write may have done.
        effect: Effect,
    },
    /// As many calls as allowed are under way already.
    #[error("too many calls to ProBonus are under way")]
    Overloaded,
    /// ProBonus does not accept our credential.
    #[error("ProBonus refuses our credential")]
    CredentialRefused,
    /// ProBonus refused this request.
    #[error("ProBonus refused the request with status {status}")]
    Refused {
        /// The status, 4xx; 200 when only the body tells the refusal.
        status: u16,
    },
    /// ProBonus has several accounts of one phone: nobody knows which is meant.
    #[error("ProBonus has several accounts of one phone")]
    SeveralAccounts,
    /// The answer makes no sense.
    #[error("ProBonus answered nonsense")]
    Invalid,
}

impl UpstreamError {
    /// What a write may have done.
    #[must_use]
    pub fn effect(self) -> Effect {
        match self {
            Self::Unavailable { effect, .. } => effect,
            Self::Overloaded | Self::CredentialRefused | Self::SeveralAccounts => Effect::None,
            Self::Refused { .. } => Effect::Rejected,
            Self::Invalid => Effect::Unknown,
        }
    }

    /// When ProBonus asked to be asked again, if it did.
    #[must_use]
    pub fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => retry_after,
            _ => None,
        }
    }

    /// The word in metrics.
    #[must_use]
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Overloaded => "overloaded",
            Self::CredentialRefused => "credential_refused",
            Self::Refused { .. } => "refused",
            Self::SeveralAccounts => "several_accounts",
            Self::Invalid => "invalid",
        }
    }

    pub(super) fn not_sent(retry_after: Option<Duration>) -> Self {
        Self::Unavailable {
            retry_after,
            effect: Effect::None,
        }
    }

    pub(super) fn unknown() -> Self {
        Self::Unavailable {
            retry_after: None,
            effect: Effect::Unknown,
        }
    }
}
