//! What a guest sees: views, freshness, coalescing, the last good answer on a bad day; signing up and editing.
//!
//! One slot per guest and view. A slot's bytes are made when it is filled and only handed out afterwards; one detached fetch runs per
//! slot however many wait; a sealed copy goes to the store behind everybody's back. This room knows nothing of HTTP.

mod accounts;
mod card;
mod changes;
mod checks;
mod counters;
mod edit;
mod guests;
mod history;
mod home;
mod own_account;
mod owners;
mod reading;
mod ready;
mod registration;
mod saved;
mod shown_edits;
mod sign_ups;
mod slot;
mod views;
mod watch;
mod written;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use card::Card;
pub use edit::Precondition;
pub use history::{Page, Query};
pub use home::Home;
pub use ready::Ready;
pub use registration::Consent;
pub use sign_ups::CallTimes;
pub use watch::{PAGES, Watch, WatchError, Watched};

use crate::clock::{Clock, Deadline};
use crate::config::{CacheConfig, ProgramConfig};
use crate::entropy::Entropy;
use crate::keys::Keys;
use crate::model::GroupId;
use crate::probonus::{ProBonus, UpstreamError};
use crate::store::{SharedStore, StoreError, UNHEARD_US};

/// Why a view cannot be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The guest has no account: sign up.
    #[error("there is no account")]
    AccountAbsent,
    /// Another account is behind the phone than the one that the guest's session was opened under.
    #[error("the session was opened under another account")]
    SessionExpired,
    /// The account changed while it was read; whoever waits for it reads once more.
    #[error("the account has just changed")]
    AccountChanged,
    /// The guest has one already.
    #[error("there is an account")]
    AccountExists,
    /// The account is blocked.
    #[error("the account is blocked")]
    AccountBlocked,
    /// There is no such thing for this guest.
    #[error("there is no such thing")]
    NotFound,
    /// The cursor is none of ours, or of another query.
    #[error("the cursor is none of ours")]
    InvalidCursor,
    /// The view has changed since.
    #[error("the view has changed")]
    VersionMismatch,
    /// The same is under way elsewhere.
    #[error("the same is under way")]
    InProgress {
        /// Seconds after which to look again.
        retry_after_s: u32,
    },
    /// ProBonus does not take what was sent.
    #[error("ProBonus does not take the questionnaire")]
    Refused,
    /// ProBonus cannot be reached.
    #[error("ProBonus cannot be reached")]
    Unavailable {
        /// Seconds after which to try again.
        retry_after_s: u32,
    },
    /// Too much at once.
    #[error("too many calls are under way")]
    Overloaded,
    /// ProBonus answered nonsense.
    #[error("ProBonus answered nonsense")]
    Nonsense,
    /// ProBonus refuses our credential.
    #[error("ProBonus refuses our credential")]
    CredentialRefused,
    /// The store cannot be asked.
    #[error("the store cannot be asked")]
    StoreDown,
    /// A bug of ours.
    #[error("a bug")]
    Internal,
}

/// How long it is remembered that a guest has no account (µs).
const ABSENT_US: i64 = UNHEARD_US;

/// A pause that ProBonus asks for is obeyed up to this (µs): when it is back, guests see it soon.
const LONGEST_PAUSE_US: i64 = 10_000_000;

impl ViewError {
    /// For how long it is remembered, `usual` for an outage; `None`: not at all.
    fn pause_us(self, usual: i64) -> Option<i64> {
        match self {
            Self::AccountAbsent => Some(ABSENT_US),
            Self::Unavailable { retry_after_s } => {
                Some((i64::from(retry_after_s) * 1_000_000).clamp(usual, LONGEST_PAUSE_US))
            }
            _ => None,
        }
    }

    /// Whether the last good view may be shown instead.
    fn may_show_last(self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. } | Self::Overloaded | Self::Nonsense | Self::CredentialRefused | Self::Internal
        )
    }
}

impl From<UpstreamError> for ViewError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Unavailable { retry_after, .. } => Self::Unavailable {
                retry_after_s: retry_after.map_or(1, |wait| u32::try_from(wait.as_secs().max(1)).unwrap_or(60)),
            },
            UpstreamError::Overloaded => Self::Overloaded,
            UpstreamError::CredentialRefused => Self::CredentialRefused,
            // A read that ProBonus refuses was asked wrongly for this ProBonus: the operator's doctor finds out how.
            UpstreamError::Refused { .. } | UpstreamError::SeveralAccounts | UpstreamError::Invalid => Self::Nonsense,
        }
    }
}

impl From<StoreError> for ViewError {
    fn from(_: StoreError) -> Self {
        Self::StoreDown
    }
}

/// How a view came to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Out of memory.
    Hit,
    /// Asked for by this request.
    Miss,
    /// Asked for by another request that this one waited for.
    Coalesced,
    /// The last good one: ProBonus cannot be reached.
    Stale,
}

impl Source {
    /// Of a view whose account came by `account`: it is no surer than that.
    fn beside(self, account: Self) -> Self {
        if account == Self::Stale { account } else { self }
    }
}

/// A view as it goes out.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The answer.
    pub ready: Ready,
    /// How it came to be shown.
    pub source: Source,
}

/// What a request wants of freshness, and until when.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// Pull to refresh: ask ProBonus again.
    pub renew: bool,
    /// Until when the answer must be there.
    pub deadline: Deadline,
}

/// Settings of this room.
pub struct CabinetConfig {
    /// Freshness and capacity.
    pub cache: CacheConfig,
    /// The programme.
    pub program: ProgramConfig,
    /// The group of new accounts.
    pub group: GroupId,
    /// The restaurants' zone.
    pub time_zone: TimeZone,
    /// When their day starts.
    pub day_start: Time,
    /// Looks at watched balances in one second, all guests together.
    pub looks_per_second: usize,
    /// A detached fetch's time: more than one call of ProBonus takes with its second try.
    pub fetch_time: Duration,
    /// The call that creates an account.
    pub sign_up_call: CallTimes,
}

/// The room.
pub struct Cabinet {
    config: CabinetConfig,
    probonus: Arc<ProBonus>,
    store: SharedStore,
    keys: Arc<Keys>,
    clock: Clock,
    guests: Arc<guests::Guests>,
    accounts: accounts::Accounts,
    saver: saved::Saver,
    signing_up: registration::InProcess,
    sign_ups: sign_ups::SignUps,
    watching: watch::Watching,
    counters: counters::Counters,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Cabinet {
    /// Opens the room, starts keeping views and hearing other replicas.
    pub fn start(
        config: CabinetConfig,
        probonus: Arc<ProBonus>,
        store: SharedStore,
        keys: Arc<Keys>,
        clock: Clock,
        entropy: Entropy,
    ) -> Arc<Self> {
        let stop = CancellationToken::new();
        let guests = Arc::new(guests::Guests::new(config.cache.capacity));
        let room = Arc::new(Self {
            accounts: accounts::Accounts::new(
                probonus.clone(),
                store.clone(),
                keys.clone(),
                clock.clone(),
                guests.clone(),
            ),
            guests,
            saver: saved::Saver::start(store.clone(), keys.clone()),
            signing_up: registration::InProcess::default(),
            sign_ups: sign_ups::SignUps::new(store.clone(), clock.clone(), entropy, config.sign_up_call),
            watching: watch::Watching::default(),
            counters: counters::Counters::default(),
            tasks: TaskTracker::new(),
            config,
            probonus,
            store,
            keys,
            clock,
            stop,
        });
        tokio::spawn(changes::listen(room.clone()));
        tokio::spawn(saved::tidy(room.clone()));
        room
    }

    /// Ends the background work; writes under way and views not yet kept are finished.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.saver.finish().await;
    }
}
