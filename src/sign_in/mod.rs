//! Signing in: challenges and their codes, limits, sessions and tokens. Knows nothing of HTTP.
//!
//! Whatever counts, consumes or rotates is one atomic step of the store, and when the store cannot be asked the answer is no.
//! Security events (`target: "security"`), none with a phone, code or token:
//! `challenge_created`, `code_resent`, `code_wrong`, `signed_in`, `limit_exhausted`, `test_phone_used`, `token_reused`, `session_ended`,
//! `sessions_ended`.

mod attendance;
mod cache;
mod challenge_records;
mod challenges;
mod codes;
mod devices;
mod guess_limits;
mod housekeeping;
mod limits;
mod networks;
mod phones;
mod recognise;
mod rekeying;
mod review;
mod send_limits;
mod sessions;
mod token;
mod verification;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use async_trait::async_trait;

pub use attendance::Attendance;
pub use challenges::{Ask, Asked};
pub use codes::ChallengeId;
pub use limits::Exhausted;
pub use rekeying::rekey_guests;
pub use sessions::{Device, Grant, SessionKind, SignedIn};
pub use verification::Verify;

use crate::clock::{Clock, Deadline};
use crate::config::AuthConfig;
use crate::delivery::{Delivery, Progress};
use crate::entropy::Entropy;
use crate::keys::Keys;
use crate::model::{AccountBinding, Channel, Guest, Phone};
use crate::store::{SharedStore, StoreError};
use phones::{Phones, open_phone};

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

/// Who knows which account a guest has. This room does not.
#[async_trait]
pub trait AccountProbe: Send + Sync {
    /// Says it within the deadline; unknown when ProBonus does not say it now.
    async fn account_behind(&self, guest: &Guest, deadline: Deadline) -> AccountBinding;
}

/// A proven phone.
pub struct Verified {
    /// The session's tokens.
    pub grant: Grant,
    /// For the next time this device asks for a code; none when the store did not take it.
    pub device_token: Option<String>,
    /// The account that the session was opened under.
    pub account: AccountBinding,
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
    keys: Arc<Keys>,
    clock: Clock,
    entropy: Entropy,
    phones: Phones,
    devices: Arc<devices::Devices>,
    challenges: challenges::Challenges,
    verification: verification::Verification,
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
        let (phones, networks) = (Phones::new(keys.clone()), networks::Networks::new(&config.limits));
        let counters = Arc::new(limits::Counters::new(keys.clone(), store.clone(), clock.clone()));
        let devices = devices::Devices::new(keys.clone(), entropy.clone(), store.clone(), clock.clone());
        let sends = send_limits::SendLimits::new(config.limits.clone(), config.resend, counters.clone());
        let guesses = guess_limits::GuessLimits::new(config.limits.clone(), counters.clone());
        let review = review::ReviewNumbers::new(config.test_phones.clone());
        let (devices, networks, sends) = (Arc::new(devices), Arc::new(networks), Arc::new(sends));
        let (guesses, review) = (Arc::new(guesses), Arc::new(review));
        let records =
            challenge_records::ChallengeRecords::new(keys.clone(), store.clone(), clock.clone(), phones.clone());
        let room = Arc::new(Self {
            tokens: token::AccessTokens::new(&keys),
            known: cache::Known::new(),
            attending: attendance::Attending::default(),
            store_failed_at_us: AtomicI64::new(i64::MIN / 2),
            challenges: challenges::Challenges {
                life: config.challenge_ttl,
                records: records.clone(),
                phones: phones.clone(),
                devices: devices.clone(),
                networks: networks.clone(),
                sends: sends.clone(),
                guesses: guesses.clone(),
                review: review.clone(),
                delivery: delivery.clone(),
                keys: keys.clone(),
                store: store.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
            },
            verification: verification::Verification {
                records,
                networks,
                sends,
                guesses,
                counters,
                review,
                delivery,
                keys: keys.clone(),
                store: store.clone(),
                clock: clock.clone(),
            },
            phones,
            devices,
            config,
            store,
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

    /// Makes a challenge and leaves its message to be sent. The same for every phone; ProBonus is not asked.
    ///
    /// # Errors
    /// A limit, an unknown channel, or the store.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Asked, SignInError> {
        self.challenges.ask(ask).await
    }

    /// Sends the same code once more.
    ///
    /// # Errors
    /// A dead challenge, a limit, an unknown channel, or the store.
    pub async fn resend(
        &self,
        id: &ChallengeId,
        channel: Option<Channel>,
        ip: IpAddr,
        device_token: Option<&str>,
    ) -> Result<Asked, SignInError> {
        self.challenges.resend(id, channel, ip, device_token).await
    }

    /// How a living challenge stands.
    ///
    /// # Errors
    /// A dead challenge, or the store.
    pub async fn challenge(&self, id: &ChallengeId) -> Result<(Asked, Progress), SignInError> {
        self.challenges.look(id).await
    }

    /// Takes a code back: the right one opens a session, once.
    ///
    /// # Errors
    /// A dead challenge, a wrong code, a limit, or the store.
    pub async fn verify(&self, verify: Verify<'_>) -> Result<Verified, SignInError> {
        let guest = self.verification.prove_phone(&verify).await?;
        // A device that is not remembered has no reserve; the sign-in stands.
        let device_token = self.devices.remember(verify.device_token, &guest).await.ok();
        let device = Device {
            name: verify.device_name,
        };
        let account = self.account_behind(&guest).await;
        let grant = self.open_session(&guest, account, verify.kind, &device).await?;
        tracing::info!(target: "security", event = "signed_in", guest = ?guest.key, session = %grant.session.0);
        metrics::counter!("cabinet_sign_in_total", "event" => "signed_in").increment(1);
        Ok(Verified {
            grant,
            device_token,
            account,
        })
    }

    /// The account that a session is opened under. Signing in waits only a moment to hear it.
    async fn account_behind(&self, guest: &Guest) -> AccountBinding {
        let deadline = Deadline::within(PROBE_TIME);
        let probed = tokio::time::timeout_at(deadline.instant(), self.probe.account_behind(guest, deadline)).await;
        probed.unwrap_or(AccountBinding::Unknown)
    }

    /// Ends the background work.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn guest(&self, phone: Phone) -> Guest {
        self.phones.guest(phone)
    }

    fn seal_phone(&self, row: &[u8], phone: &Phone) -> Vec<u8> {
        self.phones.seal(row, phone)
    }

    fn open_phone(&self, row: &[u8], sealed: &[u8]) -> Option<Phone> {
        self.phones.open(row, sealed)
    }
}
