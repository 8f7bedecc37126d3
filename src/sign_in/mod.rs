//! Signing in: challenges and their codes, limits, sessions and tokens. Knows nothing of HTTP.
//!
//! Whatever counts, consumes or rotates is one atomic step of the store, and when the store cannot be asked the answer is no.
//! Security events (`target: "security"`), none with a phone, code or token:
//! `challenge_created`, `code_resent`, `code_wrong`, `signed_in`, `limit_exhausted`, `test_phone_used`, `token_reused`, `session_ended`,
//! `sessions_ended`.

mod attendance;
mod cache;
mod challenges;
mod codes;
mod housekeeping;
mod limits;
mod recognise;
mod rekeying;
mod sessions;
mod token;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;

pub use attendance::Attendance;
pub use challenges::{Ask, Asked, Verified, Verify};
pub use codes::ChallengeId;
pub use limits::Exhausted;
pub use rekeying::rekey_guests;
pub use sessions::{Device, Grant, SessionKind, SignedIn};

use crate::clock::{Clock, Deadline};
use crate::config::AuthConfig;
use crate::delivery::Delivery;
use crate::entropy::Entropy;
use crate::keys::{Keys, Purpose};
use crate::model::{Guest, Phone};
use crate::store::{SharedStore, StoreError};

/// Wrong codes that a challenge takes.
pub const ATTEMPTS: u32 = 5;

/// Digits of a code.
pub const CODE_LENGTH: u32 = 6;

/// Digits of a code that a gateway chose: the last ones of the number that calls. Being few, they take fewer tries.
pub const CHOSEN_DIGITS: u32 = 4;

/// See [`CHOSEN_DIGITS`].
pub const CHOSEN_ATTEMPTS: u32 = 3;

/// See [`CHOSEN_DIGITS`]: the longest life of a challenge that is asked for by such a call.
pub const CHOSEN_LIFE: Duration = Duration::from_mins(3);

/// How long `verify` waits to hear whether the guest has an account.
pub const PROBE_TIME: Duration = Duration::from_millis(700);

/// Whether a guest has an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountState {
    /// There is one.
    Active,
    /// There is none: sign up.
    Absent,
    /// ProBonus did not say in time; the first view asks again.
    Unresolved,
}

/// Who knows whether a guest has an account. This room does not.
#[async_trait]
pub trait AccountProbe: Send + Sync {
    /// Says it within the deadline.
    async fn account_state(&self, guest: &Guest, deadline: Deadline) -> AccountState;
}

/// Why signing in went no further.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Expired, used, exhausted or never there: all alike.
    #[error("the challenge is not alive")]
    ChallengeInvalid,
    /// The code is wrong.
    #[error("the code is wrong")]
    CodeIncorrect {
        /// Tries left.
        attempts_left: u32,
    },
    /// Nothing was given back, and the guest's own call did not come yet; it cost no try.
    #[error("there is no code")]
    CodeMissing,
    /// What was given back can be no code of this challenge; it cost no try.
    #[error("the code has another form")]
    CodeMalformed,
    /// Every gateway that could bring the code is out of order.
    #[error("no gateway can bring a code now")]
    DeliveryUnavailable {
        /// When to come again.
        retry_after: Duration,
    },
    /// A limit is exhausted.
    #[error("a limit is exhausted")]
    TooMany(Exhausted),
    /// The channel is not offered here.
    #[error("the channel is not offered")]
    ChannelNotOffered,
    /// No credential, or one we did not make.
    #[error("not signed in")]
    Unauthenticated,
    /// A credential of ours that is over.
    #[error("the session is over")]
    SessionExpired,
    /// A refresh token that was used before.
    #[error("the refresh token was used before")]
    TokenReused,
    /// Another refresh of the same session is under way.
    #[error("another refresh is under way")]
    InProgress,
    /// The store cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The room.
pub struct SignIn {
    config: AuthConfig,
    store: SharedStore,
    delivery: Arc<Delivery>,
    keys: Arc<Keys>,
    clock: Clock,
    entropy: Entropy,
    probe: Arc<dyn AccountProbe>,
    tokens: token::AccessTokens,
    known: cache::Known,
    attending: attendance::Attending,
    /// When the store last failed to answer a request that could do without it, by the steady clock.
    store_failed_at_us: AtomicI64,
    stop: tokio_util::sync::CancellationToken,
}

impl SignIn {
    /// Opens the room and starts its housekeeping and its listening to other replicas.
    pub fn start(
        config: AuthConfig,
        store: SharedStore,
        delivery: Arc<Delivery>,
        keys: Arc<Keys>,
        clock: Clock,
        entropy: Entropy,
        probe: Arc<dyn AccountProbe>,
    ) -> Arc<Self> {
        let room = Arc::new(Self {
            tokens: token::AccessTokens::new(&keys),
            known: cache::Known::new(),
            attending: attendance::Attending::default(),
            store_failed_at_us: AtomicI64::new(i64::MIN / 2),
            config,
            store,
            delivery,
            keys,
            clock,
            entropy,
            probe,
            stop: tokio_util::sync::CancellationToken::new(),
        });
        tokio::spawn(housekeeping::listen(room.clone()));
        tokio::spawn(housekeeping::tidy(room.clone()));
        room
    }

    /// Ends the background work.
    pub fn stop(&self) {
        self.stop.cancel();
    }
}

/// The phone in the sealed copy of the row `row`.
fn open_phone(keys: &Keys, row: &[u8], sealed: &[u8]) -> Option<Phone> {
    let plain = keys.open(Purpose::PhoneSeal, row, sealed)?;
    Phone::from_e164(std::str::from_utf8(&plain).ok()?)
}
