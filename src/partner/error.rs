//! Why an order, or a question about one, went no further.

use std::time::Duration;

use super::Breach;
use crate::probonus::UpstreamError;
use crate::store::StoreError;

/// Why an operation went no further.
#[derive(Debug, thiserror::Error)]
pub enum PartnerError {
    /// No key, or none of ours.
    #[error("no partner's key")]
    Unauthenticated,
    /// The key does not have the scope.
    #[error("the scope is missing")]
    ScopeMissing,
    /// Too many calls, or the day's sum is used up.
    #[error("a limit is exhausted")]
    TooMany {
        /// When to come again.
        retry_after: Duration,
    },
    /// It is beyond what its partner may order; nothing was kept.
    #[error("the order is beyond its partner's caps")]
    BeyondCaps(Vec<Breach>),
    /// The same GUID was used for another check.
    #[error("another order under the same guid")]
    CheckConflict,
    /// The same key was used for another refill.
    #[error("another order under the same key")]
    IdempotencyMismatch,
    /// The same operation is under way.
    #[error("the operation is under way")]
    InProgress,
    /// ProBonus refused it for good.
    #[error("ProBonus refused it")]
    Rejected {
        /// Whether this is the outcome of an earlier request.
        replayed: bool,
    },
    /// Nobody has an account with this phone.
    #[error("there is no account")]
    AccountAbsent,
    /// There is no such operation of this partner.
    #[error("there is no such operation")]
    NotFound,
    /// ProBonus could not be reached; nothing was done.
    #[error("ProBonus cannot be reached")]
    Unavailable {
        /// When to come again.
        retry_after: Duration,
    },
    /// Too much at once; nothing was done.
    #[error("too many calls are under way")]
    Overloaded,
    /// ProBonus answered nonsense; nothing was done.
    #[error("ProBonus answered nonsense")]
    UpstreamInvalid,
    /// The store cannot be asked; nothing was sent.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A bug of ours.
    #[error("a bug")]
    Internal,
}

impl PartnerError {
    /// Its word in audit records and metrics of orders.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Rejected { replayed: true } => "replayed",
            Self::Rejected { replayed: false } => "rejected",
            Self::CheckConflict | Self::IdempotencyMismatch => "conflict",
            Self::InProgress => "in_progress",
            Self::AccountAbsent => "account_absent",
            Self::TooMany { .. } => "day_used_up",
            Self::BeyondCaps(_) => "beyond_caps",
            _ => "not_done",
        }
    }
}

impl From<UpstreamError> for PartnerError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Unavailable { retry_after, .. } => Self::Unavailable {
                retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
            },
            UpstreamError::CredentialRefused => Self::Unavailable {
                retry_after: Duration::from_secs(5),
            },
            UpstreamError::Overloaded => Self::Overloaded,
            UpstreamError::Refused { .. } | UpstreamError::SeveralAccounts | UpstreamError::Invalid => {
                Self::UpstreamInvalid
            }
        }
    }
}
